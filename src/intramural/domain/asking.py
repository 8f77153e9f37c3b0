"""
What a field of a profile says about itself, and how to read it back.

`ask` declares a field once: its question, why it is asked, which lines of the interview guide it
answers and when it applies. `profile_fields` reads the declarations; the terminal, the web form,
the sheet, the schema and the docs are all made from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from intramural.domain.answer_kinds import Kind
from intramural.domain.answers import Answers


@dataclass(frozen=True)
class When:
    """A condition on an earlier answer: a question is put only where it holds."""

    path: str
    """`section.field` of the earlier question."""
    any_of: tuple[str, ...] = ()
    """Holds when the answer is, or contains, one of these (`yes` and `no` for a yes-no question)."""
    any_above: float | None = None
    """Holds when a part named in the answer (`1/2/4/8`) is above this number."""

    def document(self) -> dict[str, Any]:
        """Return the condition as plain JSON types."""
        return {"path": self.path, "any_of": list(self.any_of), "any_above": self.any_above}


@dataclass(frozen=True)
class ProfileField:
    """One question of the interview and everything known about its answer."""

    path: str
    """`section.field`, the same in `profile.yaml`, `--set` and the web form."""
    section: int
    """Of the guide, 0 to 5."""
    question: str
    why: str
    kind: Kind
    guide: tuple[str, ...]
    """The lines of the guide it answers (`1.3`, `hard.run_time`)."""
    when: When | None


def ask(question: str, *, why: str, guide: tuple[str, ...], when: When | None = None) -> Any:
    """Declare a field of a profile; its kind stands in its annotation."""
    extra: Any = {"x-guide": list(guide), "x-when": when.document() if when else None}
    return Field(default=Answers(), title=question, description=why, json_schema_extra=extra)


def fields_of(section: type[BaseModel], name: str, number: int) -> list[ProfileField]:
    """Return the questions that *section* declares, in order."""
    return [_field(each, f"{name}.{key}", number) for key, each in section.model_fields.items()]


def _field(declared: Any, path: str, number: int) -> ProfileField:
    extra = declared.json_schema_extra
    when = extra["x-when"]
    return ProfileField(
        path=path,
        section=number,
        question=declared.title,
        why=declared.description,
        kind=_kind(declared.annotation),
        guide=tuple(extra["x-guide"]),
        when=When(when["path"], tuple(when["any_of"]), when["any_above"]) if when else None,
    )


def _kind(annotation: Any) -> Kind:
    (argument,) = annotation.__pydantic_generic_metadata__["args"]
    kind: Kind = argument.__metadata__[0]
    return kind
