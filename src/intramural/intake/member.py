"""One worker that reads foreign files, as those see it who talk with it: begun, ordered, asked and ended."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO, Protocol

from intramural.errors import Unavailable
from intramural.intake.pieces import HEAD, MOST_BYTES, not_believed
from intramural.intake.sources import SourceFile
from intramural.intake.worker import Orders, Task

PROGRAM = "intramural.intake.worker"
PIPE_BYTES = 1 << 20
SILENT_SECONDS = 300.0
"""How long a worker may take for a piece."""
LISTEN_SECONDS = 0.5
END_SECONDS = 15.0
"""How long a worker is waited for when the work ends; a start may be under way, and is not broken off."""


class Start(Protocol):
    """Starts programs of ours within walls; the intake does not know how that is done."""

    def __call__(
        self, module: str, arguments: Sequence[str], *, pass_fds: Sequence[int], read_only: Sequence[str]
    ) -> AbstractContextManager[object]:
        """Run `python -m MODULE ARGUMENTS` with nothing but *pass_fds* until the block ends."""


class Member:
    """One worker of a team; a thread begins and ends it, so that others do so beside it."""

    def __init__(self, start: Start, rules: Path | None, end_seconds: float) -> None:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        answers, output = os.pipe()
        with contextlib.suppress(PermissionError):  # the user's pipes may have all the room they may have
            fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._channel, self._answers = here, os.fdopen(answers, "rb", buffering=0)
        self._theirs = (there.detach(), output)
        self._walls = start(
            PROGRAM, [*map(str, self._theirs)], pass_fds=self._theirs, read_only=[str(rules)] if rules is not None else []
        )
        self._end_seconds = end_seconds
        # No wait that Ctrl-C breaks off may harm: after a `Thread.join` that was broken off, the next one does not wait.
        self._begun, self._over, self._ended = (SimpleQueue[BaseException | None]() for _ in range(3))
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Member:
        self._thread.start()
        return self

    def part(self) -> None:
        """Have it end, and do not wait for that."""
        self._over.put(None)

    def __exit__(self, *_: object) -> None:
        self.part()
        failure = None
        with contextlib.suppress(Empty):  # it ends with this process at the latest
            failure = self._ended.get(timeout=self._end_seconds)
        self._channel.close()
        self._answers.close()
        if failure is not None:
            raise failure

    def _live(self) -> None:
        failure = None
        try:
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(self._walls)
                except BaseException as error:
                    self._begun.put(error)
                    return
                finally:
                    for each in self._theirs:
                        os.close(each)
                self._begun.put(None)
                self._over.get()
        except BaseException as error:
            failure = error
        finally:
            self._ended.put(failure)

    def order(self, orders: Orders) -> None:
        """Wait until it is there, and say what it is to do. Raises what kept it from starting."""
        failure = self._begun.get()
        self._begun.put(failure)
        if failure is not None:
            raise failure
        with _in_memory(json.dumps(orders.document()).encode()) as said:
            self._send(b"orders", said)

    def give(self, task: Task, file: SourceFile) -> None:
        """Hand over one file."""
        opened = file.open()
        try:
            self._send(json.dumps(task).encode(), opened)
        finally:
            if file.path is not None:
                opened.close()

    def tell(self, word: bytes) -> None:
        """Say a word."""
        self._send(word, None)

    def _send(self, message: bytes, opened: BinaryIO | None) -> None:
        try:
            socket.send_fds(self._channel, [message], [] if opened is None else [opened.fileno()])
        except (BrokenPipeError, ConnectionResetError):
            raise _ended() from None

    def take(self) -> tuple[bytes, bytes]:
        """Return the kind and the body of the next frame."""
        kind, size = HEAD.unpack(self._exactly(HEAD.size))
        if size > MOST_BYTES:
            raise not_believed()
        return kind, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        parts, left = [], size
        while left:
            self._wait()
            part = self._answers.read(min(left, PIPE_BYTES))
            if not part:
                raise _ended()
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _wait(self) -> None:
        """Wait until it says something; a Ctrl-C that came right before a wait is heard only when that ends."""
        until = time.monotonic() + SILENT_SECONDS
        while not select.select([self._answers], [], [], LISTEN_SECONDS)[0]:
            if time.monotonic() >= until:
                raise Unavailable(
                    f"The process that reads the file said nothing for {SILENT_SECONDS:.0f} seconds.",
                    hint="The file may have been made to keep it busy; look at it, or try again.",
                )


def _ended() -> Unavailable:
    return Unavailable(
        "The process that reads the file ended before it was done.",
        hint="The file may hold what no reader can bear, or memory ran out; `free -h` tells.",
    )


def _in_memory(content: bytes) -> BinaryIO:
    file = open(os.memfd_create("orders", os.MFD_CLOEXEC), "w+b", buffering=0)  # noqa: SIM115 - the caller closes it
    file.write(content)
    file.seek(0)
    return file
