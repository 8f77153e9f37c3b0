"""
The side that has foreign files read: it opens them, hands them to workers, and takes what they say piece by piece.

Pieces come in the order of the file, whichever worker they are from. A worker that says
nothing for long, or what makes no sense, ends the work.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from intramural.errors import InvalidInput
from intramural.intake.findings.scanner import anchors
from intramural.intake.findings.screen import Screening
from intramural.intake.findings.secrets import compile_rules, gates
from intramural.intake.labelled import Compared, compared_from
from intramural.intake.member import END_SECONDS, Member, Start
from intramural.intake.pieces import HEAD, FrameKind, Piece, not_believed, piece_from
from intramural.intake.reading import ReadAs
from intramural.intake.sources import SourceFile
from intramural.intake.worker import PIECE_BYTES, RULES_READY, Orders, Reader, Task

WORTH_SHARING = 4 << 20
"""Bytes of a source from which on it pays to start more than one worker."""
MOST_WORKERS = 16
AHEAD = 4
"""Files that are handed out before they are asked for."""
_LONGEST = 600

Read = Callable[[SourceFile], Iterator[Piece]]
"""Yields the pieces of the next file. Raises `InvalidInput` for one that cannot be read."""
T = TypeVar("T")
Decode = Callable[[bytes], T]


class Team:
    """
    Workers, which start while the block goes on and end with it.

    A start takes some tenths of a second: begin it before what else there is to do.
    """

    def __init__(
        self,
        start: Start,
        source: Iterable[SourceFile] = (),
        *,
        rules: Path | None = None,
        size: int = 0,
        end_seconds: float = END_SECONDS,
    ) -> None:
        """Have as many workers as pay for *source*, or *size*; *rules* keeps compiled patterns, and is all they can see."""
        self._start, self.rules, self._end_seconds = start, rules, end_seconds
        self._size = size or _worth(source)
        self.members: list[Member] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Team:
        if self.rules is not None:
            self.rules.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # parents alone would be open to others
            self.rules.mkdir(mode=0o700, exist_ok=True)
        with contextlib.ExitStack() as stack:
            for _ in range(self._size):
                self.members.append(stack.enter_context(Member(self._start, self.rules, self._end_seconds)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.members:
            each.part()  # they end beside each other
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

    def __init__(self, team: list[Member], source: Iterable[SourceFile], rules: Path | None) -> None:
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

    def _next(self, worker: Member) -> tuple[bytes, bytes]:
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
