"""
The kinds of answer a profile holds, each with its text form.

A kind reads what a person wrote (text, or the lists and mappings of a YAML file), writes text
that reads back as the same value, and describes itself for the JSON Schema. The terminal, the
web form, the printed sheet and `profile.yaml` use these and nothing else to check an answer.
Messages name choices and examples, never what was written.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic_core import core_schema

from intramural.domain import quantity
from intramural.domain.quantity import Dimension, Quantity
from intramural.domain.value import Value

_QUOTED = r'"(?:[^"]|"")*"'
_BETWEEN = r"[,;>\n]|(?:^|\s)\d+[.)]\s"
"""What parts a list that a person wrote: `a, b`, `a > b`, `1. a 2. b`."""


@dataclass(frozen=True)
class Choice:
    """One of the answers a question offers."""

    key: str
    label: str
    also: tuple[str, ...] = ()
    """Other ways people write it."""

    @cache  # noqa: B019 - the choices are constants; folding them anew for each answer is half of reading a profile
    def names(self) -> frozenset[str]:
        """Return every way to write it, folded."""
        return frozenset({_folded(each) for each in (self.key, self.label, *self.also)})


class Kind:
    """How one kind of answer is read, written and described."""

    @property
    def example(self) -> str:
        """What a person may write."""
        raise NotImplementedError

    def read(self, given: Any) -> Any:
        """Return the value *given* says. Raises `ValueError` in words for the person who wrote it."""
        raise NotImplementedError

    def write(self, value: Any) -> str:
        """Return text that `read` turns into *value*."""
        raise NotImplementedError

    def document(self, value: Any) -> Any:
        """Return *value* as a YAML file holds it."""
        return self.write(value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what a file may hold."""
        return {"type": "string", "examples": [self.example]}

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Let a pydantic field of this kind be checked by `read` and written by `document`."""
        return core_schema.no_info_plain_validator_function(
            lambda given: given if _is_read(given) else self.read(given),
            serialization=core_schema.plain_serializer_function_ser_schema(self.document),
        )

    def __get_pydantic_json_schema__(self, core: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        """Describe the kind for the JSON Schema."""
        return self.schema()


def _is_read(given: Any) -> bool:
    return isinstance(given, Value)


@dataclass(frozen=True)
class Number(Kind):
    """A quantity of one dimension."""

    dimension: Dimension

    @property
    def example(self) -> str:
        """What a person may write."""
        return quantity.EXAMPLES[self.dimension]

    def read(self, given: Any) -> Quantity:
        """Return the quantity."""
        if isinstance(given, bool) or not isinstance(given, (str, int, float)):
            raise ValueError(f"write a number such as {self.example}")
        return quantity.read(given, self.dimension)

    def write(self, value: Quantity) -> str:
        """Return its text."""
        return quantity.write(value, self.dimension)

    def document(self, value: Quantity) -> str | int:
        """Return its text, or the number where that is all there is to it."""
        text = self.write(value)
        return int(text) if text.isdecimal() else text

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema: a number, or text with a unit."""
        return {"type": ["string", "number"], "examples": [self.example], "x-unit": self.dimension.value}


@dataclass(frozen=True)
class Text(Kind):
    """A few words."""

    example: str = "a few words"

    def read(self, given: Any) -> str:
        """Return the words on one line."""
        if isinstance(given, (dict, list)) or given is None or not str(given).strip():
            raise ValueError("write a few words")
        return _words(given)

    def write(self, value: str) -> str:
        """Return the words."""
        return value


@dataclass(frozen=True)
class YesNo(Kind):
    """Yes or no."""

    example: str = "yes"

    def read(self, given: Any) -> bool:
        """Return true for yes."""
        word = _folded(str(given))
        if word in {"yes", "y", "true", "ja", "required", "ok"}:
            return True
        if word in {"no", "n", "false", "none", "nein"}:
            return False
        raise ValueError("answer yes or no")

    def write(self, value: bool) -> str:
        """Return `yes` or `no`."""
        return "yes" if value else "no"

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"enum": ["yes", "no", True, False]}


