"""
The formats of rows, how one is recognised, and how its rows become examples.

| name | fields | example |
|---|---|---|
| `chat` | `messages` | OpenAI's chat format |
| `prompt-completion` | `prompt`, `completion`, `system`? | one user turn, one answer |
| `alpaca` | `instruction`, `output`, `input`?, `system`?, `history`? | Stanford Alpaca; the input follows on a new line |
| `sharegpt` | `conversations`, `system`? | turns of `from` and `value` |
| `preference` | `input`, `preferred_output`, `non_preferred_output` | OpenAI's preference format |
| `preference` | `chosen`, `rejected`, `prompt`? or `conversations`? | texts, turns, or whole conversations |
| `unpaired` | `label`, and `prompt`, `completion` or `messages`; `system`? | one answer and whether it is a good one |
| `text` | `text` | plain text |

Rows as they are stored are in the format of their kind too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from intramural.domain.dataset import ExampleKind
from intramural.errors import InvalidInput
from intramural.intake.messages import (
    MalformedRow,
    Turn,
    chat_example,
    optional_text,
    preference_example,
    text_of,
    turns_of,
    unpaired_example,
)
from intramural.intake.provenance import is_about

Fields = Mapping[str, Any]
Convert = Callable[[Fields, set[str]], dict[str, Any]]
"""Takes a row and a set to note unused fields of its turns in; raises `MalformedRow`."""

DETECTION_ROWS = 100


class Format(NamedTuple):
    """One format of rows."""

    name: str
    kind: ExampleKind
    fields: frozenset[str]
    """What it takes from a row."""
    required: tuple[frozenset[str], ...]
    """A row that has all fields of one of these is in this format."""
    convert: Convert
    is_meant: Callable[[Fields], bool] = lambda _: True
    """Whether a row with such fields is in this format by what they hold."""

    def fits(self, names: Iterable[str]) -> bool:
        """Tell whether a row with the fields *names* is in this format."""
        return any(each <= set(names) for each in self.required)

    def needs(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of *names* that a row in this format needs, where it has *names*."""
        return frozenset[str]().union(*(each for each in self.required if each <= set(names)))


def _chat(row: Fields, unused: set[str]) -> dict[str, Any]:
    value = row.get("messages")
    if type(value) is str:
        value = _parsed(value, "messages")
    return chat_example(turns_of(value, "messages", unused), "messages")


