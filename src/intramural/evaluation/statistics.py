"""
How sure a mean is: percentile bootstrap intervals, seeded and repeatable.

Source: B. Efron, R. J. Tibshirani, *An Introduction to the Bootstrap* (1993),
chapter 13 (percentile interval). Drawing n of n samples with replacement is one
multinomial draw over the distinct values, which is how it is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from intramural.domain.evaluation import Score

RESAMPLES = 2_000
CONFIDENCE = 0.95
_CELLS = 4_000_000
"""Most counts drawn at once; bounds the memory at 32 MB."""


def mean_score(shares: Sequence[float], *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0) -> Score:
    """Return the mean of *shares* (each between 0 and 1, at least one) with its interval.

    Where every sample is 0, or every sample is 1, resampling says nothing; the
    interval is then the exact binomial one (C. J. Clopper, E. S. Pearson,
    *Biometrika* 26, 1934), so that 20 of 20 does not pass for certainty.
    """
    values = _checked(shares)
    if values.min() < 0 or values.max() > 1:
        raise ValueError("a score's samples lie between 0 and 1")
    n = len(values)
    mean = float(values.mean())
    if mean in (0.0, 1.0):
        bound = ((1 - confidence) / 2) ** (1 / n)
        low, high = (0.0, 1 - bound) if mean == 0 else (bound, 1.0)
    else:
        low, high = _percentiles(values, confidence, resamples, seed)
    return Score(value=mean, low=low, high=high, samples=n, confidence=confidence)


def interval_of_mean(
    values: Sequence[float], *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of *values* (any numbers, at least one)."""
    return _percentiles(_checked(values), confidence, resamples, seed)


def _checked(values: Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError("a mean needs at least one sample, all of them finite")
    return array


def _percentiles(values: NDArray[np.float64], confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    distinct, counts = np.unique(values, return_counts=True)
    n = len(values)
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // len(distinct))
    means = [
        generator.multinomial(n, counts / n, size=min(block, resamples - start)) @ distinct / n
        for start in range(0, resamples, block)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)
