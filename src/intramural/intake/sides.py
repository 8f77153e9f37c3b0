"""
The two sides of a data set, training and hold-out, written as the rows arrive.

The side of a row follows from a hash: of the example, or of the value that groups it.
The first 64 bits of the SHA-256, read as a fraction, lie below the hold-out share or not.
So a row keeps its side whatever the order and the company it comes in, and equal rows
share a side. Only where a side would stay empty does the company count: then the rows
of the smallest (for the hold-out) or the largest hash change sides.

Examples are told apart by 64 bits of their SHA-256: among ten million distinct ones the
chance that any two are taken for equal is about 3 in a million (n² / 2⁶⁵).
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path

from intramural.domain.value import Digest
from intramural.errors import InvalidInput
from intramural.intake.index import Hashed, Written, write_index
from intramural.intake.spilled import Spilled
from intramural.intake.stored import HOLDOUT_FILE, TRAIN_FILE
from intramural.sealing import Files

_SPAN = 1 << 64
_FIRST_64_BITS = struct.Struct(">Q").unpack_from


def hash_of(content: bytes) -> int:
    """Return the first 64 bits of the SHA-256 of *content*."""
    first: int = _FIRST_64_BITS(hashlib.sha256(content).digest())[0]
    return first


class _Side:
    """One file and the hashes of what it holds."""

    def __init__(self, path: Path, files: Files) -> None:
        self.path = path
        self._files = files
        self._generations = count(1)
        self._begin()

    def _begin(self) -> None:
        work, begins = self.path.parent, f"{self.path.name}.{next(self._generations)}"
        self.hashes = Spilled(work, f"{begins}.hashes", self._files)
        """Of the examples, in the file's order."""
        self.keys = Spilled(work, f"{begins}.keys", self._files)
        """What decided the side, where that is not the example's own hash."""
        self.changed = Spilled(work, f"{begins}.changed", self._files)
        """Which rows of the file were redacted, from 0."""
        self.before = Spilled(work, f"{begins}.before", self._files)
        """Hashes of what those were before."""
        self._target = open(self.path, "wb", buffering=1 << 20, opener=_private)  # noqa: SIM115 - closed by `finish`
        self._writer = self._files.writer(self._target, self.path.name)

    def finish(self) -> None:
        """Make the file whole; once is enough, twice does no harm."""
        if not self._target.closed:
            self._writer.finish()
            self._target.close()

    def drop(self) -> None:
        """Close the file as it is: not whole, and soon removed."""
        self._target.close()

    def forget(self) -> None:
        """Let go of the hashes."""
        for each in (self.hashes, self.keys, self.changed, self.before):
            each.clear()

    @property
    def hashed(self) -> Hashed:
        """What the index of the side is made from."""
        return Hashed(self.hashes, self.before)

    @property
    def digest(self) -> Digest:
        """Of the plain rows, once the file is finished."""
        return self._writer.plain_digest

    @property
    def size(self) -> int:
        """Bytes of the plain rows, once the file is finished."""
        return self._writer.plain_size

    def rows(self) -> Iterator[tuple[bytes, int, int, int | None]]:
        """Yield the lines of the finished file, each with its hash, its key and the hash of what it was before."""
        changed = zip(self.changed, self.before, strict=True)
        place, was = next(changed, (-1, None))
        with self._files.open(self.path, self.path.name) as file:
            for number, (line, own, key) in enumerate(zip(file, self.hashes, self.keys or self.hashes, strict=True)):
                yield line, own, key, was if number == place else None
                if number == place:
                    place, was = next(changed, (-1, None))

    def rewrite(self) -> None:
        """Begin the file and its hashes anew; a reader of the old ones goes on reading those."""
        self.path.unlink()
        self._begin()

    def write(self, lines: list[bytes], hashes: list[int], keys: list[int] | None, before: Mapping[int, int]) -> None:
        """Add rows, each ending its line; *before* holds the hashes of what some were, by their places among them."""
        first = len(self.hashes)
        self._writer.write(b"".join(lines))
        self.hashes.extend(hashes)
        if keys is not None:
            self.keys.extend(keys)
        self.changed.extend(first + place for place in before)
        self.before.extend(before.values())


class Sides:
    """Writes `train.jsonl` and `holdout.jsonl` in *work* through *files*."""

    def __init__(self, work: Path, share: float, files: Files) -> None:
        self._work, self._files = work, files
        self._below = int(share * _SPAN)
        self.train = _Side(work / TRAIN_FILE, files)
        self.holdout = _Side(work / HOLDOUT_FILE, files)

    def add(
        self, lines: Sequence[bytes], keys: Sequence[int] | None = None, before: Mapping[int, bytes] | None = None
    ) -> bytes:
        """
        Write each line to the side of its hash, or of its key; return a 1 for each that is in the hold-out, else a 0.

        *before* holds what lines were before they were redacted, by their places.
        """
        hashes = [hash_of(line) for line in lines]
        sides = bytes([key < self._below for key in (hashes if keys is None else keys)])
        self._write(lines, hashes, keys, before or {}, sides)
        return sides

    def add_holdout(self, lines: Sequence[bytes], before: Mapping[int, bytes] | None = None) -> bytes:
        """Write the lines to the hold-out, whatever their hashes say."""
        sides = b"\1" * len(lines)
        self._write(lines, [hash_of(line) for line in lines], None, before or {}, sides)
        return sides

    def _write(
        self,
        lines: Sequence[bytes],
        hashes: Sequence[int],
        keys: Sequence[int] | None,
        before: Mapping[int, bytes],
        sides: bytes,
    ) -> None:
        for number, side in enumerate((self.train, self.holdout)):
            places = [place for place, chosen in enumerate(sides) if chosen == number]
            if not places:
                continue
            changed = {among: hash_of(before[place]) for among, place in enumerate(places) if place in before} if before else {}
            side.write(
                [lines[place] + b"\n" for place in places],
                [hashes[place] for place in places],
                None if keys is None else [keys[place] for place in places],
                changed,
            )

    def settle(self) -> None:
        """Give an empty side its share and finish the files; raise `InvalidInput` where there is nothing to part."""
        self.train.finish()
        self.holdout.finish()
        train, holdout = self.train, self.holdout
        if not self._below or (train.hashes and holdout.hashes):
            return
        full, empty, choose = (train, holdout, min) if train.hashes else (holdout, train, max)
        keys = full.keys or full.hashes
        chosen = choose(keys)
        if all(key == chosen for key in keys):
            raise InvalidInput(
                "All rows are equal, or of one group: nothing can be held out.",
                hint="Give a hold-out of its own with --holdout FILE, or --holdout-share 0.",
            )
        _move(full, empty, chosen)

    def index(self) -> Written:
        """Write the index of both sides; tell how many examples equal others."""
        found = write_index(self._work, self._files, self.train.hashed, self.holdout.hashed)
        self.train.forget()
        self.holdout.forget()
        return found

    def close(self) -> None:
        """Let go of the files, finished or not."""
        self.train.drop()
        self.holdout.drop()


def _move(full: _Side, empty: _Side, chosen: int) -> None:
    """Move the rows of the key *chosen* from the one side to the other, keeping their order."""
    rows = full.rows()
    first = next(rows)  # the old file is open now, and is read on while the new one is written
    old = [full.hashes, full.keys, full.changed, full.before]
    full.rewrite()
    empty.rewrite()
    for line, own, key, was in chain((first,), rows):
        (empty if key == chosen else full).write([line], [own], None, {} if was is None else {0: was})
    for each in old:
        each.clear()
    full.finish()
    empty.finish()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
