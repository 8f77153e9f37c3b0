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
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from intramural.domain.value import Digest
from intramural.errors import InvalidInput
from intramural.intake.stored import HOLDOUT_FILE, TRAIN_FILE
from intramural.sealing import Files

_SPAN = 1 << 64
_FIRST_64_BITS = struct.Struct(">Q").unpack_from
_CHUNK = 1 << 20


def hash_of(content: bytes) -> int:
    """Return the first 64 bits of the SHA-256 of *content*."""
    first: int = _FIRST_64_BITS(hashlib.sha256(content).digest())[0]
    return first


class _Side:
    """One file and the hashes of what it holds."""

    def __init__(self, path: Path, files: Files) -> None:
        self.path = path
        self._files = files
        self._begin()
        self.hashes = array("Q")
        """Of the examples, in the file's order until they are sorted for counting."""
        self.keys = array("Q")
        """What decided the side, where that is not the example's own hash."""

    def _begin(self) -> None:
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

    @property
    def digest(self) -> Digest:
        """Of the plain rows, once the file is finished."""
        return self._writer.plain_digest

    @property
    def size(self) -> int:
        """Bytes of the plain rows, once the file is finished."""
        return self._writer.plain_size

    def rows(self) -> Iterator[bytes]:
        """Yield the lines of the finished file."""
        with self._files.open(self.path, self.path.name) as file:
            yield from file

    def rewrite(self) -> None:
        """Begin the file anew; a reader of the old one goes on reading that."""
        self.path.unlink()
        self._begin()

    def write(self, line: bytes, own: int, key: int | None) -> None:
        self._writer.write(line + b"\n")
        self.hashes.append(own)
        if key is not None:
            self.keys.append(key)


class Sides:
    """Writes `train.jsonl` and `holdout.jsonl` in *work* through *files*, and counts what they share."""

    def __init__(self, work: Path, share: float, files: Files) -> None:
        self._below = int(share * _SPAN)
        self.train = _Side(work / TRAIN_FILE, files)
        self.holdout = _Side(work / HOLDOUT_FILE, files)
        self.before = array("Q")
        """In pairs: the hash of an example that was redacted, and of what it was before."""

    def add(self, line: bytes, group: bytes | None = None, before: bytes | None = None) -> bool:
        """Write *line*, *before* it was redacted, to the side of its hash, or its *group*'s; tell if that is the hold-out."""
        own = hash_of(line)
        if before is not None:
            self.before.extend((own, hash_of(before)))
        key = own if group is None else hash_of(group)
        side = self.holdout if key < self._below else self.train
        side.write(line, own, None if group is None else key)
        return side is self.holdout

    def add_holdout(self, line: bytes, before: bytes | None = None) -> None:
        """Write the example *line* to the hold-out, whatever its hash says."""
        own = hash_of(line)
        if before is not None:
            self.before.extend((own, hash_of(before)))
        self.holdout.write(line, own, None)

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

    def close(self) -> None:
        """Let go of the files, finished or not."""
        self.train.drop()
        self.holdout.drop()

    def duplicates_and_overlap(self) -> tuple[int, int]:
        """Count training examples that equal an earlier one, and hold-out examples that equal a training example."""
        import numpy as np  # noqa: PLC0415  the control plane starts without it

        train = np.frombuffer(self.train.hashes, dtype=np.uint64)
        train.sort()
        duplicates = sum(
            int((train[at + 1 : at + 1 + _CHUNK] == train[at : at + _CHUNK][: train.size - at - 1]).sum())
            for at in range(0, train.size, _CHUNK)
        )
        holdout = np.frombuffer(self.holdout.hashes, dtype=np.uint64)
        if not train.size:
            return 0, 0
        overlap = 0
        for start in range(0, holdout.size, _CHUNK):
            wanted = holdout[start : start + _CHUNK]
            places = np.minimum(np.searchsorted(train, wanted), train.size - 1)
            overlap += int((train[places] == wanted).sum())
        return duplicates, overlap


def _move(full: _Side, empty: _Side, chosen: int) -> None:
    """Move the rows of the key *chosen* from the one side to the other, keeping their order."""
    keys, hashes = full.keys or full.hashes, full.hashes
    rows = full.rows()
    first = next(rows)  # the old file is open now, and is read on while the new one is written
    full.hashes, full.keys = array("Q"), array("Q")
    full.rewrite()
    empty.rewrite()
    for line, own, key in zip(chain((first,), rows), hashes, keys, strict=True):
        (empty if key == chosen else full).write(line.rstrip(b"\n"), own, None)
    full.finish()
    empty.finish()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
