"""
The side that has foreign files read: it opens them, hands them to workers, and takes what they say piece by piece.

Pieces come in the order of the file, whichever worker they are from. A worker that says
nothing for long, or what makes no sense, ends the work.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from intramural.errors import InvalidInput, Unavailable
from intramural.intake.findings.scanner import anchors
from intramural.intake.findings.screen import Screening
from intramural.intake.findings.secrets import compile_rules, gates
from intramural.intake.labelled import Compared, compared_from
from intramural.intake.pieces import HEAD, MOST_BYTES, FrameKind, Piece, not_believed, piece_from
from intramural.intake.reading import ReadAs
from intramural.intake.sources import SourceFile
from intramural.intake.worker import PIECE_BYTES, RULES_READY, Orders, Reader, Task

PROGRAM = "intramural.intake.worker"
WORTH_SHARING = 4 << 20
"""Bytes of a source from which on it pays to start more than one worker."""
MOST_WORKERS = 16
AHEAD = 4
"""Files that are handed out before they are asked for."""
PIPE_BYTES = 1 << 20
SILENT_SECONDS = 300.0
"""How long a worker may take for a piece."""
_LONGEST = 600


class Start(Protocol):
    """Starts programs of ours within walls; the intake does not know how that is done."""

    def __call__(
        self, module: str, arguments: Sequence[str], *, pass_fds: Sequence[int], read_only: Sequence[str]
    ) -> AbstractContextManager[object]:
        """Run `python -m MODULE ARGUMENTS` with nothing but *pass_fds* until the block ends."""


Read = Callable[[SourceFile], Iterator[Piece]]
"""Yields the pieces of the next file. Raises `InvalidInput` for one that cannot be read."""
T = TypeVar("T")
Decode = Callable[[bytes], T]


class Team:
    """
    Workers, which start while the block goes on and end with it.

    A start takes some tenths of a second: begin it before what else there is to do.
    """

    def __init__(self, start: Start, source: Iterable[SourceFile] = (), *, rules: Path | None = None, size: int = 0) -> None:
        """Have as many workers as pay for *source*, or *size*; *rules* keeps compiled patterns, and is all they can see."""
        self._start, self.rules = start, rules
        self._size = size or _worth(source)
        self.members: list[_Worker] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Team:
        if self.rules is not None:
            self.rules.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # parents alone would be open to others
            self.rules.mkdir(mode=0o700, exist_ok=True)
        with contextlib.ExitStack() as stack:
            for _ in range(self._size):
                self.members.append(stack.enter_context(_Worker(self._start, self.rules)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def crew(source: Sequence[SourceFile], how: ReadAs, screening: Screening, team: Team | None) -> Read:
    """
    Return what reads the files of *source*, which are to be asked for in their order.

    Without a *team* they are read in this process, which is for rows that are one's own.
    """
    return _crew(source, Orders(how, screening), team, FrameKind.PIECE, piece_from)


def compared(source: SourceFile, screening: Screening, team: Team | None) -> Iterator[Compared]:
    """Yield the counts of a labelled sample, part by part. Raises `InvalidInput`."""
    yield from _crew([source], Orders(ReadAs(), screening, labelled=True), team, FrameKind.SCORE, compared_from)(source)


def _crew(
    source: Sequence[SourceFile], orders: Orders, team: Team | None, kind: FrameKind, decode: Decode[T]
) -> Callable[[SourceFile], Iterator[T]]:
    if team is None:
        return _here(orders, kind, decode)
    for mine, worker in enumerate(team.members):
        worker.order(replace(orders, mine=mine, of=len(team.members)))
    handing = _Handing(team.members, source, team.rules)
    if team.rules is not None:  # for the next time: within walls nothing can be kept
        anchors(team.rules)
        gates(team.rules)
    return lambda file: (_decoded(each, body, kind, decode) for each, body in handing.frames(file))


def _worth(source: Iterable[SourceFile]) -> int:
    """Return how many workers pay."""
    if sum(each.size for each in source) < WORTH_SHARING:
        return 1
    return max(1, min(MOST_WORKERS, len(os.sched_getaffinity(0))))


def _here(orders: Orders, wanted: FrameKind, decode: Decode[T]) -> Callable[[SourceFile], Iterator[T]]:
    reader = Reader(orders)

    def read(file: SourceFile) -> Iterator[T]:
        with file.open() as opened:
            for parts in reader.frames(opened, Task(file.name, file.size, 0, alone=True)):
                body = b"".join(parts)
                kind, _ = HEAD.unpack_from(body)
                if kind == FrameKind.END.value:
                    return
                yield _decoded(kind, body[HEAD.size :], wanted, decode)

    return read


class _Handing:
    """Hands files to workers some time before they are read, and reads what comes back in the files' order."""

    def __init__(self, team: list[_Worker], source: Iterable[SourceFile], rules: Path | None) -> None:
        self._team, self._rules = team, rules
        self._coming = enumerate(source)
        self._handed: deque[Task] = deque()
        self._hand_out()

    def frames(self, file: SourceFile) -> Iterator[tuple[bytes, bytes]]:
        """Yield kind and body of what is said of the next file."""
        self._hand_out()
        task = self._handed.popleft()
        if task.name != file.name:
            raise ValueError("files are asked for in their order")
        team, first = ([self._team[task.first]], 0) if task.alone else (self._team, task.first)
        for turn in count(first):
            worker = team[turn % len(team)]
            kind, body = self._next(worker)
            if kind == FrameKind.END.value:
                break
            yield kind, body
        for other in team:
            if other is not worker and self._next(other)[0] != FrameKind.END.value:
                raise not_believed()

    def _hand_out(self) -> None:
        """Hand out the next files, opened for each worker by itself: what is open has one place in the file."""
        of = len(self._team)
        while len(self._handed) < AHEAD and (item := next(self._coming, None)):
            number, file = item
            task = Task(file.name, file.size, number % of, alone=of == 1 or file.size <= PIECE_BYTES)
            for worker in [self._team[task.first]] if task.alone else self._team:
                worker.give(task, file)
            self._handed.append(task)

    def _next(self, worker: _Worker) -> tuple[bytes, bytes]:
        while True:
            kind, body = worker.take()
            if kind != FrameKind.RULES.value:
                return kind, body
            if self._rules is None:
                raise not_believed()
            compile_rules(self._rules)
            worker.tell(RULES_READY)


