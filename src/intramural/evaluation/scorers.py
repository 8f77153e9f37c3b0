"""
What one answer scores against its reference, each figure between 0 and 1.

Every scorer returns numbers only: neither an answer nor a reference leaves this
module, and a field's name leaves it only where it is plainly part of a schema.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

NOT_JSON = object()
"""What `parse` returns for text that is not one JSON document."""

SampleScores = dict[str, list[float | None]]
"""One list per score, one place per sample; none where the score does not apply to the sample."""

_KIND_SHARE = 0.95
_SHORT_CHARACTERS = 80
_MOST_FIELDS = 32
_FIELD_SHARE = 0.1
_SCHEMA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class AnswerKind(StrEnum):
    """What the references of a hold-out are, and with it which scores say something."""

    JSON = "json"
    """JSON objects or lists."""
    SHORT = "short"
    """One line of at most 80 characters: a label, a number, a name."""
    FREE = "free"
    """Prose; a string comparison would measure nothing."""


def answer_kind(references: Sequence[str]) -> AnswerKind:
    """Tell what at least 95 % of *references* are."""
    if not references:
        return AnswerKind.FREE
    least = _KIND_SHARE * len(references)
    if sum(isinstance(parse(each), dict | list) for each in references) >= least:
        return AnswerKind.JSON
    if sum(_is_short(each) for each in references) >= least:
        return AnswerKind.SHORT
    return AnswerKind.FREE


def parse(text: str) -> Any:
    """Return the JSON document that the whole of *text* is, or `NOT_JSON`.

    Strict (RFC 8259): text before or after the document, `NaN` and `Infinity`, a
    key given twice, and nesting beyond reason are not JSON here.
    """
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return NOT_JSON


def exact_match(reference: str, answer: str) -> float:
    """Score 1 when both are equal after white space around them is taken off."""
    return float(reference.strip() == answer.strip())


def valid_json(answer: str) -> float:
    """Score 1 when the answer is one JSON document and nothing else."""
    return float(parse(answer) is not NOT_JSON)


def field_matches(reference: dict[str, Any], answer: Any) -> dict[str, bool]:
    """Tell for each top-level field of *reference* whether *answer* holds an equal value."""
    if not isinstance(answer, dict):
        return dict.fromkeys(reference, False)
    return {name: name in answer and same(value, answer[name]) for name, value in reference.items()}


def same(left: Any, right: Any) -> bool:
    """Compare two JSON values as JSON does: `1` equals `1.0`, but `true` does not equal `1`."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def sample_scores(references: Sequence[str], answers: Sequence[str]) -> SampleScores:
    """Score every answer; which scores there are depends on what the references are.

    JSON references: `exact_match`, `valid_json` and, for objects, `field_accuracy`
    (the share of the reference's top-level fields that equal) and
    `field_accuracy.NAME`. Any other: `exact_match` only.
    """
    scores: SampleScores = {"exact_match": [exact_match(r, a) for r, a in zip(references, answers, strict=True)]}
    if answer_kind(references) is not AnswerKind.JSON:
        return scores
    expected = [parse(each) for each in references]
    scores["valid_json"] = [valid_json(each) for each in answers]
    objects = [each if isinstance(each, dict) and each else None for each in expected]
    if any(objects):
        scores |= _field_scores(objects, [parse(each) for each in answers])
    return scores


def _field_scores(references: list[dict[str, Any] | None], answers: list[Any]) -> SampleScores:
    pairs = zip(references, answers, strict=True)
    matches = [None if reference is None else field_matches(reference, answer) for reference, answer in pairs]
    scores: SampleScores = {"field_accuracy": [None if row is None else sum(row.values()) / len(row) for row in matches]}
    for name in _schema_fields(matches):
        scores[f"field_accuracy.{name}"] = [None if row is None or name not in row else float(row[name]) for row in matches]
    return scores


def _schema_fields(matches: list[dict[str, bool] | None]) -> list[str]:
    """Return the fields that recur and read like names: a key that is itself content must not become a score's name."""
    counts = Counter(name for row in matches if row for name in row)
    least = max(2, _FIELD_SHARE * len(matches)) if len(matches) > 1 else 1
    names = [name for name, count in counts.most_common() if count >= least and _SCHEMA_NAME.fullmatch(name)]
    return names[:_MOST_FIELDS]


def _is_short(text: str) -> bool:
    stripped = text.strip()
    return 0 < len(stripped) <= _SHORT_CHARACTERS and "\n" not in stripped


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is given twice")
    return document
