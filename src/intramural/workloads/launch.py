"""
Start one run in a process of its own, exactly once, and record how it ended.

Whatever dies in the middle, a run directory is started at most one time: the start
happens under a lock, the child begins its work only after `pid.json` is in place,
and a directory that has a `pid.json` or a log is never started again. Neither file
is forced to the disk: after a power cut the process is gone anyway.

    RUN/pid.json    {"pid", "start_time", "boot_id"}; the last two tell the process from a later one with its number
    RUN/exit.json   {"code" | "signal", "at"}; absent when nobody was left to see the end
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from intramural.domain.workload import EXIT_FILE, LOG_FILE, PID_FILE
from intramural.workloads import run_keys

START_LOCK = "start.lock"
PR_SET_DUMPABLE = 4
"""Of prctl(2)."""
FAILED = 1


@dataclass(frozen=True)
class Launched:
    """What a start did: the process, or nothing because it was started before."""

    pid: int | None
    started: bool


def launch(run: Path, entry: str, keys: int | None = None) -> Launched:
    """
    Fork a process that runs *entry* (`module:function`) on the directory *run*; do nothing where that happened before.

    *keys* is a pipe that the process reads its keys from; this process does not read it.

    The caller must have one thread only. Raises OSError when the directory is not writable.
    """
    with _start_lock(run):
        if (run / PID_FILE).exists() or (run / LOG_FILE).exists():
            return Launched(pid=None, started=False)
        gate_out, gate_in = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(gate_in)
            _child(run, entry, gate_out, keys)
        os.close(gate_out)
        try:
            _write(run / PID_FILE, {"pid": pid, "start_time": start_time(pid), "boot_id": boot_id()})
            os.write(gate_in, b"g")
        finally:
            os.close(gate_in)
    return Launched(pid=pid, started=True)


def record_exit(run: Path, wait_status: int) -> None:
    """Write how the process of *run* ended, unless it wrote that itself."""
    if (run / EXIT_FILE).exists():
        return
    code = os.waitstatus_to_exitcode(wait_status)
    end: dict[str, float] = {"code": code} if code >= 0 else {"signal": -code}
    with contextlib.suppress(OSError):  # the directory may be gone, the disk full; then the end reads as lost
        _write(run / EXIT_FILE, {**end, "at": time.time()})


def start_time(pid: int) -> int:
    """Return when *pid* started, in clock ticks since the boot (proc_pid_stat(5), field 22)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[19])


def boot_id() -> str:
    """Return the kernel's name for this boot; a number of a process means nothing in another."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def load(entry: str) -> Callable[[Path], int]:
    """Import the function that `module:function` names."""
    module, _, name = entry.partition(":")
    function: Callable[[Path], int] = getattr(importlib.import_module(module), name)
    return function


@contextlib.contextmanager
def _start_lock(run: Path) -> Iterator[None]:
    lock = os.open(run / START_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(path: Path, document: Mapping[str, object]) -> None:
    """Put a JSON document in place: whole, or not there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(beside, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(document, file)
    os.replace(beside, path)


def _child(run: Path, entry: str, gate: int, keys: int | None) -> NoReturn:
    """Become the run; never return to the parent's code."""

    def prepared() -> None:
        if os.read(gate, 1) != b"g":
            os._exit(FAILED)  # the parent died before it wrote down whose child this is
        harden()
        run_keys.receive(keys)
        _settle(run)

    work(run, entry, prepared)


def work(run: Path, entry: str, prepared: Callable[[], None]) -> NoReturn:
    """Do the work of *run* as this process, once it is *prepared*; write how it ended, and end."""
    code = FAILED
    try:
        prepared()
        code = load(entry)(run)
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else FAILED
    except BaseException:
        _log_place()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        with contextlib.suppress(OSError):
            _write(run / EXIT_FILE, {"code": code, "at": time.time()})
        os._exit(code)


def harden() -> None:
    """Let no core file, and no other process of the same user, have what is in this one's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # With a pattern that is a pipe the kernel writes a core whatever the limit (core(5)); not of one that is not dumpable.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _settle(run: Path) -> None:
    """Leave the parent's session, files, signals and folder behind."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    plain_signals()
    os.umask(0o077)
    os.chdir(run)
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(run / LOG_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def plain_signals() -> None:
    """Meet every signal as a new process does, but for a checkpoint that is asked for before the work can take one."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _log_place() -> None:
    """Log the class and the place of an error; its message might quote what it was about."""
    kind, _, trace = sys.exc_info()
    print("Traceback (most recent call last):", file=sys.stderr)
    for line in traceback.format_tb(trace):
        print(line.split("\n", maxsplit=1)[0], file=sys.stderr)
    print(f"{kind.__module__}.{kind.__qualname__}" if kind else "unknown", file=sys.stderr)
