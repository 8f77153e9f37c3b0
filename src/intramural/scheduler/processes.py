"""
Processes on this machine, told apart from later ones with the same number.

A number alone proves nothing: it is reused. `Process` also knows when it started, in
which boot, and checks both on a handle (pidfd) before it sends a signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from intramural.domain.workload import PID_FILE


@dataclass(frozen=True)
class Process:
    """One process, whether or not it still lives."""

    pid: int
    start_time: int
    """Clock ticks since the boot; proc_pid_stat(5), field 22."""
    boot_id: str

    @classmethod
    def here(cls) -> Process:
        """Return this process."""
        return cls(os.getpid(), _stat(os.getpid())[1], boot_id())

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """Return the process that a `pid.json` names, or nothing when there is no such file."""
        try:
            document = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return cls(int(document["pid"]), int(document["start_time"]), str(document["boot_id"]))

    def is_alive(self) -> bool:
        """Tell whether it still works; one that ended and was not waited for does not."""
        try:
            state, start_time = _stat(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state not in {"Z", "X"} and start_time == self.start_time and self.boot_id == boot_id()

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process; False when it is gone."""
        with self._handle() as handle:
            if handle is None:
                return False
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                return False
            return True

    def kill(self) -> bool:
        """End it and its children at once; False when it is gone."""
        with self._handle() as handle:
            if handle is None:
                return False
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # a run leads a session of its own
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            return True

    @contextlib.contextmanager
    def _handle(self) -> Iterator[int | None]:
        """Open a handle on it: first the handle, then the check, so that no stranger slips between."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            yield handle if self.is_alive() else None
        finally:
            os.close(handle)


def process_of(run_folder: Path) -> Process | None:
    """Return the process of a run, as its walls wrote it down; a run without walls has a `pid.json`."""
    state = run_folder.parent.parent / "walls" / run_folder.name / "walls.json"
    try:
        return Process(**json.loads(state.read_text())["job"])
    except FileNotFoundError:
        return Process.read(run_folder / PID_FILE)


def boot_id() -> str:
    """Return the kernel's name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> tuple[str, int]:
    """Return the state and the start time of a process; the name before them may hold spaces and brackets."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])
