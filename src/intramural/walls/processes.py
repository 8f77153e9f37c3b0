"""
Processes of this machine, told apart from later ones with the same number.

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

from intramural.walls.cgroup import started


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
        return cls(os.getpid(), int(started(os.getpid()) or 0), boot_id())

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """Return the process that a `pid.json` names; nothing without such a file, or where the machine went down over it."""
        try:
            document = json.loads(path.read_text())
            return cls(int(document["pid"]), int(document["start_time"]), str(document["boot_id"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def is_alive(self) -> bool:
        """Tell whether it still works; one that ended and was not waited for does not."""
        return started(self.pid) == str(self.start_time) and self.boot_id == boot_id()

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process and no other; False when it is gone."""
        with self.handle() as handle:
            if handle is None:
                return False
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                return False
            return True

    def kill(self) -> bool:
        """End it and the children in its session at once; False when it is gone."""
        with self.handle() as handle:
            if handle is None:
                return False
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # a run leads a session of its own
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            return True

    @contextlib.contextmanager
    def handle(self) -> Iterator[int | None]:
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


def boot_id() -> str:
    """Return the kernel's name for this boot; a process's number means nothing in another."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
