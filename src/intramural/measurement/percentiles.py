"""
Percentiles of counted values: exact, by linear interpolation between the two nearest ranks.

The same numbers as numpy and pandas give for the values written out one by one.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from intramural.domain.measurement import Percentiles

_PERCENTS = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}


def percentiles(counted: pl.DataFrame) -> Percentiles:
    """Return the distribution of `value`, each of which occurs `jobs` times."""
    if counted.is_empty():
        return Percentiles(counted=0)
    merged = counted.group_by("value").agg(pl.col("jobs").sum()).sort("value")
    values = merged["value"].to_numpy().astype(np.float64)
    weights = merged["jobs"].to_numpy().astype(np.int64)
    upto = np.cumsum(weights)
    total = int(upto[-1])
    found = {name: _at(values, upto, percent) for name, percent in _PERCENTS.items()}
    return Percentiles(counted=total, **found, mean=float(values @ weights) / total, largest=float(values[-1]))


def _at(values: np.ndarray, upto: np.ndarray, percent: int) -> float:
    """Return the value at a rank, which may lie between two; whole numbers keep it exact."""
    below, hundredths = divmod(percent * (int(upto[-1]) - 1), 100)
    low, high = (float(values[np.searchsorted(upto, rank, side="right")]) for rank in (below, below + (hundredths > 0)))
    return low + (high - low) * hundredths / 100
