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


def write_index(work: Path, files: Files, train: Iterable[int], holdout: Iterable[int], before: Iterable[int] = ()) -> Digest:
    """
    Write `index` in *work* through *files*, from the hashes of both sides; return its digest.

    *before* holds pairs, one after the other: the hash of a stored example, and of the example it was before its redaction.
    """
    import numpy as np  # noqa: PLC0415  the control plane starts without it

    pairs = _array(before).reshape(-1, 2)
    sides = []
    for hashes in (_array(train), _array(holdout)):
        stored = _once(hashes)
        sides.append(_once(np.concatenate([stored, pairs[:, 1][seen_in(pairs[:, 0], stored)]])) if pairs.size else stored)
    (work / INDEX_FILE).unlink(missing_ok=True)
    with written(files, work / INDEX_FILE, INDEX_FILE) as target:
        target.write(_HEAD.pack(_MAGIC, *(each.size for each in sides)))
        for each in sides:
            target.write(each.astype("<u8").tobytes())
    return target.plain_digest


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
    return _array(array("Q", (int.from_bytes(each[:8], "big") for each in example_digests(rows))))


def seen_in(wanted: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Tell of each of *wanted* whether a side of an index holds it."""
    import numpy as np  # noqa: PLC0415

    if not known.size:
        return np.zeros(wanted.size, dtype=np.bool_)
    places = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    found: NDArray[np.bool_] = known[places] == wanted
    return found


def _array(hashes: Iterable[int]) -> Hashes:
    import numpy as np  # noqa: PLC0415

    if isinstance(hashes, np.ndarray):
        return hashes
    return np.frombuffer(hashes if isinstance(hashes, array) else array("Q", hashes), dtype=np.uint64)
