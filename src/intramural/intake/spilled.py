"""
Long sequences of 64-bit numbers in bounded memory: what does not fit lies sealed beside the rows.

A hash of an example can be guessed at, so it is sealed like the rows it stands for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from intramural.sealing import Files, written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.uint64]

HELD = 1 << 20
"""Numbers of a sequence in memory; 8 MiB."""
PART = 1 << 20
"""Numbers that are sorted at a time; 8 MiB."""
_SPAN = 1 << 64


class Spilled:
    """A sequence that is only ever added to."""

    def __init__(self, work: Path, name: str, files: Files) -> None:
        self._work, self._name, self._files = work, name, files
        self._names = (f"{name}.{number}" for number in count(1))
        self._full: list[str] = []
        self._held = array("Q")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, number: int) -> None:
        """Add one number."""
        self._held.append(number)
        self._count += 1
        if len(self._held) >= HELD:
            self._spill()

    def extend(self, numbers: Iterable[int]) -> None:
        """Add numbers, not many times more than are held in memory."""
        before = len(self._held)
        self._held.extend(numbers)
        self._count += len(self._held) - before
        if len(self._held) >= HELD:
            self._spill()

    def extend_by(self, numbers: Numbers) -> None:
        """Add an array of any size."""
        for start in range(0, numbers.size, HELD):
            block = numbers[start : start + HELD]
            self._held.frombytes(block.astype("=u8").tobytes())
            self._count += block.size
            if len(self._held) >= HELD:
                self._spill()

    def blocks(self) -> Iterator[Numbers]:
        """Yield the numbers in their order, some at a time; none may be added meanwhile."""
        import numpy as np  # noqa: PLC0415  the control plane starts without it

        for name in self._full:
            with self._files.open(self._work / name, name) as file:
                yield np.frombuffer(file.read(), dtype="<u8")
        if self._held:
            yield np.frombuffer(self._held.tobytes(), dtype=np.uint64)

    def __iter__(self) -> Iterator[int]:
        for block in self.blocks():
            yield from block.tolist()

    def clear(self) -> None:
        """Forget all numbers."""
        for name in self._full:
            (self._work / name).unlink(missing_ok=True)
        self._full.clear()
        self._held = array("Q")
        self._count = 0

    def _spill(self) -> None:
        name = next(self._names)
        with written(self._files, self._work / name, name) as target:
            target.write(self._held.tobytes())
        self._full.append(name)
        self._held = array("Q")


def in_parts(*sequences: Spilled) -> Iterator[tuple[Numbers, ...]]:
    """
    Yield the numbers of each sequence, sorted, part by part of their range: what is equal is in one part.

    Each part reads the sequences again, and there are as many as keep one small; hashes are spread evenly.
    """
    import numpy as np  # noqa: PLC0415  the control plane starts without it

    parts = max(1, -(-sum(map(len, sequences)) // PART))
    edges = [_SPAN * number // parts for number in range(parts)]
    for number, low in enumerate(edges):
        high = edges[number + 1] - 1 if number + 1 < parts else _SPAN - 1
        chosen = []
        for each in sequences:
            kept = [block[(block >= low) & (block <= high)] for block in each.blocks()]
            numbers = np.concatenate(kept) if kept else np.zeros(0, dtype=np.uint64)
            numbers.sort()
            chosen.append(numbers)
        yield tuple(chosen)
