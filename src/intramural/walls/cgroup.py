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
SWEEP_SECONDS = 2.0
PERIOD = 100_000
"""Microseconds over which processor time is counted."""


class Group:
    """The group of one run, or none where the machine gives no right to one."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder

    @classmethod
    def make(cls, name: str) -> Group:
        """Make a group below this process's own."""
        here = _own_folder()
        if here is None:
            return cls(None)
        try:  # noqa: SIM105 - `contextlib` takes long to load
            _write(f"{here}/cgroup.subtree_control", "+memory +pids +cpu")
        except OSError:
            pass  # controllers that are not delegated; what is there is used
        folder = f"{here}/{PREFIX}{name}"
        try:
            os.mkdir(folder)
        except OSError:
            return cls(None)
        return cls(folder)

    def limit(self, memory_bytes: int | None, processes: int, processors: float | None) -> set[str]:
        """Set the limits that the machine delegates; return their names."""
        wanted = {"processes": ("pids.max", str(processes))}
        if memory_bytes is not None:
            wanted["memory"] = ("memory.max", str(memory_bytes))
        if processors is not None:
            wanted["processors"] = ("cpu.max", f"{int(processors * PERIOD)} {PERIOD}")
        kept = {name for name, (file, text) in wanted.items() if self._set(file, text)}
        if "memory" in kept:
            self._set("memory.swap.max", "0")
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
    here = _own_folder()
    if here is None:
        return
    for name in os.listdir(here):
        owner = name.removeprefix(PREFIX).split("-")
        if name.startswith(PREFIX) and len(owner) == 2 and started(owner[0]) != owner[1]:
            _remove(f"{here}/{name}")


def started(pid: int | str) -> str | None:
    """Return when a process started, in clock ticks since the boot; none when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _own_folder() -> str | None:
    """Return the folder of this process's group in the unified hierarchy, when it may make groups there."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = [line.split() for line in file]
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            own = next(line.strip().partition("::")[2] for line in file if line.startswith("0::"))
        mount = next(fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2")
    except (OSError, StopIteration):
        return None
    folder = os.path.join(mount, own.lstrip("/")).rstrip("/")
    return folder if os.access(folder, os.W_OK) else None


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
