"""
Runs as processes of this machine, each within the firmest walls that it can raise.

A run begins in a spare that waits with the libraries imported (`walled`). Where nothing
can confine, a resident parent forks the runs, or a small parent per run does (`parent`).
Either way the run outlives this object and the scheduler, and all that is known of it
stands in files, so any executor of the same home can go on where another stopped.
What a run can write itself (`pid.json`, `exit.json`) is for whoever looks; whom to signal
and how a confined run ended is read from what its walls wrote.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from intramural.domain.confinement import Level, Limits, below_required
from intramural.domain.policy import Grant
from intramural.domain.spec import AUTO, JobSpec
from intramural.domain.value import RunId
from intramural.domain.workload import EXIT_FILE, LOG_FILE, PID_FILE
from intramural.errors import IntramuralError, Unavailable
from intramural.scheduler.executor import NOTHING_MORE, Phase, Signal, Status
from intramural.scheduler.executors.bell import Bell
from intramural.scheduler.executors.bytecode import compile_ahead
from intramural.scheduler.executors.memory import KilledForMemory
from intramural.scheduler.executors.parent import ENTRY, Parent
from intramural.scheduler.executors.sight import run_confinement
from intramural.scheduler.executors.walled import Walled
from intramural.scheduler.processes import process_of
from intramural.walls.confined import Confined
from intramural.walls.level import level as machine_level
from intramural.walls.machine import Machine
from intramural.walls.processes import Process
from intramural.walls.receipts import read_receipt

END_SEEN_SECONDS = 1.0
"""How long a process may be gone before it counts as unseen; its parent writes the end within milliseconds."""
SPARE_AFTER_SECONDS = 3.0
"""How long a run has the machine to itself before the next spare takes in its libraries, on processor time it leaves."""
GIGABYTE = 10**9
DISK = "disk"
"""The limit, as a receipt names it."""
SIGNALLED = 128
"""A shell's exit code for a process that a signal ended, less the signal's number."""


class LocalExecutor:
    """Starts, watches and stops the runs of one home."""

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        *,
        warm: bool = True,
        idle_seconds: float = 900.0,
        entry: str = ENTRY,
        notify: Path | None = None,
        level: Level | None = None,
        machine: Callable[[], Machine] = Machine.here,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*level* is how firmly runs are confined, by default as firmly as this machine can; *machine* tells what there is."""
        self._home = home
        self._runs = home / "runs"
        self._environment = dict(environment)
        self._wanted_level = level
        self._machine = machine
        self._walled: Walled | None = None
        self._idle_seconds = idle_seconds
        self._entry = entry
        self._bell = Bell(notify)
        self._spare_at: float | None = None
        self._parent = Parent(
            home, environment, entry=entry, idle_seconds=idle_seconds, notify=notify, default_limits=self._limits
        )
        self._warm = warm
        self._compiler: subprocess.Popen[bytes] | None = None
        self._clock = clock
        self._memory = KilledForMemory()
        self._asked: set[RunId] = set()
        self._kill_at: dict[RunId, float] = {}
        self._gone_since: dict[RunId, float] = {}

    @property
    def level(self) -> Level:
        """How firmly runs are confined; found out at the first question."""
        if self._wanted_level is None:
            self._wanted_level = machine_level()
        return self._wanted_level

    def prepare(self) -> None:
        """Have a spare or the resident parent, if wanted; its imports go on while a run is staged."""
        if not self._warm:
            return
        if self.level is Level.NONE:
            self._parent.ensure()
            return
        if self._has_spares:
            self._walls().ensure_spare(self._version(), self._limits(), gently=False)
        self._compiler = self._compiler or compile_ahead()

    def submit(self, attempt: RunId, folder: Path, spec: JobSpec, keys: bytes = b"", *, grant: Grant = NOTHING_MORE) -> None:
        """
        Start *folder* within walls, or ask a parent to; `poll` tells what came of it.

        Raises `Refused` below the level that *grant* says, and `Unavailable`.
        """
        if folder != self._folder(attempt):
            raise Unavailable(f"Run {attempt} does not lie in this home.", hint="Submit it to the executor of its own home.")
        if self.level is not Level.NONE:
            self._submit_walled(attempt, folder, spec, keys, grant)
        elif (folder / PID_FILE).exists():
            return
        elif self.level < grant.level:
            raise below_required(self.level, grant.level)
        elif self._warm and self._limits(spec) == self._limits():
            self._parent.request(attempt, folder, keys)
        else:
            self._parent.once(folder, keys, self._limits(spec))

    def _submit_walled(self, attempt: RunId, folder: Path, spec: JobSpec, keys: bytes, grant: Grant) -> None:
        limits = self._limits(spec)
        wish = run_confinement(
            Path(os.path.realpath(self._home)),
            self._environment,
            Path(os.path.realpath(folder)),
            egress=grant.egress if self.level is Level.NAMESPACES else (),
            gpus=grant.gpus,
            limits=limits,
            required=grant.level,
        )
        is_plain = grant.egress == NOTHING_MORE.egress and grant.gpus == NOTHING_MORE.gpus and limits == self._limits()
        fits_spare = self._warm and self._has_spares and is_plain
        self._walls().start(attempt, folder, keys, wish, self._version() if fits_spare else None)
        confined = self._walls().find(attempt)
        if confined is not None and confined.is_alive():
            _write_beside(folder / PID_FILE, vars(confined.job))
        self._spare_at = self._clock() + SPARE_AFTER_SECONDS

    def _limits(self, spec: JobSpec | None = None) -> Limits:
        """Return what a run may use: what its job asks for, as far as the machine gives it; else what the machine gives."""
        asked = spec.resources.memory_gb if spec is not None else AUTO
        return self._machine().limits(Limits(memory_bytes=None if asked == AUTO else max(int(asked * GIGABYTE), 1)))

    @property
    def _has_spares(self) -> bool:
        """Where the folder's name inside is the one it had before, a spare may become any run."""
        return self.level is Level.NAMESPACES

    def _version(self) -> str:
        return self._parent.version().rpartition("+")[2]

    def _walls(self) -> Walled:
        if self._walled is None:
            self._walled = Walled(
                self._home,
                self._environment,
                entry=self._entry,
                level=self.level,
                idle_seconds=self._idle_seconds,
                python=sys.executable,
            )
        return self._walled

    def poll(self, attempts: Iterable[RunId]) -> dict[RunId, Status]:
        """Tell how each attempt stands, and kill those whose grace is over."""
        for attempt, at in list(self._kill_at.items()):
            process = self._process(attempt)
            if process is None or (self._clock() >= at and not process.kill()):
                del self._kill_at[attempt]
        problems = self._parent.replies()
        statuses = {attempt: self._status(attempt, problems.get(attempt)) for attempt in attempts}
        if self._spare_at is not None and (
            self._clock() >= self._spare_at or all(each.phase is Phase.ENDED for each in statuses.values())
        ):
            self._spare_at = None
            self._renew_spare()
        return statuses

    def _renew_spare(self) -> None:
        """Have a spare for the next run, on idle processor time: a run goes on, or may come."""
        if self._warm and self._has_spares:
            with contextlib.suppress(Unavailable, FileNotFoundError):  # then the next run starts cold, or the home is gone
                self._walls().ensure_spare(self._version(), self._limits(), gently=True)

    def stop(self, attempt: RunId, grace_seconds: float | None) -> None:
        """Send SIGTERM once; SIGKILL follows in a `poll` after *grace_seconds*, or now instead of it."""
        process = self._process(attempt)
        if process is None:
            return
        if grace_seconds == 0:
            process.kill()
            return
        if attempt not in self._asked and process.send(signal.SIGTERM):
            self._asked.add(attempt)
        if grace_seconds is not None:
            self._kill_at.setdefault(attempt, self._clock() + grace_seconds)

    def signal(self, attempt: RunId, request: Signal) -> None:
        """Pass *request* on as its signal."""
        process = self._process(attempt)
        if process is not None and request is Signal.CHECKPOINT:
            process.send(signal.SIGUSR1)

    def kill(self, folder: Path) -> bool:
        """End the run on *folder* with SIGKILL, as a crash would; False when none runs there."""
        process = process_of(folder)
        return process is not None and process.kill()

    def log_path(self, attempt: RunId) -> Path:
        """Return where the run writes its output."""
        return self._folder(attempt) / LOG_FILE

    def close(self) -> None:
        """Let go of what this object holds; the runs and their parents go on."""
        self._parent.close()

    def _folder(self, attempt: RunId) -> Path:
        return self._runs / attempt

    def _process(self, attempt: RunId) -> Process | None:
        return process_of(self._folder(attempt))

    def _status(self, attempt: RunId, problem: str | None) -> Status:
        folder = self._folder(attempt)
        if self.level is not Level.NONE and self._walls().is_started(attempt):
            return self._walled_status(attempt, folder)
        process = Process.read(folder / PID_FILE)
        if process is None:
            return self._not_begun(attempt, folder, problem)
        if process.is_alive():
            self._memory.watch(attempt, process.pid)
            return Status(phase=Phase.RUNNING)
        end = _read_end(folder / EXIT_FILE)
        if end is None and self._clock() - self._gone_since.setdefault(attempt, self._clock()) < END_SEEN_SECONDS:
            return Status(phase=Phase.RUNNING)
        return self._ended(attempt, end)

    def _walled_status(self, attempt: RunId, folder: Path) -> Status:
        confined = self._walls().find(attempt)
        if confined is None:
            return self._ended(attempt, None)
        self._bell.ring_at_end(attempt, confined.supervisor.pid)  # whether or not a look comes while the process works
        if confined.is_alive():
            if self._walls().is_stuck(attempt):
                confined.job.send(signal.SIGKILL)
            self._memory.watch(attempt, confined.pid)
            return Status(phase=Phase.RUNNING)
        if confined.supervisor.is_alive():
            return Status(phase=Phase.RUNNING)  # it still keeps the last output, and finishes the receipt
        end = _receipt_end(confined) or _read_end(folder / EXIT_FILE)
        if end is not None and not (folder / EXIT_FILE).exists():
            _write_beside(folder / EXIT_FILE, {"code": end.exit_code, "signal": end.signal, "at": time.time()})
        self._walls().forget(attempt)
        return self._ended(attempt, end)

    def _ended(self, attempt: RunId, end: Status | None) -> Status:
        for known in (self._kill_at, self._gone_since):
            known.pop(attempt, None)
        self._asked.discard(attempt)
        return (end or Status(phase=Phase.ENDED)).model_copy(update={"out_of_memory": self._memory.ended(attempt)})

    def _not_begun(self, attempt: RunId, folder: Path, problem: str | None) -> Status:
        if self._parent.is_pending(attempt):
            return Status(phase=Phase.STARTING)
        if self.level is Level.NONE and (folder / LOG_FILE).exists():
            return Status(phase=Phase.ENDED)  # it ran before a power cut that took its pid.json
        return Status(phase=Phase.ABSENT, problem=problem)


def _receipt_end(confined: Confined) -> Status | None:
    """Return what the supervisor saw; None when it was killed before the end."""
    with contextlib.suppress(IntramuralError):
        receipt = read_receipt(confined.folder)
        code, full = receipt.exit_code, receipt.stopped_for == DISK
        if code is not None and code > SIGNALLED:
            return Status(phase=Phase.ENDED, signal=code - SIGNALLED, disk_full=full)
        return None if code is None else Status(phase=Phase.ENDED, exit_code=code)
    return None


def _write_beside(path: Path, document: Mapping[str, Any]) -> None:
    """Put a document into a folder that the run can write, through no link of its making."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):  # a full disk; it is for whoever looks
        with open(beside, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump({name: found for name, found in document.items() if found is not None}, file)
        os.replace(beside, path)


def _read_end(path: Path) -> Status | None:
    try:
        document = json.loads(path.read_text())
        return Status(phase=Phase.ENDED, exit_code=document.get("code"), signal=document.get("signal"))
    except (FileNotFoundError, ValueError, AttributeError):  # or the machine went down over it
        return None
