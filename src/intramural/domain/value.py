"""
The base of every value: frozen, strict about unknown fields, equal by content.

Also the few scalar types that values share. Digests are written `sha256:<64 hex>`.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal, NewType

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from intramural.errors import InvalidInput

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
NAME_RULE = "write lower-case letters, digits and `. _ - /`, a letter or digit first"
NAME_PATTERN = r"^[a-z0-9][a-z0-9._/-]{0,127}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""What people call a model, a data set or a job: lower case, digits, `.`, `_`, `-`, `/`."""

Instant = AwareDatetime

INF_NAN: Literal["strings"] = "strings"
"""How numbers without a value are written: JSON has none, and `"NaN"` and `"Infinity"` read back as numbers."""

ProjectId = NewType("ProjectId", str)
JobId = NewType("JobId", str)
RunId = NewType("RunId", str)
ArtifactId = NewType("ArtifactId", str)


def check_name(text: str) -> None:
    """Raise `InvalidInput` unless *text* is a `Name`."""
    if not re.fullmatch(NAME_PATTERN, text):
        raise InvalidInput("That is not a name.", hint=f"For a name, {NAME_RULE}.")


class Value(BaseModel):
    """A frozen value that refuses unknown fields; its JSON reads back as it was."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_inf_nan=INF_NAN,
        protected_namespaces=(),
        defer_build=True,
        hide_input_in_errors=True,
    )

    def document(self) -> dict[str, Any]:
        """Return the value as plain JSON types."""
        return self.model_dump(mode="json")


def faults_of(error: ValidationError) -> list[ErrorDetails]:
    """Return what a validation found wrong, by place and rule: the one way out of such an error, for it quotes its input."""
    found = error.errors(include_input=False, include_url=False)
    for each in found:
        if each["type"] == "union_tag_invalid":  # the one message of pydantic's own that quotes
            each["msg"] = "Input is none of the kinds that are known here"
    return found


def digest_of_bytes(content: bytes) -> str:
    """Return the digest of *content*."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_of(document: Any) -> str:
    """Return the digest of a JSON document in canonical form (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest_of_bytes(text.encode())
