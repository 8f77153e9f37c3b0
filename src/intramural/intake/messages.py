"""
Turns of a conversation: how any dialect's list of turns becomes ours, and which lists are faulty.

Ours: `{"role": system | user | assistant | tool, "content": text}`, and `"weight": 0`
on an assistant turn that carries no loss. A reason names the field and the rule, never text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intramural.errors import InvalidInput

Turn = dict[str, Any]

OPENAI_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
SHAREGPT_ROLES = OPENAI_ROLES | {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "function_response": "tool",
    "observation": "tool",
}
"""The tags of the ShareGPT collections and, for calls and their results, of LLaMA-Factory's `sharegpt` format."""

_KNOWN = {"role", "from", "content", "value", "weight"}
_OUR_KEYS = ["role", "content"]
_OUR_ROLES = frozenset(("system", "user", "assistant", "tool"))


class MalformedRow(InvalidInput):
    """One row cannot become an example; *field* and *reason* say why without its text."""

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return the field *name*, which must hold text."""
    value = fields.get(name)
    if value is None:
        raise MalformedRow(name, "missing")
    if type(value) is not str:
        raise MalformedRow(name, "not a text")
    if not value or value.isspace():
        raise MalformedRow(name, "empty")
    return value


def optional_text(fields: Mapping[str, Any], name: str) -> str:
    """Return the field *name*, or an empty text where it is absent."""
    value = fields.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise MalformedRow(name, "not a text")
    return "" if value.isspace() else value


def turns_of(value: Any, field: str, unused: set[str], *, sharegpt: bool = False) -> list[Turn]:
    """Return the turns that *value* holds in either dialect; note in *unused* what they hold besides."""
    if type(value) is not list:
        raise MalformedRow(field, "missing" if value is None else "not a list")
    if not value:
        raise MalformedRow(field, "empty")
    return [each if _is_ours(each) else _turn(each, field, place, unused, sharegpt) for place, each in enumerate(value)]


def _is_ours(value: Any) -> bool:
    """Tell whether a turn needs no change, its keys in our order included; most turns are so, and this is quick."""
    return (
        type(value) is dict
        and [*value] == _OUR_KEYS
        and type(value["role"]) is str
        and value["role"] in _OUR_ROLES
        and type(value["content"]) is str
        and value["content"] != ""
        and not value["content"].isspace()
    )


def _turn(value: Any, field: str, place: int, unused: set[str], sharegpt: bool) -> Turn:
    if type(value) is not dict:
        raise MalformedRow(f"{field}[{place}]", "not an object")
    role_name, text_name, roles = "role", "content", OPENAI_ROLES
    if sharegpt and "from" in value:
        role_name, text_name, roles = "from", "value", SHAREGPT_ROLES
    given = value.get(role_name)
    role = roles.get(given) if type(given) is str else None
    if role is None:
        raise MalformedRow(f"{field}[{place}].{role_name}", "missing" if given is None else f"not one of {', '.join(roles)}")
    if len(value) > 2:
        _note_unused(value, field, place, unused)
    silent = role == "assistant" and _is_silent(value.get("weight"), f"{field}[{place}].weight")
    content = value.get(text_name)
    if type(content) is not str:
        content = _joined_parts(content, f"{field}[{place}].{text_name}")
    if (not content or content.isspace()) and not silent:
        raise MalformedRow(f"{field}[{place}].{text_name}", "empty")
    return {"role": role, "content": content, "weight": 0} if silent else {"role": role, "content": content}


def _note_unused(value: dict[str, Any], field: str, place: int, unused: set[str]) -> None:
    if value.get("tool_calls"):
        raise MalformedRow(f"{field}[{place}].tool_calls", "tool calls cannot be trained on; write them into the content")
    unused.update(f"{field}[].{name}" for name, held in value.items() if held is not None and name not in _KNOWN)


def _is_silent(weight: Any, field: str) -> bool:
    """Tell whether the turn carries no loss: OpenAI's `weight`, 0 or 1."""
    if weight is None:
        return False
    if type(weight) not in (int, float) or weight not in (0, 1):
        raise MalformedRow(field, "not 0 or 1")
    return bool(weight == 0)


def _joined_parts(content: Any, field: str) -> str:
    """Return the text of OpenAI's list of content parts."""
    if content is None:
        raise MalformedRow(field, "missing")
    if type(content) is not list:
        raise MalformedRow(field, "not a text")
    if not all(type(part) is dict and part.get("type") == "text" and type(part.get("text")) is str for part in content):
        raise MalformedRow(field, "holds a part that is not text")
    return "".join(part["text"] for part in content)


def chat_example(turns: list[Turn], field: str) -> dict[str, Any]:
    """Return *turns* as a chat example, or raise `MalformedRow` when there is nothing to learn from them."""
    last = turns[-1]
    if last["role"] != "assistant":
        raise MalformedRow(field, "the last turn is not the assistant's")
    has_user = has_answer = False
    for turn in turns:
        has_user = has_user or turn["role"] == "user"
        has_answer = has_answer or (turn["role"] == "assistant" and "weight" not in turn)
    if not has_user:
        raise MalformedRow(field, "no user turn")
    if not has_answer:
        raise MalformedRow(field, "every assistant turn has weight 0, so nothing is trained on")
    return {"messages": turns}


def preference_example(prompt: list[Turn], preferred: list[Turn], other: list[Turn], field: str) -> dict[str, Any]:
    """Return a preference example, or raise `MalformedRow` when its parts do not make a comparison."""
    if not any(turn["role"] == "user" for turn in prompt):
        raise MalformedRow(field, "no user turn")
    if prompt[-1]["role"] == "assistant":
        raise MalformedRow(field, "the last turn before the answers is the assistant's")
    for answer, name in ((preferred, "preferred"), (other, "non-preferred")):
        if not answer or answer[-1]["role"] != "assistant":
            raise MalformedRow(field, f"the {name} answer does not end with an assistant turn")
    if preferred == other:
        raise MalformedRow(field, "the preferred and the non-preferred answer are equal")
    return {"input": prompt, "preferred": preferred, "non_preferred": other}


def unpaired_example(turns: list[Turn], is_good: bool) -> dict[str, Any]:
    """Return the turns before the answer, and the answer under the word that it was judged with."""
    return {"input": turns[:-1], "desirable" if is_good else "undesirable": turns[-1:]}
