"""
The scheduler process of one home: `python -m intramural.app.scheduler --home HOME`.

Whoever submits a job calls `ensure_scheduler`; the command line is never the parent of
a run. There is one scheduler per home, and it leaves when nothing was queued or running
for a while.

    HOME/scheduler.lock    held by the process that schedules; says who it is
    HOME/scheduler.wake    a FIFO; a byte in it means: look now
    HOME/scheduler.log     what it did, without content

Nothing that was submitted is overlooked: a job is committed before the bell is rung;
a scheduler opens the bell before it first looks, and looks once more after it let go
of its lock.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import logging
import os
import select
import stat
import subprocess
import sys
import termios
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intramural.scheduler.loop import Loop

LOCK = "scheduler.lock"
BELL = "scheduler.wake"
LOG = "scheduler.log"
LOG_BYTES = 4_000_000
"""A log beyond this is put aside, once, at the start of a scheduler."""
IDLE_SECONDS = 60.0
IDLE_PAUSE_SECONDS = 5.0
"""Between two looks while nothing does: the runs of a dead scheduler of another host become free."""
BUSY_PAUSE_SECONDS = 0.5
"""Between two looks while something runs; a bell ends the pause."""
AWAY_PAUSE_SECONDS = 2.0
"""Between two looks while the store is away."""
HEARD_SECONDS = 2.0
"""How long a scheduler may take to hear the bell, or a killed one to be gone; who is silent for longer is taken for busy."""
HANDOVER_SECONDS = 5.0
"""How long a new scheduler waits for one that is leaving."""

log = logging.getLogger("intramural.scheduler")


@dataclass(frozen=True)
class Sole:
    """The proof that this process alone schedules its home."""

    holder: str
    predecessor: str | None
    """Who held the lock before, on this host; it is gone, because the lock is ours."""
    lock: int

    def stands_in(self, home: Path) -> bool:
        """Tell whether the lock still lies in *home*: it may have been removed, with the home or without."""
        try:
            return os.path.samestat(os.stat(home / LOCK), os.fstat(self.lock))
        except OSError:
            return False


def ensure_scheduler(home: Path, options: Sequence[str] = ()) -> None:
    """
    Wake the scheduler of *home*, or start one that outlives this process. Raises `Unavailable`.

    *options* go to a process that is started, as words of its command line.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _ring(home):
        return
    command = [sys.executable, "-P", "-m", "intramural.app.scheduler", "--home", str(home), *options]
    _put_aside(home / LOG)
    try:
        with open(home / LOG, "ab", opener=_private) as output:
            process = subprocess.Popen(
                command, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            process.wait()  # it leaves at once; the scheduler is its child
    except OSError as error:
        from intramural.errors import Unavailable  # noqa: PLC0415 - keeps the command line's start fast

        raise Unavailable(f"No scheduler can be started: {error.strerror}.", hint=f"Can {home} be written?") from error


def main(argv: list[str] | None = None) -> int:
    """Schedule one home until there is nothing to do."""
    parser = argparse.ArgumentParser(prog="intramural.app.scheduler", description="Run the queued jobs of one home.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    parser.add_argument("--entry", help="module:function of the workload; for tests and other trainers")
    parser.add_argument("--foreground", action="store_true", help="do not leave the process that started this one")
    options = parser.parse_args(argv)
    if not options.foreground and os.fork() != 0:
        os._exit(0)
    os.umask(0o077)  # whatever it makes lies in the home, and is for this user only
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        return _run(options.home, options.idle_seconds, options.entry)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = getattr(error, "message", f"{Path(place.filename).name}:{place.lineno}")
        log.critical("left because of %s: %s", type(error).__name__, words)
        return 1


def _run(home: Path, idle_seconds: float, entry: str | None) -> int:
    """Hold the lock and serve; look once more after letting go, for a job that came in between."""
    while True:
        with _sole(home) as sole:
            if sole is None:
                return 0
            loop = _open_loop(home, sole, entry)
            with _bell(home) as bell:
                _serve(loop, bell, idle_seconds, partial(sole.stands_in, home))
            loop.close()
            if not sole.stands_in(home):
                log.critical("%s, or the lock in it, was removed; left", home)
                return 1
        if not _something_waits(home):
            _sweep(home)
            log.info("nothing to do; left")
            return 0


def _serve(loop: Loop, bell: int, idle_seconds: float, is_ours: Callable[[], bool]) -> None:
    """Tick until nothing was queued or running for *idle_seconds*, or the home is not ours any more."""
    from intramural.errors import Unavailable  # noqa: PLC0415 - the command line imports this module

    idle_since, said = time.monotonic(), None
    while is_ours():
        try:
            busy = loop.tick()
            left = idle_since + idle_seconds - time.monotonic()
            pause, said = BUSY_PAUSE_SECONDS if busy else min(left, IDLE_PAUSE_SECONDS), None
        except Unavailable as error:
            if error.message != said:
                log.error("%s", error.message)
            busy, pause, said = True, AWAY_PAUSE_SECONDS, error.message
        if busy:
            idle_since = time.monotonic()
        elif pause <= 0:
            return
        if select.select([bell], [], [], pause)[0]:
            os.read(bell, 4096)


def _open_loop(home: Path, sole: Sole, entry: str | None) -> Loop:
    """Put the parts of this home's scheduler together."""
    from intramural.app.memory import close_memory  # noqa: PLC0415 - the command line imports this module
    from intramural.scheduler.executors.local import LocalExecutor  # noqa: PLC0415 - as above
    from intramural.scheduler.executors.parent import ENTRY  # noqa: PLC0415 - as above
    from intramural.settings import load_settings  # noqa: PLC0415 - as above
    from intramural.workloads.environment import workload_environment  # noqa: PLC0415 - as above

    close_memory()
    settings = load_settings(home)
    executor = LocalExecutor(
        settings.home,
        workload_environment(),
        warm=settings.warm,
        idle_seconds=settings.warm_idle_minutes * 60,
        notify=settings.home / BELL,
        entry=entry or ENTRY,
    )
    executor.prepare()  # its imports take longest, so they begin first
    from intramural.app.open import open_context, scheduler_actor  # noqa: PLC0415 - the command line imports this module
    from intramural.scheduler.loop import Loop  # noqa: PLC0415 - as above

    return Loop(
        open_context(settings, scheduler_actor()),
        executor,
        holder=sole.holder,
        predecessor=sole.predecessor,
        lease_seconds=settings.lease_seconds,
    )


def _something_waits(home: Path) -> bool:
    from intramural.app.open import open_context, scheduler_actor  # noqa: PLC0415 - the command line imports this module
    from intramural.service.runs import queue_length  # noqa: PLC0415 - the command line imports this module
    from intramural.settings import load_settings  # noqa: PLC0415 - as above

    return queue_length(open_context(load_settings(home), scheduler_actor())) > 0


def _sweep(home: Path) -> None:
    """Remove what killed processes left, at a moment when nobody waits for anything."""
    from intramural.app.open import open_context, scheduler_actor  # noqa: PLC0415 - the command line imports this module
    from intramural.errors import IntramuralError  # noqa: PLC0415 - as above
    from intramural.service.sweeping import sweep_home  # noqa: PLC0415 - as above
    from intramural.settings import load_settings  # noqa: PLC0415 - as above

    try:
        found = sweep_home(open_context(load_settings(home), scheduler_actor()))
    except IntramuralError as error:
        log.warning("swept nothing: %s", error.message)
        return
    if not found.is_empty:
        log.info("swept %d blobs, %d keys, %d run directories", found.blobs, found.keys, found.runs)


def _holder() -> str:
    """Return who holds the leases: host, process and its start, so that no later process is taken for this one."""
    from intramural.walls.processes import Process  # noqa: PLC0415 - the command line imports this module

    here = Process.here()
    return f"{os.uname().nodename}:{here.pid}:{here.start_time}"


@contextlib.contextmanager
def _sole(home: Path) -> Iterator[Sole | None]:
    """Be the one scheduler of *home* inside the block, or learn that there is one."""
    lock = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + HANDOVER_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    yield None
                    return
                time.sleep(0.02)
        before = os.read(lock, 1024).decode().strip()
        is_local = before.partition(":")[0] == os.uname().nodename
        sole = Sole(holder=_holder(), predecessor=before if is_local else None, lock=lock)
        # one write over the old name: whoever dies or reads here finds a name
        written = os.pwrite(lock, f"{sole.holder}\n".ljust(len(before) + 1).encode(), 0)
        os.truncate(lock, written)
        yield sole
    finally:
        os.close(lock)


@contextlib.contextmanager
def _bell(home: Path) -> Iterator[int]:
    """Open the bell; both ends, so that it never reads as closed."""
    path = home / BELL
    if not path.is_fifo():
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
    bell = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield bell
    finally:
        os.close(bell)


def _ring(home: Path) -> bool:
    """Wake a scheduler; False when none listens, or the one that did is dying."""
    try:
        bell = os.open(home / BELL, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENXIO}:
            return False
        raise
    try:
        if not stat.S_ISFIFO(os.fstat(bell).st_mode):
            return False
        with contextlib.suppress(BlockingIOError):  # full: it is awake already
            os.write(bell, b"j")
        return _is_heard(bell, home)
    except BrokenPipeError:
        return False
    finally:
        os.close(bell)


def _is_heard(bell: int, home: Path) -> bool:
    """Tell whether a scheduler took the byte, as a resting one does at once, or will, being busy."""
    until = time.monotonic() + HEARD_SECONDS
    waiting = bytearray(4)
    while time.monotonic() < until:
        fcntl.ioctl(bell, termios.FIONREAD, waiting)
        if not int.from_bytes(waiting, sys.byteorder):
            return True
        if not _has_listener(home):
            return False
        time.sleep(0.001)
    return True


def _has_listener(home: Path) -> bool:
    """Tell whether somebody has the bell open to hear it; a killed one has until it is gone."""
    try:
        os.close(os.open(home / BELL, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _put_aside(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))


if __name__ == "__main__":
    sys.exit(main())