def _parsed(text: str, field: str) -> Any:
    """Read turns that a CSV cell holds as JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise MalformedRow(field, "not a list, and not a list written as JSON") from None


def _opening(row: Fields) -> list[Turn]:
    system = optional_text(row, "system")
    return [{"role": "system", "content": system}] if system else []


def _prompt_completion(row: Fields, unused: set[str]) -> dict[str, Any]:
    turns = _opening(row)
    turns.append({"role": "user", "content": text_of(row, "prompt")})
    turns.append({"role": "assistant", "content": text_of(row, "completion")})
    return chat_example(turns, "completion")


def _alpaca(row: Fields, unused: set[str]) -> dict[str, Any]:
    turns = _opening(row)
    for place, pair in enumerate(row.get("history") or ()):
        if not (type(pair) is list and len(pair) == 2 and all(type(each) is str and each.strip() for each in pair)):
            raise MalformedRow(f"history[{place}]", "not a pair of texts")
        turns.append({"role": "user", "content": pair[0]})
        turns.append({"role": "assistant", "content": pair[1]})
    instruction, given = text_of(row, "instruction"), optional_text(row, "input")
    turns.append({"role": "user", "content": f"{instruction}\n{given}" if given else instruction})
    turns.append({"role": "assistant", "content": text_of(row, "output")})
    return chat_example(turns, "output")


def _sharegpt(row: Fields, unused: set[str]) -> dict[str, Any]:
    turns = turns_of(row.get("conversations"), "conversations", unused, sharegpt=True)
    return chat_example(_opening(row) + turns, "conversations")


def _preference(row: Fields, unused: set[str]) -> dict[str, Any]:
    if "preferred" in row:
        parts = [turns_of(row.get(name), name, unused) for name in ("input", "preferred", "non_preferred")]
        return preference_example(parts[0], parts[1], parts[2], "input")
    if "preferred_output" in row:
        given = row.get("input")
        if type(given) is not dict:
            raise MalformedRow("input", "missing" if given is None else "not an object")
        prompt = turns_of(given.get("messages"), "input.messages", unused)
        preferred = turns_of(row["preferred_output"], "preferred_output", unused)
        other = turns_of(row.get("non_preferred_output"), "non_preferred_output", unused)
        return preference_example(prompt, preferred, other, "input.messages")
    preferred, other = _answer(row, "chosen", unused), _answer(row, "rejected", unused)
    prompt, field = _prompt(row, unused)
    if preferred[0]["role"] in {"system", "user"}:
        shared = _shared_turns(preferred, other)
        prompt, preferred, other = preferred[:shared], preferred[shared:], other[shared:]
    if not prompt:
        raise MalformedRow("prompt", "missing, and the chosen and the rejected answer do not begin with the same turns")
    return preference_example(_opening(row) + prompt, preferred, other, field)


def _prompt(row: Fields, unused: set[str]) -> tuple[list[Turn], str]:
    """Return the turns before the answers and the field they came from."""
    if row.get("conversations") is not None:
        return turns_of(row["conversations"], "conversations", unused, sharegpt=True), "conversations"
    prompt = row.get("prompt")
    if prompt is None:
        return [], "chosen"
    if type(prompt) is list:
        return turns_of(prompt, "prompt", unused, sharegpt=True), "prompt"
    return [{"role": "user", "content": text_of(row, "prompt")}], "prompt"


_TRANSCRIPT = re.compile(r"\n\n(Human|Assistant):")


def _answer(row: Fields, name: str, unused: set[str]) -> list[Turn]:
    """Return the turns of one answer: a text, one turn, turns, or an HH-RLHF transcript."""
    value = row.get(name)
    if type(value) is dict:
        value = [value]
    if type(value) is list:
        return turns_of(value, name, unused, sharegpt=True)
    text = text_of(row, name)
    if not text.startswith("\n\nHuman:"):
        return [{"role": "assistant", "content": text}]
    parts = _TRANSCRIPT.split(text)[1:]
    turns = [
        {"role": "user" if speaker == "Human" else "assistant", "content": said.strip()}
        for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    ]
    return turns_of(turns, name, unused)


def _shared_turns(left: list[Turn], right: list[Turn]) -> int:
    """Count the turns with which both conversations begin; the last turn of each is its answer."""
    most = min(len(left), len(right)) - 1
    for place in range(most):
        if left[place] != right[place]:
            return place
    return most


_GOOD, _BAD = {"true", "1"}, {"false", "0"}


def _unpaired(row: Fields, unused: set[str]) -> dict[str, Any]:
    for name in ("desirable", "undesirable"):
        if name in row:
            turns = turns_of(row.get("input"), "input", unused) + turns_of(row[name], name, unused)
            return unpaired_example(chat_example(turns, name)["messages"], name == "desirable")
    label = str(row.get("label")).strip().lower()
    if label not in _GOOD | _BAD:
        raise MalformedRow("label", "missing" if row.get("label") is None else "not true or false")
    example = _chat(row, unused) if row.get("messages") is not None else _prompt_completion(row, unused)
    return unpaired_example(example["messages"], label in _GOOD)


def _is_judged(row: Fields) -> bool:
    """Tell whether the label judges an answer; one of another type names a class, and 1 may mean either."""
    label = row.get("label", True)
    return label is True or label is False or (type(label) is str and label.strip().lower() in {"true", "false"})


def _text(row: Fields, unused: set[str]) -> dict[str, Any]:
    value = row.get("text")
    if type(value) is list and len(value) == 1 and type(value[0]) is dict and value[0].get("role") == "text":
        return {"text": [{"role": "text", "content": text_of(value[0], "content")}]}
    return {"text": [{"role": "text", "content": text_of(row, "text")}]}


def _is_text(row: Fields) -> bool:
    """Tell whether the text is all there is; beside other fields it may be a question, and one of them its answer."""
    return all(name == "text" or is_about(name) for name in row)


def _format(
    name: str,
    kind: ExampleKind,
    convert: Convert,
    required: tuple[str, ...],
    optional: str = "",
    is_meant: Callable[[Fields], bool] = lambda _: True,
) -> Format:
    needs = tuple(frozenset(each.split()) for each in required)
    return Format(name, kind, frozenset[str]().union(*needs) | frozenset(optional.split()), needs, convert, is_meant)


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        _format("chat", ExampleKind.CHAT, _chat, ("messages",)),
        _format("prompt-completion", ExampleKind.CHAT, _prompt_completion, ("prompt completion",), "system"),
        _format("alpaca", ExampleKind.CHAT, _alpaca, ("instruction output",), "input system history"),
        _format("sharegpt", ExampleKind.CHAT, _sharegpt, ("conversations",), "system"),
        _format(
            "preference",
            ExampleKind.PREFERENCE,
            _preference,
            ("input preferred_output non_preferred_output", "chosen rejected", "input preferred non_preferred"),
            "prompt conversations system",
        ),
        _format(
            "unpaired",
            ExampleKind.UNPAIRED,
            _unpaired,
            ("prompt completion label", "messages label", "input desirable", "input undesirable"),
            "system",
            _is_judged,
        ),
        _format("text", ExampleKind.TEXT, _text, ("text",), is_meant=_is_text),
    )
}

_NARROWER = {"preference": {"sharegpt"}, "unpaired": {"chat", "prompt-completion"}}
"""A row of the format on the left has all fields of those on the right, and says more."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,39}")
_MOST_NAMES = 40


