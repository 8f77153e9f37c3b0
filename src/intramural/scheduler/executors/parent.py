"""
Talk to the parents of runs: the resident one of a home, or one per run.

The parent is a program of the workloads (`intramural.workloads.warm`); this side knows
only its command line and its two requests. Nothing here waits for its imports: a
request is sent, and the reply is read when it is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import intramural
from intramural.domain.confinement import Limits
from intramural.domain.value import RunId
from intramural.errors import Unavailable

PROGRAM = "intramural.workloads.warm"
ENTRY = "intramural.workloads.train:main"
SOCKET = "warm.sock"
LOG = "warm.log"
REPLY_BYTES = 16_384
CONNECT_SECONDS = 2.0
LIMITED = 'ulimit -d "$1" && shift && exec "$@"'
"""Limit the memory of what comes after, and of all that it forks; in KiB."""


class Parent:
    """Starts the parents of one home, with their environment and entry."""

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        *,
        entry: str = ENTRY,
        idle_seconds: float = 900.0,
        notify: Path | None = None,
        default_limits: Callable[[], Limits] = Limits,
    ) -> None:
        self._home = home
        self._environment = dict(environment)
        self._entry = entry
        self._idle_seconds = idle_seconds
        self._notify = notify
        self._default_limits = default_limits
        self._pending: dict[RunId, socket.socket] = {}

    def once(self, folder: Path, keys: bytes, limits: Limits) -> None:
        """Start *folder* through a parent of its own, with *limits*. Raises `Unavailable` when that cannot be started."""
        with _pipe_with(keys) as pipe:
            reply = self._spawn("--once", str(folder), "--keys", str(pipe), limits=limits, inherited=(pipe,))
        if "error" in reply:
            raise Unavailable(f"The run could not be started: {reply['error']}.", hint=f"Look at {LOG} in INTRAMURAL_HOME.")

    def ensure(self) -> None:
        """Start the resident parent, unless one serves the home."""
        with contextlib.suppress(OSError):
            self._connect().close()
            return
        limits = self._default_limits()
        self._spawn("--version", self.version(), "--idle-seconds", str(self._idle_seconds), limits=limits)

    def request(self, attempt: RunId, folder: Path, keys: bytes = b"") -> None:
        """Ask the resident parent to start *folder*; `replies` tells what came of it. Raises `Unavailable`."""
        if attempt in self._pending:
            return
        line = json.dumps({"do": "start", "run": str(folder), "version": self.version()})
        try:
            connection = self._connect()
        except OSError:
            self.ensure()
            try:
                connection = self._connect()
            except OSError as error:
                raise Unavailable(
                    f"The parent of the runs does not answer: {error.strerror}.", hint=f"Look at {LOG}."
                ) from error
        with _pipe_with(keys) as pipe:  # the parent passes it on unread, so that the next run it forks knows nothing of it
            socket.send_fds(connection, [line.encode() + b"\n"], [pipe])
        connection.setblocking(False)
        self._pending[attempt] = connection

    def is_pending(self, attempt: RunId) -> bool:
        """Tell whether a request still waits for its reply."""
        return attempt in self._pending

    def replies(self) -> dict[RunId, str]:
        """Read the replies that are there; return the problem of each request that came to nothing."""
        problems: dict[RunId, str] = {}
        for attempt, connection in list(self._pending.items()):
            try:
                line = connection.recv(REPLY_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                line = b""
            connection.close()
            del self._pending[attempt]
            problem = (
                json.loads(line).get("error")
                if line.endswith(b"\n")
                else f"its parent ended before it began; {LOG} in INTRAMURAL_HOME says why"
            )
            if problem == "other_version":
                self._dismiss()
            if problem is not None:
                problems[attempt] = problem
        return problems

    def close(self) -> None:
        """Let go of the connections; requests that wait are carried out all the same."""
        while self._pending:
            self._pending.popitem()[1].close()

    def version(self) -> str:
        """Return what a resident parent must have been started with: code, libraries, interpreter, environment, limits."""
        seen = hashlib.sha256()
        package = Path(intramural.__file__).parent
        for path in sorted(package.rglob("*.py")):
            status = path.stat()
            seen.update(f"{path.relative_to(package)} {status.st_mtime_ns} {status.st_size}\n".encode())
        libraries = os.stat(sysconfig.get_path("purelib")).st_mtime_ns
        limits = self._default_limits().document()
        rest = [libraries, sys.executable, sys.version, self._entry, sorted(self._environment.items()), limits]
        seen.update(json.dumps(rest).encode())
        return f"{intramural.__version__}+{seen.hexdigest()[:16]}"

    def _dismiss(self) -> None:
        """Tell a resident parent of other code to leave; its runs go on."""
        with contextlib.suppress(OSError), self._connect() as connection:
            connection.sendall(b'{"do": "leave"}\n')
            connection.recv(REPLY_BYTES)

    def _connect(self) -> socket.socket:
        folder = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(f"/proc/self/fd/{folder}/{SOCKET}")  # a socket's path may have 107 bytes, a home more
            if _peer_uid(connection) != os.getuid():
                raise PermissionError(1, "another user's process")
        except BaseException:
            connection.close()
            raise
        finally:
            os.close(folder)
        return connection

    def _spawn(self, *arguments: str, limits: Limits, inherited: tuple[int, ...] = ()) -> dict[str, Any]:
        """Start a parent that leaves this process at once; return its first line."""
        command = [sys.executable, "-P", "-m", PROGRAM, "--home", str(self._home), "--entry", self._entry, *arguments]
        if self._notify is not None:
            command += ["--notify", str(self._notify)]
        if limits.memory_bytes is not None:
            command = ["/bin/sh", "-c", LIMITED, "limited", str(_kibibytes(limits.memory_bytes)), *command]
        try:
            with open(self._home / LOG, "ab", opener=_private) as log:
                process = subprocess.Popen(
                    command,
                    env=self._environment,
                    cwd=self._home,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=inherited,
                )
        except OSError as error:
            raise Unavailable(
                f"No process can be started: {error.strerror}.", hint="Free the machine, then try again."
            ) from error
        with process:
            line = process.stdout.readline() if process.stdout is not None else b""
        if not line:
            raise Unavailable("The parent of the runs did not start.", hint=f"Look at {LOG} in INTRAMURAL_HOME.")
        reply: dict[str, Any] = json.loads(line)
        return reply


@contextlib.contextmanager
def _pipe_with(keys: bytes) -> Iterator[int]:
    """Hand out the reading end of a pipe that holds *keys* and ends after them; a keyring is far smaller than a pipe."""
    reading, writing = os.pipe()
    try:
        try:
            os.set_blocking(writing, False)
            os.write(writing, keys)
        finally:
            os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _kibibytes(memory_bytes: int) -> int:
    """Return the limit for a shell; one that holds for this process already cannot be raised."""
    highest = resource.getrlimit(resource.RLIMIT_DATA)[1]
    return (memory_bytes if highest == resource.RLIM_INFINITY else min(memory_bytes, highest)) // 1024


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _peer_uid(connection: socket.socket) -> int:
    """Return the user on the other side (unix(7), SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
