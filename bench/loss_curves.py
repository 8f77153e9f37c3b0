"""Whether two trainers follow the same loss curve: their gap beside the gap between two seeds of one of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

NOISE = 1.5
"""A gap of as much as two seeds' is what chance makes; one pair of seeds measures that to about half of itself."""


def gap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how far two curves lie apart at a step, on average."""
    return statistics.mean(abs(a - b) for a, b in zip(one, other, strict=True))


def compared(ours: Sequence[float], theirs: Sequence[float], other_seed: Sequence[float]) -> list[str]:
    """Return lines that compare *ours* with *theirs* beside *theirs* with another seed; the last is the verdict."""
    curves = {"intramural": ours, "TRL": theirs, "TRL, another seed": other_seed}
    tail = max(1, len(ours) // 4)
    lines = [f"  {'loss':26}{'first step':>12}{f'last {tail}':>12}"]
    lines += [f"  {name:26}{each[0]:12.4f}{statistics.mean(each[-tail:]):12.4f}" for name, each in curves.items()]
    apart = statistics.mean([gap(ours, theirs), gap(ours, other_seed)])
    noise = gap(theirs, other_seed)
    lines.append(f"  apart at a step, on average: intramural and TRL {apart:.4f}; two seeds of TRL {noise:.4f}")
    same = apart <= NOISE * noise
    lines.append(
        f"  verdict: {'the same curve within noise' if same else 'NOT the same curve'}: "
        f"{apart:.4f} is {'at most' if same else 'more than'} {NOISE} x {noise:.4f}"
    )
    return lines
