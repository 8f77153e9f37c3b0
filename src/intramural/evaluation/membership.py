"""
How well rows that a model was trained on can be told from rows that it was not, by their losses alone.

Source of the attack: S. Yeom et al., *Privacy Risk in Machine Learning* (2018), the loss
threshold; of the area under its curve and its standard error: J. A. Hanley, B. J. McNeil,
*Radiology* 143 (1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from intramural.domain.evaluation import Score

NORMAL_95 = 1.959964


def membership_auc(members: Sequence[float], others: Sequence[float]) -> Score | None:
    """Return the chance that a member's loss is below another row's, ties by half; none where there is nothing to compare."""
    left, right = (np.asarray([each for each in side if math.isfinite(each)], dtype=np.float64) for side in (members, others))
    m, n = len(left), len(right)
    if not m or not n:
        return None
    ordered = np.sort(right)
    above = n - np.searchsorted(ordered, left, side="right")
    ties = np.searchsorted(ordered, left, side="right") - np.searchsorted(ordered, left, side="left")
    auc = float((above + ties / 2).sum() / (m * n))
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = (auc * (1 - auc) + (m - 1) * (q1 - auc * auc) + (n - 1) * (q2 - auc * auc)) / (m * n)
    around = NORMAL_95 * math.sqrt(max(variance, 0.0))
    return Score(value=auc, low=max(0.0, auc - around), high=min(1.0, auc + around), samples=m + n)
