"""
Where the records do not bear out what was said, by one rule for each kind of answer.

- Percentages contradict when they are more than 10 points apart.
- Durations, sizes and counts contradict when the measured number lies outside the said range by
  more than a factor of 1.5; of 2 where it was said to be approximate. Durations less than a
  minute apart never do.
- Shares contradict, part by part, when a part differs by more than 15 points, or as a whole when
  the largest part is another one by more than 5 points. A part that was not named counts as 0 %.
- A yes or no, and one choice out of several, contradict when they differ.
- Lists and ranks never do: leaving something out does not deny it.

A range is as near as its nearest end. Nothing is compared with an unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from intramural.domain.answer_kinds import Kind, Number, OneOf, SomeOf, YesNo
from intramural.domain.answer_tables import Parts, Shares, Spreads, SpreadsBy
from intramural.domain.one_page import Contradiction
from intramural.domain.profile import FIELDS, Profile, field_of
from intramural.domain.quantity import Dimension, Quantity, exactly
from intramural.interview.figures import key_label, shown, sides, value_text
from intramural.interview.titles import title

PERCENT_POINTS = 10.0
SHARE_POINTS = 15.0
LEAD_POINTS = 5.0
FACTOR, APPROXIMATE_FACTOR = 1.5, 2.0
SECONDS_APART = 60.0

_PARTS = {
    "anatomy.job_mix": "Share of {}",
    "anatomy.model_sizes": "Share of {} models",
    "anatomy.gpu_count": "Share of jobs with {} GPUs",
    "anatomy.failure_causes": "{}, of failures",
}
_QUEUE = "anatomy.queue_time"
_NOTHING = exactly(0.0)


def contradictions(profile: Profile) -> tuple[Contradiction, ...]:
    """Return every contradiction of *profile*, in the order of the questions."""
    return tuple(found for field in FIELDS for found in of_field(profile, field.path))


def of_field(profile: Profile, path: str) -> Iterator[Contradiction]:
    """Yield the contradictions of one question."""
    kind, both = field_of(path).kind, sides(profile.answers(path))
    if both.asked is None or both.measured is None:
        return
    said, measured = both.asked.value, both.measured.value
    if said is None or measured is None:
        return
    if isinstance(kind, Parts):
        yield from _of_shares(path, kind, said, measured)
    elif isinstance(kind, SpreadsBy):
        yield from _of_spreads(path, kind, said, measured)
    elif _differ(kind, said, measured):
        yield Contradiction(path=path, label=title(path), said=value_text(kind, said), measured=value_text(kind, measured))


def _differ(kind: Kind, said: Any, measured: Any) -> bool:
    if isinstance(kind, Number):
        return numbers_differ(said, measured, kind.dimension)
    return isinstance(kind, YesNo | OneOf) and not isinstance(kind, SomeOf) and bool(said != measured)


def numbers_differ(said: Quantity, measured: Quantity, dimension: Dimension) -> bool:
    """Tell whether a measured number contradicts what was said."""
    if dimension is Dimension.PERCENT:
        return points_apart(said, measured) > PERCENT_POINTS
    if dimension is Dimension.DURATION and points_apart(said, measured) < SECONDS_APART:
        return False
    factor = APPROXIMATE_FACTOR if said.approximate else FACTOR
    below = said.low is not None and measured.high is not None and measured.high * factor < said.low
    above = said.high is not None and measured.low is not None and measured.low > said.high * factor
    return below or above


def points_apart(one: Quantity, other: Quantity) -> float:
    """Return the gap between two ranges; 0 where they meet."""
    gaps = [low - high for low, high in ((one.low, other.high), (other.low, one.high)) if low is not None and high is not None]
    return max([0.0, *gaps])


def _of_shares(path: str, kind: Parts, said: Shares, measured: Shares) -> Iterator[Contradiction]:
    if said.total is None or measured.total is None:  # parts that are only named deny nothing
        return
    found = False
    for key in dict.fromkeys([*(key for key, _ in measured.ranked()), *said.parts]):
        ours, theirs = said.parts.get(key) or _NOTHING, measured.parts.get(key) or _NOTHING
        if points_apart(ours, theirs) > SHARE_POINTS:
            found = True
            words = _share(ours) if key in said.parts else "none"
            label = _PARTS[path].format(key_label(kind, key))
            yield Contradiction(path=path, key=key, label=label, said=words, measured=_share(theirs))
    top_said, top_measured = said.ranked()[0][0], measured.ranked()[0][0]
    if not found and _lead(said, top_said, top_measured) > 0 and _lead(measured, top_measured, top_said) > LEAD_POINTS:
        labels = (key_label(kind, top_said), key_label(kind, top_measured))
        yield Contradiction(path=path, label=title(path), said=f"mostly {labels[0]}", measured=f"mostly {labels[1]}")


def _lead(shares: Shares, first: str, second: str) -> float:
    ends = [(shares.parts.get(key) or _NOTHING).middle for key in (first, second)]
    return ends[0] - ends[1]


def _of_spreads(path: str, kind: SpreadsBy, said: Spreads, measured: Spreads) -> Iterator[Contradiction]:
    for key, ours in said.by.items():
        theirs = measured.by.get(key)
        for end in ("p50", "p90"):
            one, other = getattr(ours, end), theirs and getattr(theirs, end)
            if one and other and numbers_differ(one, other, kind.dimension):
                yield Contradiction(
                    path=path,
                    key=f"{key}.{end}",
                    label=f"{key_label(kind, key)} {'queue ' if path == _QUEUE else ''}{end}",
                    said=shown(one, kind.dimension),
                    measured=shown(other, kind.dimension),
                )


def _share(share: Quantity) -> str:
    return shown(share, Dimension.PERCENT)
