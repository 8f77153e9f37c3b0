"""
What a run changed, in one line: which score counts, which way it moved, and how sure that is.

The run page, the Markdown and the terminal say it with the same words because they all ask here.
"""

from __future__ import annotations

import math
from enum import StrEnum

from intramural.domain.evaluation import MEMBERSHIP, Evaluation, Score
from intramural.domain.report import Measured

_TO = "\u2013"
_BECAME = "\u2192"
_LABELS = {
    "exact_match": "exact match",
    "valid_json": "valid JSON",
    "field_accuracy": "field accuracy",
    MEMBERSHIP: "training rows told apart",
}
_FIELD = "field_accuracy."
_SYSTEMS = {
    "base": "before",
    "tuned": "after",
    "majority": "most frequent answer",
    "tfidf_logistic_regression": "TF-IDF + logistic regression",
}


class Direction(StrEnum):
    """Which way the score that counts moved, as far as the samples can tell."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"
    """The interval of the difference holds zero, or nothing was compared."""


def leading_score(evaluation: Evaluation) -> str | None:
    """Return the name of the score that tells most: the one field's accuracy, all fields', else exact match."""
    fields = [name for name in evaluation.scores if name.startswith(_FIELD)]
    if len(fields) == 1:
        return fields[0]
    return next((name for name in ("field_accuracy", "exact_match", "valid_json") if name in evaluation.scores), None)


def score_label(name: str) -> str:
    """Return what people call a score: `field_accuracy.queue` is "queue accuracy"."""
    if name.startswith(_FIELD):
        return f"{name.removeprefix(_FIELD)} accuracy"
    return _LABELS.get(name, name)


def sentence_case(label: str) -> str:
    """Return *label* with its first letter large and everything else as it is: "Valid JSON"."""
    return label[:1].upper() + label[1:]


def system_label(system: str) -> str:
    """Return what people call a measured system."""
    return _SYSTEMS.get(system, system)


def direction(measured: Measured) -> Direction:
    """Tell which way the leading score moved; by the paired difference where there is one, else by intervals that part."""
    before, after = measured.before, measured.after
    if before is None or after is None:
        return Direction.UNCLEAR
    name = leading_score(after)
    if name is None or name not in before.scores:
        return _by_loss(before.loss, after.loss)
    change = after.changes.get(name)
    up = change.low > 0 if change else after.scores[name].low > before.scores[name].high
    down = change.high < 0 if change else after.scores[name].high < before.scores[name].low
    return Direction.BETTER if up else Direction.WORSE if down else Direction.UNCLEAR


def one_line(measured: Measured) -> str | None:
    """Return for example `queue accuracy 0 % → 84 % (78-89 %)`, or the losses where nothing else was scored."""
    before, after = measured.before, measured.after
    if after is None:
        return None
    name = leading_score(after)
    if name is None:
        return _losses(before, after)
    score = after.scores[name]
    earlier = f"{percent(before.scores[name].value)} {_BECAME} " if before and name in before.scores else ""
    return f"{score_label(name)} {earlier}{percent(score.value)} ({interval(score)})"


def interval(score: Score) -> str:
    """Return the interval alone: `78-89 %` (with an en dash)."""
    low, high = percent(score.low).removesuffix(" %"), percent(score.high)
    return high if f"{low} %" == high else f"{low}{_TO}{high}"


def percent(share: float) -> str:
    """Return a share as a percentage that never rounds to a certainty it does not have."""
    whole = math.floor(share * 100 + 0.5)
    if (whole == 0 and share > 0) or (whole == 100 and share < 1):
        return f"{min(max(share * 100, 0.1), 99.9):.1f} %"
    return f"{whole} %"


def _losses(before: Evaluation | None, after: Evaluation) -> str | None:
    if after.loss is None:
        return None
    earlier = f"{before.loss:.3f} {_BECAME} " if before is not None and before.loss is not None else ""
    return f"hold-out loss {earlier}{after.loss:.3f}"


def _by_loss(before: float | None, after: float | None) -> Direction:
    if before is None or after is None or before == after:
        return Direction.UNCLEAR
    return Direction.BETTER if after < before else Direction.WORSE
