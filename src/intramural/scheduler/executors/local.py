"""
Runs as processes of this machine, each in a session of its own.

A resident parent that has imported the libraries forks the runs (`warm`), or a small
parent per run does; either way the run outlives its parent, this object and the
scheduler. All that is known of a run stands in its directory (`pid.json`,
`exit.json`), so any executor of the same home can go on where another stopped.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from intramural.domain.spec import JobSpec
from intramural.domain.value import RunId
from intramural.domain.workload import EXIT_FILE, LOG_FILE, PID_FILE
from intramural.errors import Unavailable
from intramural.scheduler.executor import Phase, Signal, Status
from intramural.scheduler.executors.memory import KilledForMemory
from intramural.scheduler.executors.parent import ENTRY, Parent
from intramural.scheduler.processes import Process

END_SEEN_SECONDS = 1.0
"""How long a process may be gone before it counts as unseen; its parent writes the end within milliseconds."""


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs = home / "runs"
        self._parent = Parent(home, environment, entry=entry, idle_seconds=idle_seconds, notify=notify)
        self._warm = warm
        self._clock = clock
        self._memory = KilledForMemory()
        self._asked: set[RunId] = set()
        self._kill_at: dict[RunId, float] = {}
        self._gone_since: dict[RunId, float] = {}

    def prepare(self) -> None:
        """Start the resident parent, if it is wanted; its imports go on while a run is staged."""
        if self._warm:
            self._parent.ensure()

    def submit(self, attempt: RunId, folder: Path, spec: JobSpec, keys: bytes = b"") -> None:
        """Ask a parent to start *folder*; `poll` tells when that has happened. Raises `Unavailable`."""
        del spec  # one machine has nothing to choose by it
        if folder != self._folder(attempt):
            raise Unavailable(f"Run {attempt} does not lie in this home.", hint="Submit it to the executor of its own home.")
        if (folder / PID_FILE).exists():
            return
        if self._warm:
            self._parent.request(attempt, folder, keys)
        else:
            self._parent.once(folder, keys)

    def poll(self, attempts: Iterable[RunId]) -> dict[RunId, Status]:
        """Tell how each attempt stands, and kill those whose grace is over."""
        for attempt, at in list(self._kill_at.items()):
            process = self._process(attempt)
            if process is None or (self._clock() >= at and not process.kill()):
                del self._kill_at[attempt]
        problems = self._parent.replies()
        return {attempt: self._status(attempt, problems.get(attempt)) for attempt in attempts}

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
        process = Process.read(folder / PID_FILE)
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
        return Process.read(self._folder(attempt) / PID_FILE)

    def _status(self, attempt: RunId, problem: str | None) -> Status:
        folder = self._folder(attempt)
        process = Process.read(folder / PID_FILE)
        if process is None:
            return self._not_begun(attempt, folder, problem)
        if process.is_alive():
            self._memory.watch(attempt, process.pid)
            return Status(phase=Phase.RUNNING)
        end = _read_end(folder / EXIT_FILE)
        if end is None and self._clock() - self._gone_since.setdefault(attempt, self._clock()) < END_SEEN_SECONDS:
            return Status(phase=Phase.RUNNING)
        for known in (self._kill_at, self._gone_since):
            known.pop(attempt, None)
        self._asked.discard(attempt)
        return (end or Status(phase=Phase.ENDED)).model_copy(update={"out_of_memory": self._memory.ended(attempt)})

    def _not_begun(self, attempt: RunId, folder: Path, problem: str | None) -> Status:
        if self._parent.is_pending(attempt):
            return Status(phase=Phase.STARTING)
        if (folder / LOG_FILE).exists():
            return Status(phase=Phase.ENDED)  # it ran before a power cut that took its pid.json
        return Status(phase=Phase.ABSENT, problem=problem)


def _read_end(path: Path) -> Status | None:
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return Status(phase=Phase.ENDED, exit_code=document.get("code"), signal=document.get("signal"))
