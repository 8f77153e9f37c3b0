"""Answers that are labels: few different ones, and how unevenly they are spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

MOST_LABELS = 200
LONGEST_LABEL = 200
FEWEST_ROWS_PER_LABEL = 5
UNEVEN = 10
"""How many times as often as a rare label the most frequent one comes."""


def label_of(answer: str) -> int:
    """Return 64 bits that stand for an answer, 0 for one that is too long to be a label."""
    if len(answer) > LONGEST_LABEL:
        return 0
    return int.from_bytes(sha256(answer.encode("utf-8", "surrogatepass")).digest()[:8], "big") or 1


class Labels:
    """Counts answers, until there are too many different ones to be labels."""

    def __init__(self) -> None:
        self._counts: Counter[int] | None = Counter()

    def add(self, labels: Iterable[int]) -> None:
        """Count answers by what `label_of` made of them."""
        if self._counts is None:
            return
        self._counts.update(labels)
        if 0 in self._counts or len(self._counts) > MOST_LABELS:
            self._counts = None

    def imbalance(self) -> tuple[int, str]:
        """Return the number of rows with a rare label, and the spread in words."""
        counts = self._counts
        if not counts or len(counts) < 2 or counts.total() < FEWEST_ROWS_PER_LABEL * len(counts):
            return 0, ""
        most = max(counts.values())
        rare = [each for each in counts.values() if each * UNEVEN <= most]
        note = f"{len(counts)} labels: the most frequent in {most} rows, the rarest in {min(counts.values())}"
        return sum(rare), note
