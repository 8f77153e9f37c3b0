"""
A control group per run, where this process may make one: limits on all its processes together, and one way to end them.

Only the unified hierarchy (version 2). A group is named after its supervisor, so that
whoever comes later can tell that nobody owns it any more and sweep it.

Loaded before every confined process: nothing is imported here that takes time.
"""

from __future__ import annotations

import os
import time

PREFIX = "intramural-"
CONTROLLERS = ("memory", "pids", "cpu")
SWEEP_SECONDS = 2.0
PERIOD = 100_000
"""Microseconds over which processor time is counted."""


class Group:
    """The group of one run, or none where the machine gives no right to one."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder

    @classmethod
    def make(cls, name: str) -> Group:
        """Make a group where it is limited best, below this process's own or beside it."""
        here = place_for(CONTROLLERS)
        if here is None:
            return cls(None)
        folder = f"{here}/{PREFIX}{name}"
        try:
            os.mkdir(folder)
        except OSError:
            return cls(None)
        return cls(folder)

    def limit(self, memory_bytes: int | None, processes: int, processors: float | None) -> set[str]:
        """Set the limits that the machine delegates, and let nothing be swapped; return the names of those that hold."""
        wanted = {"processes": ("pids.max", str(processes))}
        if memory_bytes is not None:
            wanted["memory"] = ("memory.max", str(memory_bytes))
        if processors is not None:
            wanted["processors"] = ("cpu.max", f"{int(processors * PERIOD)} {PERIOD}")
        kept = {name for name, (file, text) in wanted.items() if self._set(file, text)}
        if self._set("memory.swap.max", "0"):
            kept.add("swap")
        if "memory" in kept:
            self._set("memory.oom.group", "1")
        return kept

    @property
    def door(self) -> str | None:
        """Where a process writes 0 to move into the group; what it starts later is born there."""
        return None if self._folder is None else f"{self._folder}/cgroup.procs"

    def end(self) -> None:
        """Kill every process in the group and remove it."""
        if self._folder is not None:
            _remove(self._folder)
        self._folder = None

    def _set(self, file: str, text: str) -> bool:
        if self._folder is None or not os.path.exists(f"{self._folder}/{file}"):
            return False
        try:
            _write(f"{self._folder}/{file}", text)
        except OSError:
            return False
        return True


def sweep() -> None:
    """End what runs in groups whose supervisor is gone."""
    for here in _places():
        for name in os.listdir(here):
            owner = name.removeprefix(PREFIX).split("-")
            if name.startswith(PREFIX) and len(owner) == 2 and started(owner[0]) != owner[1]:
                _remove(f"{here}/{name}")


def place_for(controllers: tuple[str, ...]) -> str | None:
    """
    Return the folder in which a new group is limited by most of *controllers*; none where no group can be made.

    A group that holds processes hands no controller down to groups below it. The one of
    whoever started this is often such a group, a service's or a session's; then the group
    above it, if it was delegated too, is the place.
    """
    best, most = None, -1
    for folder in _places():
        for name in controllers:
            try:  # noqa: SIM105 - `contextlib` takes long to load
                _write(f"{folder}/cgroup.subtree_control", f"+{name}")
            except OSError:
                pass  # not delegated, or the group holds processes
        count = len(set(controllers) & set(_read(f"{folder}/cgroup.subtree_control").split()))
        if count > most:
            best, most = folder, count
    return best


def started(pid: int | str) -> str | None:
    """Return when a process started, in clock ticks since the boot; none when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _places() -> list[str]:
    """Return the folders of this process's group and of the one above, in the unified hierarchy, that take new groups."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = [line.split() for line in file]
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            own = next(line.strip().partition("::")[2] for line in file if line.startswith("0::"))
        mount = next(fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2")
    except (OSError, StopIteration):
        return []
    folder = os.path.join(mount, own.lstrip("/")).rstrip("/")
    above = os.path.dirname(folder)
    return [each for each in ((folder, above) if folder != mount else (folder,)) if _takes_groups(each)]


def _takes_groups(folder: str) -> bool:
    """Tell whether groups and processes may be put there; a process is moved through the lowest group above both places."""
    return os.access(folder, os.W_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _remove(folder: str) -> None:
    try:  # noqa: SIM105 - `contextlib` takes long to load
        _write(f"{folder}/cgroup.kill", "1")
    except OSError:
        pass  # a kernel without cgroup.kill; the namespace ends its processes then
    until = time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < until:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.005)
        else:
            return


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)
