"""
A small assembler for the kernel's classic packet filter, in which system-call filters are written.

An instruction is eight bytes: code, two jump distances, an operand. Jumps go forward
only and at most 255 instructions, so a program is a list with labels, resolved at the end.
"""

from __future__ import annotations

import struct

LOAD_WORD = 0x20
"""Load the 32 bits at an offset of what is judged."""
MASK = 0x54
"""Bitwise and with the operand."""
IF_EQUAL = 0x15
IF_ANY_BIT = 0x45
RETURN = 0x06
FARTHEST = 255


class Program:
    """A filter under construction."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, str | None, str | None]] = []
        self._labels: dict[str, int] = {}

    def load(self, offset: int) -> None:
        """Load the 32 bits at *offset*."""
        self._lines.append((LOAD_WORD, offset, None, None))

    def mask(self, bits: int) -> None:
        """Keep only *bits* of what was loaded."""
        self._lines.append((MASK, bits, None, None))

    def if_equal(self, value: int, then: str | None = None, otherwise: str | None = None) -> None:
        """Go to a label when the loaded word is *value*, or to another when it is not; else go on."""
        self._lines.append((IF_EQUAL, value, then, otherwise))

    def if_any_bit(self, bits: int, then: str) -> None:
        """Go to a label when one of *bits* is set."""
        self._lines.append((IF_ANY_BIT, bits, then, None))

    def end(self, verdict: int) -> None:
        """End with a verdict."""
        self._lines.append((RETURN, verdict, None, None))

    def label(self, name: str) -> None:
        """Name the place of the next instruction."""
        self._labels[name] = len(self._lines)

    def assemble(self) -> bytes:
        """Return the instructions as the kernel reads them."""
        return b"".join(
            struct.pack("=HBBI", code, self._distance(place, then), self._distance(place, otherwise), operand)
            for place, (code, operand, then, otherwise) in enumerate(self._lines)
        )

    def _distance(self, place: int, label: str | None) -> int:
        if label is None:
            return 0
        distance = self._labels[label] - place - 1
        if not 0 <= distance <= FARTHEST:
            raise OverflowError(f"{label} is {distance} instructions away")
        return distance
