"""
An answer with where it comes from: who said it or what measured it, how exactly, for which days.

A field of a profile holds up to one answer per provenance, side by side, so that what was said
and what was measured can be compared; neither overwrites the other.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from intramural.domain.value import Value

T = TypeVar("T")

UNKNOWN = "unknown"
_DONT_KNOW = {UNKNOWN, "?", "don't know", "dont know", "do not know", "don\u2019t know", "idk", "no idea", "not known"}


def is_unknown(given: Any) -> bool:
    """Tell whether a person said that she does not know."""
    return isinstance(given, str) and given.strip().casefold() in _DONT_KNOW


class Provenance(StrEnum):
    """Where an answer comes from."""

    ASKED = "asked"
    MEASURED = "measured"
    IMPORTED = "imported"
    ESTIMATED = "estimated"


class Confidence(StrEnum):
    """How exactly it is known."""

    ROUGH = "rough"
    EXACT = "exact"


def _day(given: Any) -> Any:
    """Read a day even where strictness has lost that it came as JSON: `Answers` looks at it first."""
    try:
        return date.fromisoformat(given) if isinstance(given, str) else given
    except ValueError:
        raise ValueError("write the day as 2026-11-24") from None


Day = Annotated[date, BeforeValidator(_day)]


class Window(Value):
    """The days an answer is about, both ends included."""

    days: float
    first: Day | None = None
    last: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.days <= 0 or (self.first and self.last and self.last < self.first):
            raise ValueError("a window ends after it starts")
        return self


class Answer(Value, Generic[T]):
    """One answer; a value of none means that the person asked does not know."""

    value: T | None
    confidence: Annotated[Confidence, Field(strict=False)] = Confidence.ROUGH
    window: Window | None = None
    """None: the profile's own window."""
    source: str | None = None
    """Who or what it is from: a role, `sacct`, a tracking server. Never a name of a person where anonymised."""

    @field_validator("value", mode="wrap")
    @classmethod
    def _unknown_is_none(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return None if given is None or is_unknown(given) else handler(given)

    @field_serializer("value", mode="wrap")
    def _none_is_unknown(self, value: Any, handler: SerializerFunctionWrapHandler) -> Any:
        return UNKNOWN if value is None else handler(value)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to it but its value."""
        return self.confidence is Confidence.ROUGH and self.window is None and self.source is None


class Answers(Value, Generic[T]):
    """The answers to one question, one per provenance.

    In a file a value alone is what was asked: `success_rate: 95%` means `{asked: {value: 95%}}`; an empty one means nothing.
    """

    asked: Answer[T] | None = None
    measured: Answer[T] | None = None
    imported: Answer[T] | None = None
    estimated: Answer[T] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        if isinstance(given, cls):
            return given
        if given is None or given == {}:
            return {}
        if isinstance(given, dict) and set(given) & set(Provenance):
            return {key: each if each is None or _is_answer(each) else {"value": each} for key, each in given.items()}
        return {"asked": given if _is_answer(given) else {"value": given}}

    @model_serializer(mode="wrap")
    def _as_short(self, handler: SerializerFunctionWrapHandler) -> Any:
        document = {key: each for key, each in handler(self).items() if each is not None}
        for key, answer in document.items():
            document[key] = {name: part for name, part in answer.items() if part is not None}
        only = self.asked
        return document["asked"]["value"] if only and only.is_plain and len(document) == 1 else document

    def by(self, provenance: Provenance) -> Answer[T] | None:
        """Return the answer of *provenance*, if there is one."""
        found: Answer[T] | None = getattr(self, provenance)
        return found

    @property
    def best(self) -> Answer[T] | None:
        """The answer to rely on: measured before imported before asked before estimated, a known value before unknown."""
        order = (self.measured, self.imported, self.asked, self.estimated)
        given = [each for each in order if each is not None]
        return next((each for each in given if each.value is not None), given[0] if given else None)

    @property
    def value(self) -> T | None:
        """The value of the best answer; none when unknown or not answered."""
        return self.best.value if self.best else None


def _is_answer(given: Any) -> bool:
    return isinstance(given, Answer) or (
        isinstance(given, dict) and "value" in given and set(given) <= set(Answer.model_fields)
    )
