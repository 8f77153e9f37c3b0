"""
Many answers at once, without a conversation: a file of answers, `path=value` settings, the numbers of choices.

All of it is read or none of it: every mistake is told with its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from intramural.domain import strict_yaml
from intramural.domain.answer_kinds import Kind, OneOf, SomeOf, YesNo, split
from intramural.domain.answer_tables import Parts, SpreadsBy
from intramural.domain.answers import Provenance
from intramural.domain.profile import FIELDS, SECTIONS, Profile
from intramural.errors import InvalidInput
from intramural.interview.answering import answer, check_together, without_answer
from intramural.interview.conversation import open_with
from intramural.interview.nearest import no_such_question

_HEAD = ("name", "respondent", "interviewed", "window_days", "notes")
_FIGURE = r"[~≈<>≤≥?\d.p]"


def take_file(profile: Profile, text: str, *, where: str) -> Profile:
    """Return *profile* with the answers of a file: a profile, or a flat mapping of `section.field` to an answer."""
    document, places = strict_yaml.read_mapping(text, where=where)
    if not any("." in key for key in document):
        return merged(profile, strict_yaml.read(text, Profile, where=where))
    given = [(places.get((key,), where), key, each) for key, each in document.items()]
    return _take(profile, given)


def take_settings(profile: Profile, settings: Iterable[str]) -> Profile:
    """Return *profile* with the answers of `section.field=value` settings; an empty value takes an answer away."""
    given = []
    for each in settings:
        path, equals, text = each.partition("=")
        if not equals:
            raise InvalidInput("`--set` takes `section.field=answer`.", hint="For example --set anatomy.success_rate=95%.")
        given.append((f"--set {path.strip()}", path.strip(), text))
    return _take(profile, given)


def merged(profile: Profile, other: Profile) -> Profile:
    """Return *profile* with every answer that *other* has, provenance by provenance."""
    head = {each: getattr(other, each) for each in _HEAD if getattr(other, each) != Profile.model_fields[each].default}
    profile = profile.model_copy(update=head)
    for each in FIELDS:
        given = {source.value: found for source in Provenance if (found := other.answers(each.path).by(source))}
        if given:
            profile = profile.with_answers(each.path, profile.answers(each.path).model_copy(update=given))
    check_together(profile)
    return profile


def with_numbers(kind: Kind, text: str) -> str:
    """Return *text* with the numbers of the choices, as a list of them shows them, replaced by the choices."""
    if isinstance(kind, YesNo):
        return {"1": "yes", "2": "no"}.get(text.strip(), text)
    keys = kind.keys if isinstance(kind, (Parts, SpreadsBy)) else kind
    if not isinstance(keys, OneOf) or not keys.choices:
        return text
    if isinstance(kind, SomeOf):
        between = " > " if kind.ranked else ", "
        return between.join(_choice(each.strip(), keys, r"(\d+)()") for each in split(r"[,;>]", text))
    if isinstance(kind, OneOf):
        return _choice(text.strip(), keys, r"(\d+)()")
    rows = split(r"[;\n]|,(?!\d|\s*p90)", text)
    return "; ".join(_choice(each.strip(), keys, rf"(\d+)(\s*[:=)\s]\s*{_FIGURE}.*)") for each in rows if each.strip())


def _choice(text: str, keys: OneOf, pattern: str) -> str:
    match = re.fullmatch(pattern, text)
    if not match:
        return text
    if not 1 <= int(match[1]) <= len(keys.choices):
        if match[2]:
            return text  # a figure, not a number of a choice
        words = f"the choices are 1 to {len(keys.choices)}"
        raise InvalidInput(f"There is no choice {match[1][:9]}: {words}.", hint="Type its number or its name.", words=words)
    return keys.choices[int(match[1]) - 1].key + match[2]


def _take(profile: Profile, given: list[tuple[str, str, Any]]) -> Profile:
    mistakes = []
    for place, path, value in given:
        try:
            profile = _put(profile, path, value)
        except InvalidInput as error:
            mistakes.append((f"{place}: {error.message}", error.hint))
    if mistakes:
        raise InvalidInput("\n".join(each for each, _ in mistakes), hint=mistakes[0][1])
    return profile


def _put(profile: Profile, path: str, value: Any) -> Profile:
    if path in _HEAD:
        return _with_head(profile, path, value)
    try:
        if value is None:
            return profile  # a key without a value
        return without_answer(profile, path) if value == "" else answer(profile, path, value)
    except KeyError:
        hint = f"A path is section.field; the sections are {', '.join(SECTIONS)}."
        raise InvalidInput(no_such_question(path), hint=hint) from None


def _with_head(profile: Profile, key: str, value: Any) -> Profile:
    if key in {"name", "respondent", "window_days"}:
        return open_with(profile, key, str(value))
    read = strict_yaml.read(json.dumps({key: str(value)}), Profile, where=key)
    return profile.model_copy(update={key: getattr(read, key)})
