"""
Strict YAML: text to a value, with the line and the nearest known key of every mistake.

Only mappings, lists and scalars: no tags, anchors or duplicate keys, and the scalars of
YAML 1.2's core schema, so `no`, `1:30` and `2026-11-01` are text and `1e-4` is a number.
Messages name places and keys, never values. The same reader serves every file people
write: `tune.yaml` now, `profile.yaml` and `policy.yaml` later.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from intramural.domain.value import NAME_PATTERN, NAME_RULE, Value, faults_of
from intramural.errors import InvalidInput

V = TypeVar("V", bound=Value)
Path = tuple[str | int, ...]
Places = dict[Path, str]
"""Where each part of the document was written, in words."""

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MOST_DIGITS = 300
_EXPECTED = "Input should be "
_SCHEMAS = {"JobSpec": "tune", "Profile": "profile", "PolicyFile": "policy"}
"""The name by which `intramural schema` knows a kind of file."""


def read(text: str, kind: type[V], *, overrides: tuple[str, ...] = (), where: str = "the file") -> V:
    """Return the value that *text* describes, after `a.b=c` *overrides*.

    Raises `InvalidInput` that names *where*, the line, the field and the nearest known key.
    """
    document, places = read_mapping(text, where=where)
    for override in overrides:
        _override(document, override, places)
    try:
        return kind.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        lines = _explain(error, kind, places, where)
        raise InvalidInput("\n".join(lines), hint=_hint(kind)) from None


def _hint(kind: type[Value]) -> str:
    name = _SCHEMAS.get(kind.__name__)
    return f"`intramural schema {name}` prints every key and what it takes." if name else "Mend what is named, then try again."


def read_mapping(text: str, *, where: str = "the file") -> tuple[dict[str, Any], Places]:
    """Return the keys and values that *text* holds, and where each was written. Raises `InvalidInput`."""
    places: Places = {}
    document = _parse(text, where, places)
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise InvalidInput(f"{where} must be a mapping of keys to values.", hint="Write one `key: value` a line.")
    return document, places


class _Loader(yaml.SafeLoader):
    """Refuses what a plain document does not need."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not read", problem_mark=event.start_mark)
        if event.tag is not None:
            raise yaml.MarkedYAMLError(problem="tags are not read", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


def _parse(text: str, where: str, places: Places, at: Path = ()) -> Any:
    """Return plain JSON types and note where each part stands."""
    try:
        node = _composed(text)
        return None if node is None else _plain(node, at, places, where)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidInput(f"{where}, line {line}: a character that no text holds.", hint="Save it as UTF-8 text.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        # PyYAML quotes what it stumbled over between apostrophes.
        problem = re.sub(r"'(?!<)[^',\s]{3,}'", "it", error.problem or "not YAML")
        raise InvalidInput(f"{where}, line {line}: {problem}.", hint="Mend the YAML.", line=line) from None
    except RecursionError:
        raise InvalidInput(f"{where} is nested too deeply.", hint="Write it flatter.") from None


def _composed(text: str) -> yaml.Node | None:
    """Compose with libyaml, which is ten times as fast; what it does not take goes to PyYAML, whose words name the mistake."""
    if not hasattr(yaml, "CSafeLoader"):
        return yaml.compose(text, Loader=_Loader)
    try:
        return _compose_events(yaml.CSafeLoader(text).get_event)
    except (yaml.YAMLError, UnicodeError, _NotPlainError):
        return yaml.compose(text, Loader=_Loader)


class _NotPlainError(Exception):
    """There is a tag, an anchor, an alias, a directive or a second document."""


def _compose_events(following: Callable[[], Any]) -> yaml.Node | None:
    following()  # the start of the stream
    first = following()
    if isinstance(first, yaml.StreamEndEvent):
        return None
    if first.version or first.tags:
        raise _NotPlainError
    node = _node(following, following())
    following()  # the end of the document
    if not isinstance(following(), yaml.StreamEndEvent):
        raise _NotPlainError
    return node


def _node(following: Callable[[], Any], event: Any) -> yaml.Node:
    kind = type(event)
    if kind is yaml.AliasEvent or event.anchor is not None or event.tag is not None:
        raise _NotPlainError
    if kind is yaml.ScalarEvent:
        return yaml.ScalarNode("", event.value, event.start_mark, event.end_mark, style=event.style or None)
    if kind is yaml.SequenceStartEvent:
        items = []
        while type(item := following()) is not yaml.SequenceEndEvent:
            items.append(_node(following, item))
        return yaml.SequenceNode("", items, event.start_mark)
    pairs = []
    while type(key := following()) is not yaml.MappingEndEvent:
        pairs.append((_node(following, key), _node(following, following())))
    return yaml.MappingNode("", pairs, event.start_mark)


def _plain(node: yaml.Node, path: Path, places: Places, where: str) -> Any:
    places.setdefault(path, f"{where}, line {node.start_mark.line + 1}")
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, (*path, n), places, where) for n, each in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise InvalidInput(f"{where}, line {line}: a key is a word, not a list.", hint="Mend the YAML.", line=line)
        key = str(key_node.value)
        if key in out:
            raise InvalidInput(f"{where}, line {line}: the key `{key}` is given twice.", hint="Keep one.", line=line)
        places[(*path, key)] = f"{where}, line {line}"
        out[key] = _plain(value_node, (*path, key), places, where)
    return out


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    return text if node.style is not None else _plain_scalar(text)


def is_plain_text(text: str) -> bool:
    """Tell whether *text* is read as text when it stands in a file without quotation marks."""
    return isinstance(_plain_scalar(text), str)


def _plain_scalar(text: str) -> Any:
    if len(text) > _MOST_DIGITS:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _REAL.fullmatch(text) else text


def _override(document: dict[str, Any], override: str, places: Places) -> None:
    dotted, equals, text = override.partition("=")
    *parents, last = path = tuple(dotted.split("."))
    if not equals or not all(path):
        raise InvalidInput("`--set` takes `key=value`.", hint="For example --set train.steps=50.")
    place, at = f"--set {dotted}", document
    for n, step in enumerate(parents):
        if at.get(step) is None:
            at[step] = {}
            places[path[: n + 1]] = place
        at = at[step]
        if not isinstance(at, dict):
            raise InvalidInput(f"{place}: `{step}` holds a value, not keys.", hint="For example --set train.steps=50.")
    for below in [each for each in places if each[: len(path)] == path]:
        del places[below]
    places[path] = place
    at[last] = _parse(text, place, places, path)


def _explain(error: ValidationError, kind: type[Value], places: Places, where: str) -> list[str]:
    """Return one line for each place that is wrong."""
    expected: dict[str, list[str]] = {}
    for each in faults_of(error):
        path = _path(each, places)
        place = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), where)
        dotted = ".".join(map(str, path)) or "the document"
        if each["type"] == "extra_forbidden":
            expected[f"{place}: unknown key `{dotted}`; {_suggestion(kind, path)}"] = []
            continue
        expected.setdefault(f"{place}: `{dotted}`: ", []).append(_words(each))
    return [start + (_alternatives(words) + "." if words else "") for start, words in expected.items()]


