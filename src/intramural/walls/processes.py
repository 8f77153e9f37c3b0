"""A process of this machine, told apart from a later one with the same number."""

from __future__ import annotations

import contextlib
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
    """Clock ticks since the boot."""
    boot_id: str

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
