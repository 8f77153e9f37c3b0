"""
The program that reads foreign bytes: within walls, with the files it is handed and one pipe to answer through.

    python -m intramural.intake.worker CHANNEL OUTPUT

Both are descriptors. Over the channel comes first what to do (`Orders`), then file after
file, each an open descriptor with a name. Of every file it reads all pieces and answers for
those whose turn is its own, so that several of them share the work without a word between
them. Pieces are cut by what is in the file alone: the answers are the same however many share.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from intramural.domain.dataset import Classification
from intramural.domain.findings import FindingKind, Treatment
from intramural.errors import InvalidInput
from intramural.intake.bounds import Row
from intramural.intake.findings.screen import BATCH_CHARACTERS, BATCH_ROWS, Screener, Screening
from intramural.intake.findings.secrets import RulesMissing
from intramural.intake.formats import Format
from intramural.intake.labelled import Compared, compare, frame_of_compared
from intramural.intake.pieces import KEPT_FAULTS, MOST_NAMES, FrameKind, Piece, frame, frame_of
from intramural.intake.reading import ReadAs, Reading
from intramural.intake.rows import json_rows, lines_of, rows_of
from intramural.intake.sides import hash_of
from intramural.intake.stretches import Stretch, is_plain_lines

PIECE_BYTES = 1 << 19
"""Of JSON lines: the lines that begin in one such stretch of the file are a piece."""
MESSAGE_BYTES = 1 << 20
RULES_READY = b"rules"

Parts = list[bytes]
"""Of a frame."""
T = TypeVar("T")


@dataclass(frozen=True)
class Orders:
    """What a worker is to do with every file."""

    how: ReadAs
    screening: Screening = field(repr=False)
    mine: int = 0
    """Which of the turns are this worker's,"""
    of: int = 1
    """and how many workers take turns."""
    labelled: bool = False
    """Whether the files are labelled samples, which a scan is measured by."""

    def document(self) -> dict[str, Any]:
        """Return the orders as JSON values."""
        screening = self.screening
        return {
            "how": {**vars(self.how), "mapping": {**self.how.mapping}},
            "class": screening.classification,
            "said": {kind: treatment.value for kind, treatment in screening.said.items()},
            "denied": screening.denied,
            "names": screening.names,
            "key": screening.key.hex(),
            "cache_folder": str(screening.cache_folder) if screening.cache_folder else None,
            "turns": [self.mine, self.of],
            "labelled": self.labelled,
        }

    @classmethod
    def read(cls, said: dict[str, Any]) -> Orders:
        """Return what `document` wrote."""
        screening = Screening(
            classification=Classification(said["class"]),
            said={FindingKind(kind): Treatment(treatment) for kind, treatment in said["said"].items()},
            denied=tuple(said["denied"]),
            names=said["names"],
            key=bytes.fromhex(said["key"]),
            cache_folder=Path(said["cache_folder"]) if said["cache_folder"] else None,
        )
        mine, of = said["turns"]
        return cls(ReadAs(**said["how"]), screening, mine, of, said["labelled"])


class Task(NamedTuple):
    """One file to read."""

    name: str
    size: int
    """0 where nobody knows."""
    first: int
    """Whose turn its first piece is."""
    alone: bool
    """Whether one worker does all of it."""


