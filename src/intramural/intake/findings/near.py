"""
Rows that read almost as an earlier one: MinHash over pieces of five characters, in bounded memory.

Two rows count as near when 5 of their 16 bands of 4 hashes agree: nearly always from a
likeness (Jaccard) of 0.9 on, hardly ever below 0.5. The table holds a fixed number of
bands; when it is full the oldest give way, so that rows far apart may then be missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

BANDS, ROWS_PER_BAND, AGREEING = 16, 4, 5
PIECE = 5
SHORTEST = 40
"""Texts of fewer bytes are left out: a word's difference is all there is to them."""
MOST_SLOTS = 1 << 24
"""128 MiB, a million rows."""
_SPACES = bytes(byte if byte >= 0x80 or chr(byte).isalnum() else 32 for byte in range(256))


class NearRows:
    """Remembers rows and tells which earlier one a row is near."""

    def __init__(self, expected_bytes: int) -> None:
        import numpy as np  # noqa: PLC0415 - the control plane starts without it

        self._np = np
        slots = 1 << 12
        while slots < MOST_SLOTS and slots * 4 < expected_bytes:
            slots *= 2
        self._table = np.zeros(slots, dtype=np.uint64)
        self._count = 0

    def look(self, keys: Any) -> Any:
        """
        Remember a batch of rows by their keys, one row of them each; none but zeros leaves a row out.

        Returns for each the number (from 0) of an earlier row it is near, or -1.
        """
        np = self._np
        first, self._count = self._count, self._count + len(keys)
        nearest = np.full(len(keys), -1, dtype=np.int64)
        kept = np.flatnonzero(keys.any(axis=1))
        if not kept.size:
            return nearest
        keys, numbers = keys[kept], kept + first
        candidates = np.stack([self._band(keys[:, band], numbers) for band in range(BANDS)], axis=1)
        candidates.sort(axis=1)
        same = (candidates[:, AGREEING - 1 :] == candidates[:, : BANDS - AGREEING + 1]) & (candidates[:, AGREEING - 1 :] >= 0)
        hits = same.any(axis=1)
        nearest[kept[hits]] = candidates[hits, AGREEING - 1 + same[hits].argmax(axis=1)]
        return nearest

    def _band(self, keys: Any, numbers: Any) -> Any:
        """Return for each key the row that had it before, or a different negative number where none had."""
        np = self._np
        slots = (keys & np.uint64(self._table.size - 1)).astype(np.int64)
        prints = keys >> np.uint64(32)
        held = self._table[slots]
        known = (held != 0) & ((held >> np.uint64(32)) == prints)
        found = np.where(known, (held & np.uint64(0xFFFFFFFF)).astype(np.int64) - 1, -1)
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        earlier = numbers[first[inverse]]
        found = np.where((found < 0) & (earlier < numbers), earlier, found)
        new = ~known
        self._table[slots[new]] = (prints[new] << np.uint64(32)) | (numbers[new] + 1).astype(np.uint64)
        return found


def keys_of(texts: Sequence[bytes]) -> Any:
    """Return a row of band keys for each text; zeros for one that is too short."""
    import numpy as np  # noqa: PLC0415 - the control plane starts without it

    keys = np.zeros((len(texts), BANDS), dtype=np.uint64)
    kept = [number for number, text in enumerate(texts) if len(text) >= SHORTEST]
    if kept:
        keys[kept] = _keys([texts[number] for number in kept])
    return keys


def _keys(texts: list[bytes]) -> Any:
    import numpy as np  # noqa: PLC0415 - as above
    import rensa  # noqa: PLC0415 - as above

    plain = [text.lower().translate(_SPACES) for text in texts]
    sizes = np.fromiter(map(len, plain), dtype=np.int64, count=len(plain))
    total = int(sizes.sum())
    windows = np.ndarray((total,), dtype="<u8", buffer=b"".join((*plain, b"\0" * 8)), strides=(1,))
    pieces = windows & np.uint64((1 << 8 * PIECE) - 1)
    pieces *= np.uint64(0x9E3779B97F4A7C15)
    pieces ^= pieces >> np.uint64(29)
    ends = np.cumsum(sizes)
    inside = np.ones(total, dtype=bool)
    for back in range(1, PIECE):
        inside[ends - back] = False
    inside &= (pieces & np.uint64(1)) == 0  # half of the pieces, chosen by what they are
    offsets = np.concatenate(([0], np.cumsum(inside)[ends - 1])).astype(np.uint64)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(pieces[inside], offsets, BANDS * ROWS_PER_BAND, 7)
    count = len(plain) * BANDS * ROWS_PER_BAND
    hashes = np.fromiter(chain.from_iterable(matrix.to_rows()), dtype=np.uint64, count=count)
    hashes = hashes.reshape(len(plain), BANDS, ROWS_PER_BAND)
    keys = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), (len(plain), BANDS)).copy()
    for place in range(ROWS_PER_BAND):
        keys = (keys ^ hashes[:, :, place]) * np.uint64(0xD6E8FEB86659FD93)
        keys ^= keys >> np.uint64(32)
    return keys
