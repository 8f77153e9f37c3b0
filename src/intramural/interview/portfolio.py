"""
From many profiles to what they say together.

Every figure is read from the best answer to a question: measured before imported before asked
before estimated. The values that come out, and what their n means, are in `domain/portfolio.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from intramural.domain.answer_kinds import OneOf, SomeOf, YesNo
from intramural.domain.answer_tables import Parts, Shares, SpreadsBy
from intramural.domain.asking import ProfileField
from intramural.domain.portfolio import (
    CountLine,
    Median,
    Mix,
    MustHave,
    Portfolio,
    RankedLine,
    Ranking,
    Segment,
    ShareLine,
    Summary,
    Tally,
)
from intramural.domain.profile import FIELDS, Profile
from intramural.domain.quantity import Quantity, exactly
from intramural.errors import InvalidInput
from intramural.interview.figures import shown
from intramural.interview.portfolio_reading import (
    Place,
    Reading,
    dimension_of,
    quantile,
    read_best,
)
from intramural.interview.segments import CONSTRAINTS, Constraint, segments_of
from intramural.interview.titles import title

INTEGRATIONS = frozenset(
    {
        "stack.frameworks",
        "stack.domains",
        "governance.ingress",
        "governance.egress",
        "workflow.launch",
        "workflow.tracking",
        "workflow.registry",
        "workflow.auth",
    }
)
_SIZES = frozenset({Segment.SOLO, Segment.SMALL_TEAM, Segment.ENTERPRISE})


class _Group:
    """The readings of one summary, with their known answers by question."""

    def __init__(self, readings: Sequence[Reading], *, anonymous: bool) -> None:
        self.readings = readings
        self.anonymous = anonymous
        self._known: defaultdict[str, list[Any]] = defaultdict(list)
        self._unknown: Counter[str] = Counter()
        for reading in readings:
            for path, answer in reading.best.items():
                if answer.value is None:
                    self._unknown[path] += 1
                else:
                    self._known[path].append(answer.value)

    def values(self, path: str) -> list[Any]:
        """Return every known value at *path*."""
        return self._known.get(path, [])

    def unknown(self, path: str) -> int:
        """Return how many were asked and did not know."""
        return self._unknown[path]


def in_segments(profiles: Sequence[Profile], only: tuple[Segment, ...]) -> list[Profile]:
    """Return the profiles that are in every segment of *only*. Raises `InvalidInput` when there is none."""
    found = [each for each in profiles if segments_of(each).issuperset(only)]
    if not found:
        wanted = " and ".join(only)
        raise InvalidInput(
            f"None of the {len(profiles)} profiles is {wanted}.", hint="Leave --segment out to see who is there."
        )
    return found


def summarise(profiles: Iterable[Profile], *, only: tuple[Segment, ...] = (), anonymous: bool = False) -> Portfolio:
    """Return what *profiles*, all of them in the segments of *only*, say together.

    *anonymous* says that the profiles are anonymised: their placeholders are then not counted as answers.
    """
    readings = [read_best(each) for each in profiles]
    groups = [(segment, [each for each in readings if segment in each.segments]) for segment in Segment if segment not in only]
    return Portfolio(
        profiles=len(readings),
        only=only,
        anonymous=anonymous,
        without_size=sum(not each.segments & _SIZES for each in readings),
        without_regulation=sum(not each.segments - _SIZES for each in readings),
        all=_summary(None, _Group(readings, anonymous=anonymous)),
        segments=tuple(_summary(segment, _Group(group, anonymous=anonymous)) for segment, group in groups if group),
    )


def _summary(segment: Segment | None, group: _Group) -> Summary:
    return Summary(
        segment=segment,
        profiles=len(group.readings),
        rankings=tuple(_ranking(group, field, kind) for field, kind in _ranked()),
        mixes=tuple(_mix(group, each, each.kind) for each in FIELDS if isinstance(each.kind, Parts)),
        medians=tuple(median for each in FIELDS for median in _medians(group, each)),
        must_haves=tuple(_must_have(group, each) for each in CONSTRAINTS),
        tallies=tuple(tally for each in FIELDS for tally in _tallies(group, each)),
    )


def _ranked() -> list[tuple[ProfileField, SomeOf]]:
    """Return the questions whose answers are in order of weight, the pains first."""
    found = [(each, each.kind) for each in FIELDS if isinstance(each.kind, SomeOf) and each.kind.ranked]
    return sorted(found, key=lambda each: each[0].path != "anatomy.pains")


def _ranking(group: _Group, field: ProfileField, kind: SomeOf) -> Ranking:
    values = group.values(field.path)
    named = Counter(key for value in values for key in value)
    first = Counter(value[0] for value in values)
    points: Counter[str] = Counter()
    for value in values:
        for place, key in enumerate(value):
            points[key] += max(len(kind.choices) - place, 1)
    keys = sorted(named, key=lambda key: (-points[key], -named[key], key))
    return Ranking(
        path=field.path,
        label=title(field.path),
        n=len(values),
        unknown=group.unknown(field.path),
        lines=tuple(
            RankedLine(key=key, label=kind.label(key), named_by=named[key], first_for=first[key], points=points[key])
            for key in keys
        ),
    )


def _mix(group: _Group, field: ProfileField, kind: Parts) -> Mix:
    values: list[Shares] = group.values(field.path)
    figured = [each for each in values if each.total is not None]
    named = Counter(key for value in values for key in value.parts)
    sums: defaultdict[str, float] = defaultdict(float)
    for value in figured:
        for key, share in value.parts.items():
            sums[key] += share.middle if share else 0.0
    lines = [
        ShareLine(
            key=key,
            label=kind.keys.label(key) if isinstance(kind.keys, OneOf) else key,
            percent=sums[key] / len(figured) if figured else None,
            named_by=named[key],
        )
        for key in named
    ]
    return Mix(
        path=field.path,
        label=title(field.path),
        n=len(figured),
        without_figures=len(values) - len(figured),
        uneven=sum(not each.adds_up() for each in figured),
        unknown=group.unknown(field.path),
        lines=tuple(sorted(lines, key=lambda each: (-(each.percent or 0.0), -each.named_by, each.key))),
    )


def _medians(group: _Group, field: ProfileField) -> Iterator[Median]:
    """Yield the medians of one question: one of a number, one of the middle job's, two for each key of spreads."""
    kind, dimension = field.kind, dimension_of(field)
    if dimension is None:
        return
    for (key, end), found in _numbers(group, field).items():
        ordered = sorted(number for number, _ in found)
        median, lower, upper = (quantile(ordered, share) for share in (0.5, 0.25, 0.75))
        parts = [title(field.path), kind.keys.label(key) if key and isinstance(kind, SpreadsBy) else None, end]
        yield Median(
            path=field.path,
            label=", ".join(each for each in parts if each),
            key=key,
            end=end,
            dimension=dimension,
            n=len(found),
            measured=sum(is_measured for _, is_measured in found),
            unknown=group.unknown(field.path),
            median=median,
            lower=lower,
            upper=upper,
            text=shown(exactly(median), dimension),
            spread_text=shown(Quantity(low=lower, high=upper), dimension),
        )