class Reader:
    """Reads files and answers for its turns."""

    def __init__(self, orders: Orders, fetch_rules: Callable[[], None] | None = None) -> None:
        self._orders = orders
        self._fetch_rules = fetch_rules
        """Waits until somebody compiled the rules for secrets; none: they are compiled here."""
        self._screener = Screener(orders.screening, may_compile=fetch_rules is None)

    def frames(self, opened: BinaryIO, task: Task) -> Iterator[Parts]:
        """Yield what there is to say of a file."""
        mine, of = self._orders.mine, self._orders.of
        turns = range(sys.maxsize) if task.alone else range((mine - task.first) % of, sys.maxsize, of)
        try:
            if self._orders.labelled:
                yield from map(frame_of_compared, self._compared(opened, task.name, turns))
            else:
                yield from map(frame_of, self._pieces(opened, task.name, task.size, turns))
        except InvalidInput as error:
            yield frame(FrameKind.ERROR, json.dumps([error.message, error.hint]).encode())
        else:
            yield frame(FrameKind.END)

    def _pieces(self, opened: BinaryIO, name: str, size: int, turns: range) -> Iterator[Piece]:
        progress = _Progress()
        form, rows = Reading(self._orders.how).begin(opened, name, progress)
        if size > PIECE_BYTES and is_plain_lines(opened, name):
            for number in turns:
                if number * PIECE_BYTES >= size:
                    return
                lines = Stretch(opened.fileno(), number * PIECE_BYTES, min(size, (number + 1) * PIECE_BYTES), size)
                piece = self._piece(form, list(json_rows(lines_of(lines.blocks()))))
                piece.lines, piece.done = lines.count, lines.end
                yield piece
            return
        for number, batch in enumerate(_batches(rows)):
            if number in turns:
                piece = self._piece(form, batch)
                piece.done = progress.done
                yield piece

    def _piece(self, form: Format, rows: list[Row]) -> Piece:
        reading = Reading(self._orders.how)
        taken = reading.examples(form, rows)
        examples = [(line, example, None if group is None else hash_of(group)) for line, example, group in taken]
        return Piece(
            format=form.name,
            screened=self._with_rules(lambda: self._screener.screen(examples)),
            rows=reading.rows,
            lines=0,
            done=0,
            fault_count=reading.fault_count,
            faults=reading.faults[:KEPT_FAULTS],
            unused=sorted(map(str, reading.unused))[:MOST_NAMES],
            origins=reading.origins.provenance(),
        )

    def _compared(self, opened: BinaryIO, name: str, turns: range) -> Iterator[Compared]:
        progress = _Progress()
        for number, batch in enumerate(_batches(rows_of(opened, name, progress))):
            if number in turns:
                compared = self._with_rules(partial(compare, name, batch, self._screener))
                compared.done = progress.done
                yield compared

    def _with_rules(self, work: Callable[[], T]) -> T:
        """Do work that may need the compiled rules for secrets."""
        try:
            return work()
        except RulesMissing:
            if self._fetch_rules is None:
                raise
            self._fetch_rules()
            # kingfisher keeps nothing in a folder that others can write to: then each reader compiles for itself.
            self._screener.may_compile = True
            return work()


class _Progress:
    """Remembers how far a file was read."""

    done = 0

    def __call__(self, done: int, _: int) -> None:
        self.done = done


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Yield rows in batches of about the size that is screened at a time."""
    batch: list[Row] = []
    weight = 0
    for row in rows:
        batch.append(row)
        weight += _weight(row[1])
        if len(batch) >= BATCH_ROWS or weight >= BATCH_CHARACTERS:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def _weight(value: Any) -> int:
    """Return about how many characters a row's values have."""
    if type(value) is str:
        return len(value)
    if type(value) is dict:
        return sum(map(_weight, value.values()))
    return sum(map(_weight, value)) if type(value) is list else 8


class Channel:
    """What a worker hears from whoever started it, and says to them."""

    def __init__(self, number: int, output: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=number)
        self._output = output
        self._waiting: deque[tuple[bytes, list[int]]] = deque()

    def orders(self) -> Orders:
        """Return what came first."""
        _, descriptors = self._receive()
        with open(descriptors[0], "rb") as file:
            return Orders.read(json.load(file))

    def tasks(self) -> Iterator[tuple[Task, BinaryIO]]:
        """Yield file after file, until the other side closes."""
        while True:
            sent, descriptors = self._waiting.popleft() if self._waiting else self._receive()
            if not sent:
                return
            with open(descriptors[0], "rb") as opened:
                yield Task(*json.loads(sent)), opened

    def fetch_rules(self) -> None:
        """Ask for the compiled rules for secrets, and wait until they are there."""
        self.write(frame(FrameKind.RULES))
        while True:
            sent, descriptors = self._receive()
            if sent == RULES_READY:
                return
            if not sent:
                sys.exit(1)
            self._waiting.append((sent, descriptors))

    def write(self, parts: Parts) -> None:
        """Answer."""
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(self._output, view) :]

    def _receive(self) -> tuple[bytes, list[int]]:
        sent, descriptors, _, _ = socket.recv_fds(self._socket, MESSAGE_BYTES, 1)
        return sent, descriptors


def main() -> None:
    """Read what comes through the channel; end when it is closed."""
    channel = Channel(*map(int, sys.argv[1:3]))
    reader = Reader(channel.orders(), channel.fetch_rules)
    for task, opened in channel.tasks():
        for parts in reader.frames(opened, task):
            channel.write(parts)


if __name__ == "__main__":
    main()
