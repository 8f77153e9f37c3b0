"""
What this machine has, and what of it a process within walls may have by default.

Memory is what whoever started this may use: the machine's, or the least that the control
groups of this process allow (version 1 or 2). A part is kept back for the platform itself
and the rest of the machine. Processors are those that this process may run on; none is kept
back, because the kernel hands out their time anew every few milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from intramural.domain.confinement import Limits

RESERVE_SHARE = 8
"""One part of so many is kept back for the rest of the machine,"""
RESERVE_LEAST, RESERVE_MOST = 512 * 2**20, 16 * 2**30
"""at least and at most so much of it,"""
MOST_SHARE = 2
"""and never more than one part of so many."""


@dataclass(frozen=True)
class Machine:
    """What there is for all processes together."""

    memory_bytes: int
    processors: int

    @classmethod
    def here(cls) -> Machine:
        """Return what there is for whoever asks."""
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        known = hasattr(os, "sched_getaffinity")
        processors = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
        return cls(memory_bytes=min(total, *memory_of_groups(Path("/")), total), processors=processors)

    @property
    def reserve_bytes(self) -> int:
        """Return the memory that no process within walls is given."""
        wanted = min(max(self.memory_bytes // RESERVE_SHARE, RESERVE_LEAST), RESERVE_MOST)
        return min(wanted, self.memory_bytes // MOST_SHARE)

    def limits(self, wished: Limits | None = None) -> Limits:
        """Return *wished*, where it asks for nothing or for more than the machine gives with what the machine gives."""
        limits = wished or Limits()
        memory, processors = self.memory_bytes - self.reserve_bytes, float(self.processors)
        given = {
            "memory_bytes": min(limits.memory_bytes or memory, memory),
            "processors": min(limits.processors or processors, processors),
        }
        return limits.model_copy(update=given)


def memory_of_groups(root: Path) -> Iterator[int]:
    """Yield the limit of each control group that this process is in, by the `proc` and `sys` below *root*."""
    try:
        own = dict(line.split(":", 2)[1:] for line in (root / "proc/self/cgroup").read_text().splitlines())
        mounts = [line.split(" - ") for line in (root / "proc/self/mountinfo").read_text().splitlines()]
    except OSError:
        return
    for place, kind in mounts:
        shown, mount = place.split()[3:5]
        if kind.startswith("cgroup2 "):
            name, group = "memory.max", own.get("")
        elif kind.startswith("cgroup ") and "memory" in kind.split()[-1].split(","):
            name, group = "memory.limit_in_bytes", next((own[each] for each in own if "memory" in each.split(",")), None)
        else:
            continue
        if group is not None:
            yield from _limits_up(root / mount.lstrip("/"), _below(group, shown), name)


def _below(group: str, shown: str) -> PurePosixPath:
    """Return where *group* lies in a mount that shows the groups below *shown*."""
    path = PurePosixPath(group)
    return path.relative_to(shown) if path.is_relative_to(shown) else PurePosixPath()


def _limits_up(mount: Path, group: PurePosixPath, name: str) -> Iterator[int]:
    for each in (group, *group.parents):
        try:
            text = (mount / each / name).read_text().strip()
        except OSError:
            continue  # the topmost group of version 2 has no such file
        if text.isdigit():  # not `max`
            yield int(text)
