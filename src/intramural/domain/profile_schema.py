"""The JSON Schema of `profile.yaml`: one definition for each kind of answer, and what each question may hold."""

from __future__ import annotations

from typing import Any

from intramural.domain.answer_kinds import Number, SomeOf, Text, YesNo
from intramural.domain.answers import UNKNOWN, Confidence, Provenance
from intramural.domain.asking import ProfileField
from intramural.domain.profile import FIELDS, SECTIONS, Profile

_WINDOW = {
    "type": ["object", "null"],
    "properties": {
        "days": {"type": "number", "exclusiveMinimum": 0},
        "first": {"type": ["string", "null"], "format": "date"},
        "last": {"type": ["string", "null"], "format": "date"},
    },
    "required": ["days"],
    "additionalProperties": False,
}
_CONFIDENCE = {"enum": [each.value for each in Confidence], "default": Confidence.ROUGH.value}


def profile_schema() -> dict[str, Any]:
    """Return the JSON Schema; `x-guide`, `x-when` and `x-unit` carry what it has no words for."""
    whole = Profile.model_json_schema()
    properties = {key: each for key, each in whole["properties"].items() if key not in SECTIONS}
    definitions: dict[str, Any] = {"window": _WINDOW, "confidence": _CONFIDENCE}
    for name, section in SECTIONS.items():
        fields = [each for each in FIELDS if each.path.startswith(f"{name}.")]
        questions = {each.path.partition(".")[2]: _question(each, definitions) for each in fields}
        properties[name] = {
            "type": "object",
            "description": (section.__doc__ or "").strip(),
            "properties": questions,
            "additionalProperties": False,
        }
    return {
        "description": "A workload in numbers: every answer to the discovery interview, with where it comes from.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _question(field: ProfileField, definitions: dict[str, Any]) -> dict[str, Any]:
    name = _kind_name(field)
    definitions.setdefault(name, {"anyOf": [field.kind.schema(), {"enum": [UNKNOWN, None]}]})
    definitions.setdefault(f"{name}_answer", {"anyOf": [_defined(name), _with_source(name)]})
    by_provenance = {each.value: _defined(f"{name}_answer") for each in Provenance}
    definitions.setdefault(f"{name}_answers", {"type": "object", "properties": by_provenance, "additionalProperties": False})
    when = field.when.document() if field.when else None
    return {
        "title": field.question,
        "description": field.why,
        "x-guide": list(field.guide),
        **({"x-when": when} if when else {}),
        "anyOf": [_defined(f"{name}_answer"), _defined(f"{name}_answers")],
    }


def _kind_name(field: ProfileField) -> str:
    kind = field.kind
    if isinstance(kind, Number):
        return kind.dimension.name.lower()
    if isinstance(kind, YesNo):
        return "yes_or_no"
    if isinstance(kind, Text):
        return "words"
    return "list" if isinstance(kind, SomeOf) and not kind.choices else field.path


def _defined(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _with_source(name: str) -> dict[str, Any]:
    properties = {
        "value": _defined(name),
        "confidence": _defined("confidence"),
        "window": _defined("window"),
        "source": {"type": ["string", "null"]},
    }
    return {"type": "object", "properties": properties, "required": ["value"], "additionalProperties": False}
