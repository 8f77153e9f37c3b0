"""The sentences under the fields of a value, put into its JSON Schema."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import Any

from intramural.domain.value import Value


def described(kind: type[Value]) -> dict[str, Any]:
    """Return the JSON Schema of *kind*, each field described by the sentence that stands under it in its module.

    Read from the source when a schema is asked for: pydantic would read it whenever the class is imported.
    """
    schema = kind.model_json_schema()
    sentences = _sentences(inspect.getsource(sys.modules[kind.__module__]))
    names = {field.alias or name: name for name, field in kind.model_fields.items()}
    for name, part in [(kind.__name__, schema), *schema.get("$defs", {}).items()]:
        for field, shape in part.get("properties", {}).items():
            sentence = sentences.get((name, field)) or sentences.get((name, names.get(field, field)))
            if sentence and "description" not in shape:
                shape["description"] = sentence
    return schema


def _sentences(source: str) -> dict[tuple[str, str], str]:
    """Return the string under each annotated field of each class, by class and field."""
    found = {}
    for each in ast.parse(source).body:
        if not isinstance(each, ast.ClassDef):
            continue
        for field, below in zip(each.body, each.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                found[each.name, field.target.id] = inspect.cleandoc(below.value.value)
    return found
