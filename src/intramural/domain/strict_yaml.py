"""
Strict YAML: text to a value, with the line and the nearest known key of every mistake.

Only plain scalars, lists and mappings; no tags, no duplicate keys. The same
reader serves every file people write: `tune.yaml` now, `profile.yaml` and `policy.yaml` later.
"""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from intramural.domain.value import Value
from intramural.errors import InvalidInput

V = TypeVar("V", bound=Value)
Path = tuple[str | int, ...]


def read(text: str, kind: type[V], *, overrides: tuple[str, ...] = (), where: str = "the file") -> V:
    """Return the value that *text* describes, after `a.b=c` *overrides*.

    Raises `InvalidInput` that names *where*, the line, the field and the nearest known key.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "not YAML"
        raise InvalidInput(f"{where}, line {line}: {problem}.", hint="Mend the YAML.", line=line) from None
    lines: dict[Path, int] = {}
    document = _plain(node, (), lines, where) if node is not None else {}
    if not isinstance(document, dict):
        raise InvalidInput(f"{where} must be a mapping of keys to values.", hint="See `intramural schema tune`.")
    for override in overrides:
        _override(document, override)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(*_explain(error, kind, lines, where)) from None


def _explain(error: ValidationError, kind: type[Value], lines: dict[Path, int], where: str) -> tuple[str]:
    parts = []
    for each in error.errors(include_input=False, include_url=False):
        path: Path = tuple(step for step in each["loc"] if isinstance(step, int) or _is_key(step))
        line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
        place = f"{where}, line {line}" if line else where
        dotted = ".".join(str(step) for step in path) or "the document"
        if each["type"] == "extra_forbidden":
            known = _fields(kind, path[:-1])
            near = difflib.get_close_matches(str(path[-1]), known, n=1)
            ask = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}."
            parts.append(f"{place}: unknown key `{dotted}`; {ask}")
        else:
            parts.append(f"{place}: `{dotted}`: {each['msg'].removeprefix('Value error, ')}.")
    return ("\n".join(dict.fromkeys(parts)),)


def _is_key(step: str) -> bool:
    """Tell a field's name from the tag that pydantic adds for a member of a union."""
    return step.replace("_", "").isalnum() and step not in {"int", "float", "str", "tuple", "auto"}


def _fields(kind: type[BaseModel], path: Path) -> list[str]:
    for step in path:
        field = next((f for name, f in kind.model_fields.items() if step in (name, f.alias)), None)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        kind = inner
    return sorted(f.alias or name for name, f in kind.model_fields.items())


def _plain(node: yaml.Node, path: Path, lines: dict[Path, int], where: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in out:
                raise InvalidInput(f"{where}, line {line}: the key `{key}` is given twice.", line=line)
            out[key] = _plain(value_node, (*path, key), lines, where)
            lines[(*path, key)] = line
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, (*path, n), lines, where) for n, each in enumerate(node.value)]
    constructor = yaml.SafeLoader("")
    try:
        return constructor.construct_object(node)  # type: ignore[no-untyped-call]
    except yaml.YAMLError:
        raise InvalidInput(f"{where}, line {lines[path]}: the tag {node.tag} is not allowed.") from None


def _override(document: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise InvalidInput(f"`--set {override}` is not of the form `key=value`.", hint="For example --set train.steps=50.")
    *parents, last = path.split(".")
    at = document
    for step in parents:
        at = at.setdefault(step, {})
        if not isinstance(at, dict):
            raise InvalidInput(f"`--set {path}`: `{step}` holds a value, not keys.")
    try:
        at[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InvalidInput(f"`--set {path}`: the value is not YAML.") from None