def _numbers(group: _Group, field: ProfileField) -> dict[Place, list[tuple[float, bool]]]:
    """Return the numbers of *field* with whether each is from records, by place; keys in the order of the choices."""
    found: defaultdict[Place, list[tuple[float, bool]]] = defaultdict(list)
    for reading in group.readings:
        is_measured = reading.is_measured(field.path)
        for place, number in reading.numbers.get(field.path, ()):
            found[place].append((number, is_measured))
    choices = field.kind.keys.choices if isinstance(field.kind, SpreadsBy) else ()
    order = {choice.key: n for n, choice in enumerate(choices)}
    return dict(
        sorted(found.items(), key=lambda item: (order.get(item[0][0] or "", len(order)), item[0][0] or "", item[0][1] or ""))
    )


def _must_have(group: _Group, constraint: Constraint) -> MustHave:
    values = group.values(constraint.path)
    implied = [each for each in group.readings if _is_ruled_out(each, constraint)]
    return MustHave(
        key=constraint.key,
        label=constraint.label,
        required=sum(constraint.is_must(each) for each in values),
        n=len(values) + len(implied),
        unknown=group.unknown(constraint.path),
    )


def _is_ruled_out(reading: Reading, constraint: Constraint) -> bool:
    """Tell whether another answer says that the constraint is none; it was not asked then."""
    return (
        constraint.unless_no is not None
        and constraint.path not in reading.best
        and reading.value(constraint.unless_no) is False
    )


def _tallies(group: _Group, field: ProfileField) -> Iterator[Tally]:
    kind = field.kind
    if isinstance(kind, YesNo):
        labels = {"yes": "Yes", "no": "No"}
        counted = Counter("yes" if each else "no" for each in group.values(field.path))
    elif isinstance(kind, SomeOf) and not kind.ranked and (kind.choices or not group.anonymous):
        counted = Counter(key for value in group.values(field.path) for key in value)
        labels = {key: kind.label(key) for key in counted}
    elif isinstance(kind, OneOf) and not isinstance(kind, SomeOf):
        counted = Counter(group.values(field.path))
        labels = {key: kind.label(key) for key in counted}
    else:
        return
    keys = sorted(counted, key=lambda key: (-counted[key], key))
    yield Tally(
        path=field.path,
        label=title(field.path),
        n=len(group.values(field.path)),
        unknown=group.unknown(field.path),
        is_integration=field.path in INTEGRATIONS,
        lines=tuple(CountLine(key=key, label=labels[key], named_by=counted[key]) for key in keys),
    )
