"""
The interview as a sheet: every section with its minutes, every question with its form, and what was answered.

A `Sheet` is plain text and lists of it, made from the fields of a profile; the Markdown and the
PDF are two ways to print it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from intramural.domain.answer_kinds import Kind, Number, OneOf, SomeOf, YesNo
from intramural.domain.answer_tables import Parts, Shares, Spreads, SpreadsBy
from intramural.domain.answers import Answer, Confidence
from intramural.domain.asking import ProfileField
from intramural.domain.profile import FIELDS, Profile, field_of
from intramural.domain.quantity import Dimension
from intramural.domain.value import Value
from intramural.interview.answering import written
from intramural.interview.guide import guide


class Form(StrEnum):
    """What room an answer needs."""

    ONE = "one choice"
    SOME = "all that hold"
    RANKED = "in order, 1 first"
    ROWS = "a figure a row"
    LINE = "a line"


class SheetChoice(Value):
    """A box to tick, or a row to fill in."""

    key: str
    label: str
    mark: str = ""
    """`x` or a rank in a box, the figure of a row; empty when not given."""


class SheetQuestion(Value):
    """One question and the room for its answer."""

    path: str
    lines: tuple[str, ...]
    """Of the guide."""
    question: str
    why: str
    condition: str
    """When it is put, in words; empty when always."""
    form: Form
    takes: str
    """What may be written: a unit, or an example."""
    choices: tuple[SheetChoice, ...]
    answer: str
    """What was answered and is not in a box or a row."""
    measured: str


class SheetSection(Value):
    """One section and its minutes."""

    number: int
    title: str
    time: str
    lead: str
    questions: tuple[SheetQuestion, ...]


class Sheet(Value):
    """The whole interview on paper."""

    name: str
    respondent: str
    interviewed: str
    window_days: int
    notes: str
    sections: tuple[SheetSection, ...]


def sheet_of(profile: Profile) -> Sheet:
    """Return the sheet with what *profile* answers already."""
    sections = [
        SheetSection(
            number=number,
            title=each.title,
            time=each.time,
            lead=each.lead,
            questions=tuple(_question(profile, asked) for asked in FIELDS if asked.section == number),
        )
        for number, each in enumerate(guide().sections)
    ]
    return Sheet(
        name=profile.name,
        respondent=profile.respondent,
        interviewed=profile.interviewed.isoformat() if profile.interviewed else "",
        window_days=profile.window_days,
        notes=profile.notes,
        sections=tuple(sections),
    )


def form_of(kind: Kind) -> Form:
    """Return what room an answer of *kind* needs."""
    if isinstance(kind, SomeOf) and kind.choices:
        return Form.RANKED if kind.ranked else Form.SOME
    if isinstance(kind, YesNo) or (isinstance(kind, OneOf) and kind.choices):
        return Form.ONE
    return Form.ROWS if isinstance(kind, SpreadsBy) or (isinstance(kind, Parts) and isinstance(kind.keys, OneOf)) else Form.LINE


def choices_of(kind: Kind) -> tuple[SheetChoice, ...]:
    """Return the boxes or the rows of *kind*."""
    if isinstance(kind, YesNo):
        return (SheetChoice(key="yes", label="Yes"), SheetChoice(key="no", label="No"))
    keys = kind.keys if isinstance(kind, (Parts, SpreadsBy)) else kind
    return tuple(SheetChoice(key=each.key, label=each.label) for each in keys.choices) if isinstance(keys, OneOf) else ()


def condition_of(asked: ProfileField) -> str:
    """Return in words when the question is put; empty when always."""
    when = asked.when
    if when is None:
        return ""
    question = field_of(when.path).question
    if when.any_above is not None:
        return f"only if more than {when.any_above:g} in “{question}”"
    return f"only if {' or '.join(when.any_of)} to “{question}”"


def measured_of(profile: Profile, asked: ProfileField) -> str:
    """Return in words what is known of the question beside what was asked: `61 % over 90 days, sacct`."""
    answers = profile.answers(asked.path)
    known = answers.measured or answers.imported
    if known is None or known.value is None:
        return ""
    days = known.window.days if known.window else profile.window_days
    return f"{asked.kind.write(known.value)} over {days:g} days" + (f", {known.source}" if known.source else "")


def _question(profile: Profile, asked: ProfileField) -> SheetQuestion:
    said = profile.answers(asked.path).asked
    marks = _marks(asked.kind, said) if said else {}
    return SheetQuestion(
        path=asked.path,
        lines=tuple(each for each in asked.guide if each[0].isdigit()),
        question=asked.question,
        why=asked.why,
        condition=condition_of(asked),
        form=form_of(asked.kind),
        takes=_takes(asked.kind),
        choices=tuple(each.model_copy(update={"mark": marks.get(each.key, "")}) for each in choices_of(asked.kind)),
        answer=written(asked, said) if said and not marks else "",
        measured=measured_of(profile, asked),
    )


def _takes(kind: Kind) -> str:
    if isinstance(kind, SpreadsBy):
        return "p50 / p90 in each row, such as 2h / 5h"
    if isinstance(kind, Parts) and isinstance(kind.keys, OneOf):
        return "a share in each row, such as ~45%"
    if isinstance(kind, Number):
        unit = {Dimension.DURATION: "a time", Dimension.SIZE: "a size", Dimension.PERCENT: "a share"}.get(
            kind.dimension, "a number"
        )
        return f"{unit}, such as {kind.example}"
    if isinstance(kind, YesNo):
        return "yes or no"
    if isinstance(kind, OneOf) and kind.choices:
        return form_of(kind).value + (", or your own words" if kind.open else "")
    return f"for example {kind.example}"


def _marks(kind: Kind, said: Answer[Any]) -> dict[str, str]:
    """Return the mark in each box or row, or nothing where the answer does not fit into them as it is."""
    value, known = said.value, [each.key for each in choices_of(kind)]
    if value is None or said.confidence is Confidence.EXACT:
        return {}
    if isinstance(kind, YesNo):
        return {kind.write(value): "x"}
    if isinstance(kind, SomeOf):
        in_order = [each for each in known if each in value]
        if not set(value) <= set(known) or (not kind.ranked and list(value) != in_order):
            return {}
        return {each: str(rank) if kind.ranked else "x" for rank, each in enumerate(value, 1)}
    if isinstance(kind, OneOf):
        return {value: "x"} if value in known else {}
    return _rows(kind, value, known)


def _rows(kind: Kind, value: Shares | Spreads, known: list[str]) -> dict[str, str]:
    if isinstance(value, Spreads) and isinstance(kind, SpreadsBy) and set(value.by) <= set(known):
        return {key: kind.row(each) for key, each in value.by.items()}
    if isinstance(value, Shares) and isinstance(kind, Parts) and set(value.parts) <= set(known) and value.total is not None:
        return {key: kind.row(each) for key, each in value.parts.items() if each}
    return {}
