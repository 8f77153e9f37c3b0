"""
The pre-imported parent that forks once per run.

Importing torch and its family takes longer than starting a small run, so one resident
process per INTRAMURAL_HOME imports them once and then forks. It has one thread, and
never computes with a tensor: a forked child could not use OpenMP after that. A run
does not depend on it: when this process dies, its runs go on.

    HOME/warm.sock    one JSON line in, one out; only for the same user
    HOME/warm.lock    held while this process serves, so that there is one; holds its number

    {"do": "start", "run": PATH, "version": V}  ->  {"started": bool, "pid": N}  |  {"error": "other_version"}
    {"do": "leave"}                             ->  {"leaving": true}; it ends when its last run has

With a start comes the reading end of a pipe (SCM_RIGHTS of unix(7)) that holds the run's
keys. This process passes it on unread, so no run finds the keys of another in its memory.

With `--once RUN` it is no resident: it starts that run, waits for it and ends.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

DEFAULT_ENTRY = "intramural.workloads.train:main"
SOCKET = "warm.sock"
LOCK = "warm.lock"
REQUEST_BYTES = 16_384
REQUEST_SECONDS = 2.0


class Parent:
    """Serves starts on a socket and reaps the runs it forked."""

    def __init__(self, home: Path, entry: str, version: str, idle_seconds: float, notify: Path | None) -> None:
        self._home = home
        self._entry = entry
        self._version = version
        self._idle_seconds = idle_seconds
        self._notify = notify
        self._runs: dict[int, tuple[int, Path]] = {}
        """By pidfd: the process and its directory."""
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._lock: int | None = None

    def listen(self) -> bool:
        """Become the home's one resident, and be connected to at once; False when there is one."""
        lock = os.open(self._home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        path = self._home / SOCKET
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        folder = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            listener.bind(f"/proc/self/fd/{folder}/{SOCKET}")  # a socket's path may have 107 bytes, a home more
        finally:
            os.umask(before)
            os.close(folder)
        listener.listen(16)
        listener.setblocking(False)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)
        return True

    def preload(self) -> None:
        """Import what a run needs, and make sure that this process may still fork."""
        importlib.import_module("intramural.workloads.launch")
        module = importlib.import_module(self._entry.partition(":")[0])
        preload = getattr(module, "preload", None)
        if preload is not None:
            preload()
        threads = max(threading.active_count(), len(os.listdir("/proc/self/task")))
        if threads != 1:
            raise SystemExit(
                f"The imports of {self._entry} started {threads - 1} threads; a process with threads cannot fork safely."
            )
        gc.collect()
        gc.freeze()  # a collection in a child would copy every page of the imports

    def serve(self) -> None:
        """Answer until nobody asked for the idle time, or it was told to leave; then wait for the runs."""
        last_use = time.monotonic()
        while self._listener is not None or self._runs:
            wait = last_use + self._idle_seconds - time.monotonic() if self._listener is not None and not self._runs else None
            ready = self._selector.select(max(wait, 0.0) if wait is not None else None)
            if not ready and wait is not None and wait <= 0:
                self._leave()
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._reap(key.fd)
                last_use = time.monotonic()

    def start(self, run: Path, keys: int | None) -> dict[str, Any]:
        """Start *run* unless it was started before, and watch it; *keys* is the pipe that only the run reads."""
        from intramural.workloads.launch import launch  # noqa: PLC0415 - the socket is there before any import that takes time

        launched = launch(run, self._entry, keys)
        if launched.pid is not None:
            watch = os.pidfd_open(launched.pid)
            self._runs[watch] = (launched.pid, run)
            self._selector.register(watch, selectors.EVENT_READ)
        return {"started": launched.started, "pid": launched.pid}

    def _accept(self) -> None:
        if self._listener is None:
            return
        with contextlib.suppress(OSError, ValueError):  # a caller that left, or wrote no request
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(REQUEST_SECONDS)
                if _peer_uid(connection) != os.getuid():
                    return
                line, pipes = _received(connection)
                try:
                    answer = self._answer(json.loads(line), pipes[0] if pipes else None)
                finally:
                    for each in pipes:
                        os.close(each)
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: Any, keys: int | None) -> dict[str, Any]:
        match request:
            case {"do": "start", "version": self._version, "run": str(run)}:
                try:
                    return self.start(Path(run), keys)
                except OSError as error:
                    return {"error": os.strerror(error.errno or 0)}
            case {"do": "start"}:
                return {"error": "other_version"}
            case {"do": "leave"}:
                self._leave()
                return {"leaving": True}
        return {"error": "unknown_request"}

    def _leave(self) -> None:
        """Give the place up; runs that go on are still waited for."""
        if self._listener is None or self._lock is None:
            return
        self._selector.unregister(self._listener)
        (self._home / SOCKET).unlink(missing_ok=True)
        self._listener.close()
        self._listener = None
        os.close(self._lock)
        self._lock = None

    def _reap(self, watch: int) -> None:
        from intramural.workloads.launch import record_exit  # noqa: PLC0415 - see `start`

        self._selector.unregister(watch)
        os.close(watch)
        pid, run = self._runs.pop(watch)
        record_exit(run, os.waitpid(pid, 0)[1])
        if self._notify is not None:
            with contextlib.suppress(OSError):  # no scheduler reads there now
                bell = os.open(self._notify, os.O_WRONLY | os.O_NONBLOCK)
                os.write(bell, b"e")
                os.close(bell)


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return a request's line and the descriptors that came with it."""
    line, pipes = b"", []
    while not line.endswith(b"\n") and len(line) < REQUEST_BYTES:
        piece, passed, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 1)
        pipes += passed
        if not piece:
            break
        line += piece
    return line, pipes


def _peer_uid(connection: socket.socket) -> int:
    """Return the user on the other side (unix(7), SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def main(argv: list[str] | None = None) -> int:
    """Serve a home, or run one directory."""
    parser = argparse.ArgumentParser(prog="intramural.workloads.warm", description="Start runs in processes of their own.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--once", type=Path, help="start this run directory, wait for it and end")
    parser.add_argument("--keys", type=int, help="a descriptor from which the one run reads its keys")
    parser.add_argument("--entry", default=DEFAULT_ENTRY, help="module:function to run")
    parser.add_argument("--version", default="", help="what a start request must name")
    parser.add_argument("--idle-seconds", type=float, default=900.0)
    parser.add_argument("--notify", type=Path, help="a FIFO that gets a byte when a run ended")
    options = parser.parse_args(argv)
    _leave_starter()
    parent = Parent(options.home, options.entry, options.version, options.idle_seconds, options.notify)
    if options.once is not None:
        _say(parent.start(options.once, options.keys))
        if options.keys is not None:
            os.close(options.keys)
    elif parent.listen():
        _say({"listening": True})
        parent.preload()
    else:
        _say({"error": "another_parent"})
    parent.serve()
    return 0


def _leave_starter() -> None:
    """Become a child of the system, in a session of its own: neither a terminal nor the scheduler ends it."""
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say(reply: dict[str, Any]) -> None:
    """Print one line for the process that started this one, and let go of its pipe."""
    with contextlib.suppress(BrokenPipeError):  # it died meanwhile; its successor finds us
        os.write(1, json.dumps(reply).encode() + b"\n")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
