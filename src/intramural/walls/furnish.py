"""
Give a process that waits at its gate what its walls consist of beside the view: limits, the listener, the counters.

Loaded before every confined process: nothing is imported here that takes time.
"""

from __future__ import annotations

import os
import resource

from intramural.walls.cgroup import Group
from intramural.walls.start import KILL, Gate

TYPE_CHECKING = False  # as in `typing`, which takes longer to load than a process takes to start
if TYPE_CHECKING:
    from typing import Any


ENDED_FIRST = "1000"
"""proc_pid_oom_score_adj(5): where memory runs out all the same, the kernel ends this process before any other."""


class Held:
    """A process that waits, and all that its supervisor holds of it."""

    def __init__(self, plan: dict[str, Any], gate: Gate, group: Group, kept: set[str]) -> None:
        self.gate = gate
        self.group = group
        self.namespaces: bool = plan["level"] == "namespaces"
        self.job = gate.wait()
        self.first = _parent(self.job) if self.namespaces else self.job
        """The process whose end is the end of all: the first of the process namespace, or the job itself."""
        self.handle = os.pidfd_open(self.first)
        """Of the first; its number may be another's once it is gone."""
        self.limits: dict[str, str] = {"output_bytes": "supervisor", **dict.fromkeys(sorted(kept), "cgroup")}
        """Each limit, and what enforces it."""
        self.listener: int | None = None
        self.counters: list[int] = []
        """What the kernel counts in the run's own network."""
        self.run: str = plan["run"]
        """Where this side reaches the run directory."""
        self.disk: int | None = None
        """The run directory, held open: a spare's is renamed when it gets a run."""
        self.room = 0
        """The bytes that are free on its disk before the process begins."""
        self.starter: int | None = None
        """Whoever started it, where it is to end with them; the number may be another's once they are gone."""
        try:
            self._furnish(plan)
        except OSError:
            os.kill(gate.child, KILL)
            os.waitpid(gate.child, 0)
            raise

    def _furnish(self, plan: dict[str, Any]) -> None:
        if plan["disk"] is not None:
            self.disk = os.open(plan["disk"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.room = free_bytes(self.disk)
            self.limits["disk"] = "supervisor"
        if plan["starter"] is not None:
            self.starter = os.pidfd_open(plan["starter"])
        self._limit_resources(plan)
        if self.namespaces:
            from intramural.walls.inside import prepare  # noqa: PLC0415 - loaded while bubblewrap starts, see `begin`

            self.limits["scratch_bytes"] = "mount"
            self.listener, limited = prepare(self.job, plan["processes"])
            if limited:
                self.limits.setdefault("processes", "namespace")
            self.counters = [os.open(f"/proc/{self.job}/net/{name}", os.O_RDONLY) for name in ("snmp", "snmp6")]
        for name in ("memory", "processes", "processors"):
            self.limits.setdefault(name, "nothing")
        self.limits.setdefault("swap", "nothing" if plan["swap_is_on"] else "machine")
        if plan["linger"]:
            place = f"/proc/{self.job}/root{plan['run']}" if self.namespaces else plan["run"]
            self.run = f"/proc/{os.getpid()}/fd/{os.open(place, os.O_PATH | os.O_DIRECTORY)}"

    def _limit_resources(self, plan: dict[str, Any]) -> None:
        """Limit the waiting process, and so all it will start."""
        wanted = {
            "core_files": (resource.RLIMIT_CORE, 0),
            "open_files": (resource.RLIMIT_NOFILE, plan["open_files"]),
            "file_bytes": (resource.RLIMIT_FSIZE, plan["file_bytes"]),
        }
        if os.getuid() != 0:  # the kernel counts no processes of the machine's administrator
            wanted["processes"] = (resource.RLIMIT_NPROC, plan["processes"])
        if plan["memory"] is not None and "memory" not in self.limits:
            wanted["memory"] = (resource.RLIMIT_DATA, plan["memory"])
        for name, (limit, value) in wanted.items():
            if value is not None:
                highest = resource.prlimit(self.job, limit)[1]
                lower = value if highest == resource.RLIM_INFINITY else min(value, highest)
                resource.prlimit(self.job, limit, (lower, lower))
                self.limits.setdefault(name, "rlimit")
        try:
            with open(f"/proc/{self.job}/oom_score_adj", "w", encoding="ascii") as file:
                file.write(ENDED_FIRST)
        except OSError:
            pass  # then the kernel chooses as ever


def free_bytes(place: int) -> int:
    """Return the bytes that an ordinary user may still write on the disk of an open folder."""
    found = os.fstatvfs(place)
    return found.f_bavail * found.f_frsize


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])