def is_plain_name(name: str) -> bool:
    """Tell whether *name* is plainly the name of a field; a field may be called by somebody's text."""
    return _PLAIN_NAME.fullmatch(name) is not None


def shown_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return those *names* that are plainly names of fields, sorted."""
    ordered = sorted(map(str, names))
    plain = [*filter(is_plain_name, ordered)][:_MOST_NAMES]
    hidden = len(ordered) - len(plain)
    return (*plain, *([f"({hidden} not shown)"] if hidden else []))


def formats_of(row: Fields) -> list[str]:
    """Return the formats that a row is in by its fields, sorted; the ones that say less of it are left out."""
    found = {each.name for each in FORMATS.values() if each.fits(row) and each.is_meant(row)}
    return sorted(found.difference(*(_NARROWER.get(each, ()) for each in found)))


def detect(rows: Iterable[Fields], name: str) -> Format:
    """Return the format of the first rows of the file *name*; raise `InvalidInput` when there is none, or no one."""
    seen: Counter[str] = Counter()
    fields: set[str] = set()
    for row in rows:
        fields.update(row)
        fits = formats_of(row)
        if len(fits) > 1:
            raise InvalidInput(
                f"{name}: a row can be read as {' or as '.join(fits)}; its fields are {', '.join(shown_names(row))}.",
                hint="Name the one you mean with --format.",
            )
        seen.update(fits)
    if not fields:
        raise InvalidInput(f"{name} holds no row.", hint="It is empty, or the file is cut short.")
    if not seen:
        raise InvalidInput(
            f"{name}: no known format; the fields are {', '.join(shown_names(fields)) or 'none'}.",
            hint="Name the fields, for example --map prompt=question --map completion=answer.",
            known=sorted(FORMATS),
        )
    (first, count), *others = seen.most_common()
    if others and others[0][1] == count:
        raise InvalidInput(
            f"{name}: as many rows are {first} as {others[0][0]} ({count} each of the first {DETECTION_ROWS}).",
            hint="Name the one you mean with --format, or split the file.",
        )
    return FORMATS[first]
