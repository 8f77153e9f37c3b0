"""How large a source may be in each direction, so that no file can fill the memory or the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intramural.domain.dataset import Fault
from intramural.errors import InvalidInput

Row = tuple[int, dict[str, Any] | Fault]
"""The 1-based line of the file (for Parquet: the row), and its fields or why it has none."""

Progress = Callable[[int, int], None]
"""Receives the bytes of the file that are done, and all of them."""

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 64 << 20
"""Of one line, one element of an array, or one cell."""
MAX_GROWTH = 100
"""A packed file may grow by this factor without question,"""
FREE_GROWTH_BYTES = 1 << 30
"""and any file may grow to this size."""


def check_growth(name: str, packed_bytes: int, grown_bytes: int) -> None:
    """Raise `InvalidInput` when a packed file grows like a decompression bomb."""
    if grown_bytes > FREE_GROWTH_BYTES and grown_bytes > MAX_GROWTH * packed_bytes:
        raise InvalidInput(
            f"{name} grows more than {MAX_GROWTH} times, past {FREE_GROWTH_BYTES >> 30} GiB, when unpacked.",
            hint="If you trust it, unpack it yourself and give the plain file.",
            packed_bytes=packed_bytes,
        )