@dataclass(frozen=True)
class OneOf(Kind):
    """One of the choices."""

    choices: tuple[Choice, ...]
    open: bool = False
    """Whether an answer of one's own is taken too."""

    @property
    def example(self) -> str:
        """What a person may write."""
        return self.choices[0].key

    def read(self, given: Any) -> str:
        """Return the key of the choice, or one's own words where those are taken."""
        if isinstance(given, (dict, list)) or given is None or not str(given).strip():
            raise ValueError(self._known())
        folded = _folded(str(given))
        if key := _keys(self.choices).get(folded):
            return key
        begun = [each.key for each in self.choices if folded and any(name.startswith(folded) for name in each.names())]
        if len(begun) == 1:
            return begun[0]
        if self.open:
            return _words(given)
        names = _keys(self.choices)
        near = difflib.get_close_matches(folded, names, n=1)
        raise ValueError(self._known() + (f"; did you mean `{names[near[0]]}`?" if near else ""))

    def write(self, value: str) -> str:
        """Return the key."""
        return value

    def label(self, key: str) -> str:
        """Return what to show for *key*."""
        return next((each.label for each in self.choices if each.key == key), key)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema."""
        known = {"enum": [each.key for each in self.choices]}
        return {"anyOf": [known, {"type": "string"}]} if self.open else known

    def _known(self) -> str:
        return "choose " + ("from or add to " if self.open else "from ") + ", ".join(each.key for each in self.choices)


@dataclass(frozen=True)
class SomeOf(OneOf):
    """Several of the choices; in order of weight where *ranked*."""

    ranked: bool = False

    @property
    def example(self) -> str:
        """What a person may write."""
        return (" > " if self.ranked else ", ").join(each.key for each in self.choices[:2]) or "one, two"

    def read(self, given: Any) -> tuple[str, ...]:  # type: ignore[override] # several where the base takes one
        """Return the keys, each once."""
        if isinstance(given, str):
            given = [unquoted(each) for each in split(_BETWEEN, given)]
        if not isinstance(given, (list, tuple)):
            raise ValueError(self._known() if self.choices else "write a list")
        parts = [each for each in given if str(each).strip()]
        if not parts:
            raise ValueError(self._known() if self.choices else "write a list")
        return tuple(dict.fromkeys(super(SomeOf, self).read(each) for each in parts))

    def write(self, value: tuple[str, ...]) -> str:  # type: ignore[override] # several where the base takes one
        """Return the keys in one line."""
        return (" > " if self.ranked else ", ").join(
            quoted(each) if re.search(rf'"|{_BETWEEN}', f"{each} ") else each for each in value
        )

    def document(self, value: tuple[str, ...]) -> list[str]:
        """Return the keys as a list."""
        return list(value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [{"type": "array", "items": super().schema()}, {"type": "string"}]}


def split(between: str, text: str) -> list[str]:
    """Return the parts of *text* around the pattern *between*; what stands in double quotes is not parted."""
    parts, start = [], 0
    for match in re.finditer(rf"{_QUOTED}|{between}", text):
        if not match.group().startswith('"'):
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def quoted(words: str) -> str:
    """Return *words* in double quotes, so that nothing in them is taken for a separator."""
    return '"' + words.replace('"', '""') + '"'


def unquoted(text: str) -> str:
    """Return what `quoted` was given; other text as it is."""
    text = text.strip()
    return text[1:-1].replace('""', '"') if re.fullmatch(_QUOTED, text) else text


def _words(given: Any) -> str:
    text = " ".join(str(given).split())
    if any(unicodedata.category(each) in {"Cc", "Cs"} for each in text):
        raise ValueError("it holds characters that no text holds")
    return text


def _folded(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_")


@cache
def _keys(choices: tuple[Choice, ...]) -> dict[str, str]:
    """Return the key of each way to write a choice; of two choices that share one, the first."""
    return {name: each.key for each in reversed(choices) for name in each.names()}
