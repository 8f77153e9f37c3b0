"""
Whether the kernel ended a run for want of memory, without reading its log.

The kernel counts such kills: in `memory.events` (control groups v2, cgroup-v2 document
of the kernel) or `memory.oom_control` (v1) of the run's own group, and in `/proc/vmstat`
for the whole machine. A count that rose in the last seconds of a run that a SIGKILL
ended is taken as the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from intramural.domain.value import RunId

WINDOW_SECONDS = 5.0
"""A count is compared with one at least this old, at most twice this old."""


class KilledForMemory:
    """Remembers the kernel's counts while runs live."""

    def __init__(self, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._sources: dict[RunId, tuple[Path, ...]] = {}
        self._counts: dict[RunId, list[tuple[float, int]]] = {}
        """The two newest observations, the older first."""

    def watch(self, attempt: RunId, pid: int) -> None:
        """Note the count while *attempt* lives."""
        seen = self._counts.setdefault(attempt, [])
        if seen and self._clock() - seen[-1][0] < WINDOW_SECONDS:
            return
        if attempt not in self._sources:
            self._sources[attempt] = self._of(pid)
        self._counts[attempt] = [*seen[-1:], (self._clock(), self._count(attempt))]

    def ended(self, attempt: RunId) -> bool:
        """Tell whether the count rose since it was last seen alive, and forget the attempt."""
        seen = self._counts.pop(attempt, [])
        rose = bool(seen) and self._count(attempt) > seen[0][1]
        self._sources.pop(attempt, None)
        return rose

    def _of(self, pid: int) -> tuple[Path, ...]:
        """Return the files that count kills around process *pid*."""
        found = [self._root / "proc/vmstat"]
        try:
            lines = (self._root / f"proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            return tuple(found)
        for line in lines:
            _, controllers, group = line.split(":", 2)
            if controllers == "":
                found.append(self._root / "sys/fs/cgroup" / group.lstrip("/") / "memory.events")
            elif controllers == "memory":
                found.append(self._root / "sys/fs/cgroup/memory" / group.lstrip("/") / "memory.oom_control")
        return tuple(found)

    def _count(self, attempt: RunId) -> int:
        return sum(_kills(path) for path in self._sources.get(attempt, ()))


def _kills(path: Path) -> int:
    """Return the `oom_kill` line of a counter file; 0 where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
