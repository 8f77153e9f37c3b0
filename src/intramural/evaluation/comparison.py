"""
Two systems on the same samples: the paired difference and its interval.

Pairing removes what makes a sample hard for both, so the interval of the
difference is narrower than two intervals side by side suggest (Efron and
Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 8).
"""

from __future__ import annotations

from collections.abc import Sequence

from intramural.domain.evaluation import Difference
from intramural.evaluation.scorers import SampleScores
from intramural.evaluation.statistics import CONFIDENCE, interval_of_mean


def paired_difference(
    before: Sequence[float | None], after: Sequence[float | None], *, confidence: float = CONFIDENCE, seed: int = 0
) -> Difference:
    """Return the mean of `after - before` over the samples that both scored.

    Raises `ValueError` when the lists differ in length or share no sample.
    """
    both = [y - x for x, y in zip(before, after, strict=True) if x is not None and y is not None]
    low, high = interval_of_mean(both, confidence=confidence, seed=seed)
    return Difference(value=sum(both) / len(both), low=low, high=high, samples=len(both), confidence=confidence)


def differences(before: SampleScores, after: SampleScores, *, seed: int = 0) -> dict[str, Difference]:
    """Compare every score that both systems have, on samples in the same order."""
    return {name: paired_difference(before[name], after[name], seed=seed) for name in after if name in before}