def _words(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "it is required"
    if error.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return NAME_RULE
    return error["msg"].removeprefix("Value error, ")


def _alternatives(words: list[str]) -> str:
    """Join what the members of a union expected: `Input should be a valid integer, or 'auto'`."""
    first, *others = dict.fromkeys(words)
    return ", or ".join([first, *(each.removeprefix(_EXPECTED) for each in others)])


def _path(error: ErrorDetails, places: Places) -> Path:
    """Return where the mistake is, without the tags that pydantic adds for the members of a union."""
    path: Path = ()
    for step in error["loc"]:
        if (*path, step) in places or (error["type"] == "missing" and step == error["loc"][-1]):
            path = (*path, step)
    return path


def _suggestion(kind: type[BaseModel], path: Path) -> str:
    """Return the nearest known key beside the unknown one, the place it belongs to, or all keys."""
    parents, unknown = tuple(each for each in path[:-1] if isinstance(each, str)), str(path[-1])
    keys = list(dict.fromkeys(_keys(kind)))
    beside = [each[-1] for each in keys if each[:-1] == parents]
    near = difflib.get_close_matches(unknown, beside, n=1) or [".".join(each) for each in keys if each[-1] == unknown][:1]
    return f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(sorted(beside))}."


def _keys(kind: type[BaseModel], parents: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key of *kind*, those of nested values after their own."""
    for name, field in kind.model_fields.items():
        path = (*parents, field.alias or name)
        yield path
        for inner in _models(field.annotation):
            yield from _keys(inner, path)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
