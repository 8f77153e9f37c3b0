"""
The index of a dataset version: by it rows are traced without reading the version.

It holds 64 bits of the SHA-256 of every example, sorted, for each side. Hashes of rows can
be guessed at, so it is sealed like the rows. A row that was redacted is in it twice: as it
is stored, and as it came.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from intramural.domain.value import Digest
from intramural.errors import IntegrityFailure
from intramural.intake.spilled import Spilled, in_parts
from intramural.intake.stored import example_digests
from intramural.sealing import Files, written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

INDEX_FILE = "index"
_HEAD = struct.Struct("<8sQQ")
_MAGIC = b"IMINDEX1"


class Index(NamedTuple):
    """The hashes of each side, sorted, each once."""

    train: Hashes
    holdout: Hashes


class Hashed(NamedTuple):
    """The hashes of one side, as they were taken."""

    stored: Spilled
    """Of its examples."""
    before: Spilled
    """Of what those of them were that were redacted."""


class Written(NamedTuple):
    """An index on the disk, and what was seen while it was written."""

    digest: Digest
    duplicates: int
    """Training examples that equal an earlier one."""
    overlap: int
    """Hold-out examples that equal a training example."""


def write_index(work: Path, files: Files, train: Hashed, holdout: Hashed) -> Written:
    """Write `index` in *work* through *files*; whatever the number of hashes, a few million are in memory."""
    import numpy as np  # noqa: PLC0415  the control plane starts without it

    sides = tuple(Spilled(work, f"{INDEX_FILE}.{name}", files) for name in ("train", "holdout"))
    duplicates = overlap = 0
    for in_train, was_train, in_holdout, was_holdout in in_parts(*train, *holdout):
        distinct = _once(in_train)
        duplicates += in_train.size - distinct.size
        overlap += int(seen_in(in_holdout, distinct).sum())
        for side, stored, before in ((sides[0], distinct, was_train), (sides[1], in_holdout, was_holdout)):
            side.extend_by(_once(np.concatenate([stored, before])))
    (work / INDEX_FILE).unlink(missing_ok=True)
    with written(files, work / INDEX_FILE, INDEX_FILE) as target:
        target.write(_HEAD.pack(_MAGIC, *map(len, sides)))
        for side in sides:
            for block in side.blocks():
                target.write(block.astype("<u8").tobytes())
            side.clear()
    return Written(target.plain_digest, duplicates, overlap)


def _once(hashes: Hashes) -> Hashes:
    """Return each hash once, sorted; `np.unique` looks them up in a table first, which is seventy times as slow for these."""
    import numpy as np  # noqa: PLC0415

    in_order = np.sort(hashes)
    is_first = np.ones(in_order.size, dtype=np.bool_)
    np.not_equal(in_order[1:], in_order[:-1], out=is_first[1:])
    return in_order[is_first]


def read_index(file: BinaryIO) -> Index:
    """Return what `write_index` wrote. Raises `IntegrityFailure`."""
    import numpy as np  # noqa: PLC0415

    head = file.read(_HEAD.size)
    body = np.frombuffer(file.read(), dtype="<u8")
    if len(head) != _HEAD.size or not head.startswith(_MAGIC):
        raise IntegrityFailure("That is no index of examples.", hint="Add the data again.")
    _, train, holdout = _HEAD.unpack(head)
    if train + holdout != body.size:
        raise IntegrityFailure("An index of examples is cut short.", hint="Add the data again.")
    return Index(body[:train], body[train:])


def hashes_of(rows: Iterable[bytes]) -> Hashes:
    """Return the hash of each example of an open file, in its order."""
    import numpy as np  # noqa: PLC0415

    return np.frombuffer(array("Q", (int.from_bytes(each[:8], "big") for each in example_digests(rows))), dtype=np.uint64)


def seen_in(wanted: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Tell of each of *wanted* whether a side of an index holds it."""
    import numpy as np  # noqa: PLC0415

    if not known.size:
        return np.zeros(wanted.size, dtype=np.bool_)
    places = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    found: NDArray[np.bool_] = known[places] == wanted
    return found
