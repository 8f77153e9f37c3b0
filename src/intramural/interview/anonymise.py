"""
A profile without anything that says whose it is: no names, no dates, no words of anyone's own.

What is kept is what was chosen from a list and what is a number. Everything else is dropped or
counted: a fact that a reader could trace back is worth less than the trust of who told it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from intramural.domain.answer_kinds import Kind, OneOf, SomeOf, Text
from intramural.domain.answer_tables import Parts, Shares, Spread, Spreads, SpreadsBy
from intramural.domain.answers import Answer, Answers, Provenance
from intramural.domain.profile import FIELDS, SECTIONS, Profile
from intramural.domain.quantity import Quantity
from intramural.domain.value import Value

OTHER = "other"
"""What stands where somebody answered in words of her own."""
_WHOLE = 100.0
_SAFE = {
    section: [each for each in FIELDS if each.path.startswith(f"{section}.") and not isinstance(each.kind, Text)]
    for section in SECTIONS
}
"""The questions whose answers can be kept in part; a text is dropped."""


def anonymised(profile: Profile, *, name: str = "") -> Profile:
    """Return *profile* without its name, respondent, day, notes, sources and free text; *name* is what to call it instead."""
    sections = {section: _section(profile, section) for section in SECTIONS}
    return Profile(version=profile.version, name=name, window_days=profile.window_days).model_copy(update=sections)


def _section(profile: Profile, section: str) -> Value:
    kept: dict[str, Answers[Any]] = {}
    for field in _SAFE[section]:
        given = {each: profile.answers(field.path).by(each) for each in Provenance}
        found = {each.value: _answer(answer, field.kind) for each, answer in given.items() if answer is not None}
        if found:
            kept[field.path.partition(".")[2]] = Answers().model_copy(update=found)
    return SECTIONS[section]().model_copy(update=kept)


def _answer(answer: Answer[Any], kind: Kind) -> Answer[Any]:
    """Return *answer* without its source and the dates of its window; a length in days says nothing about anyone."""
    window = answer.window and answer.window.model_copy(update={"first": None, "last": None})
    value = None if answer.value is None else _value(answer.value, kind)
    return answer.model_copy(update={"value": value, "window": window, "source": None})


def _value(value: Any, kind: Kind) -> Any:
    if isinstance(kind, SomeOf):
        if not kind.choices:  # domains, regions: only how many
            return tuple(f"{OTHER} {n}" for n in range(1, len(value) + 1))
        return tuple(dict.fromkeys(_key(each, kind) for each in value))
    if isinstance(kind, OneOf):
        return _key(value, kind)
    if isinstance(kind, Parts) and isinstance(kind.keys, OneOf):
        return _shares(value, kind.keys)
    if isinstance(kind, SpreadsBy):
        return _spreads(value, kind.keys)
    return value


def _key(key: str, kind: OneOf) -> str:
    return key if any(each.key == key for each in kind.choices) else OTHER


def _grouped(keys: Iterable[str], kind: OneOf) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(_key(key, kind), []).append(key)
    return groups


def _shares(shares: Shares, kind: OneOf) -> Shares:
    """Return the shares with those of one's own words added up."""
    groups = _grouped(shares.parts, kind)
    return Shares(parts={key: _sum([shares.parts[each] for each in group]) for key, group in groups.items()})


def _sum(shares: list[Quantity | None]) -> Quantity | None:
    known = [each for each in shares if each is not None]
    if len(shares) == 1 or len(known) < len(shares):
        return shares[0] if len(shares) == 1 else None
    low = min(sum(each.low or 0.0 for each in known), _WHOLE)
    high = min(sum(_WHOLE if each.high is None else each.high for each in known), _WHOLE)
    return Quantity(low=low, high=high, approximate=any(each.approximate for each in known))


def _spreads(spreads: Spreads, kind: OneOf) -> Spreads:
    """Return the spreads; two of one's own words have no common median, so theirs is unknown."""
    groups = _grouped(spreads.by, kind)
    return Spreads(by={key: spreads.by[group[0]] if len(group) == 1 else Spread() for key, group in groups.items()})
