"""What the scheduler's tests share: waiting for other processes, and ending those a test left."""

import contextlib
import os
import signal
import time
from pathlib import Path

from intramural.errors import NotFound
from intramural.walls.confined import Confined, adopt
from intramural.walls.processes import Process, boot_id


def until(condition, seconds=120.0):
    """Wait for something another process does; return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return found


def holder(home: Path) -> Process | None:
    """Return the process that schedules *home*, or that did last; none while there is none or its name is being written."""
    try:
        _, pid, start_time = (home / "scheduler.lock").read_text().split(":")
    except (FileNotFoundError, ValueError):
        return None
    return Process(int(pid), int(start_time), boot_id())


def warm_parent(home: Path) -> int:
    """Return the number of the home's resident parent."""
    return int((home / "warm.lock").read_text())


def within_walls(home: Path) -> list[Confined]:
    """Return what runs within walls in a home, but for what is removed just now."""
    found = []
    for path in home.glob("walls/*/walls.json"):
        with contextlib.suppress(NotFound):
            if not path.parent.is_symlink():
                found.append(adopt(path.parent))
    return found


def end_processes(home: Path) -> None:
    """Kill what a test left, by the numbers in its own home."""
    if (scheduler := holder(home)) is not None:
        scheduler.kill()
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        pid = warm_parent(home)
        if str(home) in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)
    for each in within_walls(home):
        each.close()
    for path in home.glob("runs/*/pid.json"):
        process = Process.read(path)
        if process is not None:
            process.kill()
