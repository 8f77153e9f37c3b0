"""
What one profile contributes to a portfolio: its best answers, its segments, its numbers.

Each profile is read once, whatever number of summaries it counts in. A range counts with its
middle, an open range with its known end; of shares by a number (GPUs, model sizes) the number of
the middle job counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from intramural.domain.answer_kinds import Number
from intramural.domain.answer_tables import Parts, Shares, SpreadsBy
from intramural.domain.answers import Answer, Provenance
from intramural.domain.asking import ProfileField
from intramural.domain.portfolio import Segment
from intramural.domain.profile import FIELDS, Profile
from intramural.domain.quantity import Dimension
from intramural.interview.segments import segments_of

_RECORDS = {Provenance.MEASURED, Provenance.IMPORTED}

Place = tuple[str | None, str | None]
"""Which number of an answer: the key and the end (`p50`, `p90`), where there are several."""


@dataclass(frozen=True)
class Reading:
    """The best answers of one profile."""

    segments: frozenset[Segment]
    best: dict[str, Answer[Any]]
    """By `section.field`; what was not asked is missing."""
    provenance: dict[str, Provenance]
    numbers: dict[str, tuple[tuple[Place, float], ...]]
    """Those of the known answers, by path."""

    def value(self, path: str) -> Any:
        """Return the known value at *path*, or none."""
        answer = self.best.get(path)
        return answer.value if answer else None

    def is_unknown(self, path: str) -> bool:
        """Tell whether the question was put and nobody knew."""
        answer = self.best.get(path)
        return answer is not None and answer.value is None

    def is_measured(self, path: str) -> bool:
        """Tell whether the best answer is from records."""
        return self.provenance.get(path) in _RECORDS


def read_best(profile: Profile) -> Reading:
    """Return the best answer to every question that was put."""
    best: dict[str, Answer[Any]] = {}
    provenance: dict[str, Provenance] = {}
    numbers: dict[str, tuple[tuple[Place, float], ...]] = {}
    for field in FIELDS:
        answers = profile.answers(field.path)
        if (found := answers.best) is None:
            continue
        best[field.path] = found
        provenance[field.path] = next(each for each in Provenance if answers.by(each) is found)
        if found.value is not None and field.path in _NUMERIC:
            numbers[field.path] = tuple(_numbers(found.value, field))
    return Reading(segments_of(profile), best, provenance, numbers)


def dimension_of(field: ProfileField) -> Dimension | None:
    """Return what the numbers of *field* measure; none when it has no numbers but shares."""
    inner = field.kind.keys if isinstance(field.kind, Parts) else field.kind
    return inner.dimension if isinstance(inner, (Number, SpreadsBy)) else None


_NUMERIC = frozenset(field.path for field in FIELDS if dimension_of(field) is not None)


def _numbers(value: Any, field: ProfileField) -> Iterator[tuple[Place, float]]:
    """Yield each number of a known answer in the base unit."""
    kind = field.kind
    if isinstance(kind, Number):
        yield (None, None), value.middle
    elif isinstance(kind, Parts) and isinstance(kind.keys, Number):
        yield (None, None), typical(value, kind.keys)
    elif isinstance(kind, SpreadsBy):
        for key, spread in value.by.items():
            ends = {"p50": spread.p50, "p90": spread.p90}
            yield from (((key, end), number.middle) for end, number in ends.items() if number)


def typical(shares: Shares, keys: Number) -> float:
    """Return the number of the middle job; parts without a figure weigh the same."""
    has_weights = bool(shares.total)
    parts = sorted(
        (keys.read(key).middle, share.middle if has_weights and share else 1.0) for key, share in shares.parts.items()
    )
    left = sum(weight for _, weight in parts) / 2
    for number, weight in parts:
        left -= weight
        if left <= 0:
            return number
    return parts[-1][0]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the quantile of sorted numbers by linear interpolation."""
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