def _decoded(kind: bytes, body: bytes, wanted: FrameKind, decode: Decode[T]) -> T:
    if kind == wanted.value:
        return decode(body)
    if kind != FrameKind.ERROR.value:
        raise not_believed()
    try:
        message, hint = (_plain(each) for each in json.loads(body))
    except (ValueError, TypeError):
        raise not_believed() from None
    raise InvalidInput(message, hint=hint)


def _plain(said: Any) -> str:
    """Return a sentence as one that a terminal can show."""
    if type(said) is not str:
        raise TypeError
    return "".join(each if each.isprintable() else "\ufffd" for each in said[:_LONGEST])


class _Worker:
    """One worker, as those see it who talk with it; starts in a thread, so that others start beside it."""

    def __init__(self, start: Start, rules: Path | None) -> None:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        answers, output = os.pipe()
        with contextlib.suppress(PermissionError):  # the user's pipes may have all the room they may have
            fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._channel, self._answers = here, os.fdopen(answers, "rb", buffering=0)
        self._theirs = (there.detach(), output)
        self._manager = start(
            PROGRAM, [*map(str, self._theirs)], pass_fds=self._theirs, read_only=[str(rules)] if rules is not None else []
        )
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._begin, daemon=True)

    def __enter__(self) -> _Worker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        if self._failed is None:
            self._manager.__exit__(None, None, None)
        self._channel.close()
        self._answers.close()

    def _begin(self) -> None:
        try:
            self._manager.__enter__()
        except BaseException as error:
            self._failed = error
        finally:
            for each in self._theirs:
                os.close(each)

    def order(self, orders: Orders) -> None:
        """Wait until it is there, and say what it is to do. Raises what kept it from starting."""
        self._thread.join()
        if self._failed is not None:
            raise self._failed
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
            if not select.select([self._answers], [], [], SILENT_SECONDS)[0]:
                raise Unavailable(
                    f"The process that reads the file said nothing for {SILENT_SECONDS:.0f} seconds.",
                    hint="The file may have been made to keep it busy; look at it, or try again.",
                )
            part = self._answers.read(min(left, PIPE_BYTES))
            if not part:
                raise _ended()
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


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
