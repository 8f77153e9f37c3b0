"""What the readers of small sources share: bytes to text or JSON, rows to the normal form, and their errors."""

from __future__ import annotations

import codecs
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from intramural.errors import InvalidInput
from intramural.measurement.paths import opened, unreadable
from intramural.measurement.records import SCHEMA, Source, normal

Row = dict[str, Any]
"""One job record: columns of `records.SCHEMA` by name; a column that is missing is not known."""


def read_text(path: Path) -> str:
    """Return the text of a file, unpacked; bytes that are no text are replaced. Raises `InvalidInput` and `NotFound`."""
    try:
        with opened(path) as file:
            body = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error
    if not body.strip():
        raise InvalidInput(f"{path.name} is empty.", hint="Export the records again.")
    wide = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what PowerShell's `>` writes
    return body.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def read_json(path: Path) -> Any:
    """Return the JSON document of a file, or the list of its lines' documents. Raises `InvalidInput` with the line."""
    text = read_text(path)
    try:
        return orjson.loads(text)  # a third of the time and memory; refuses the NaN that trackers write
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        whole = error
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        if len(lines) > 1 and lines[0].startswith("{") and lines[0].endswith("}"):
            return [json.loads(line) for line in lines]
    except json.JSONDecodeError:
        pass
    line = whole.lineno if isinstance(whole, json.JSONDecodeError) else 1
    raise InvalidInput(
        f"{path.name}, line {line}: this is not JSON.", hint="Export the records again; the file may be cut off.", line=line
    ) from None


def from_rows(
    kind: str, rows: Iterable[Row], *, name: str, empty: str, notices: Sequence[str] = (), skipped_rows: int = 0
) -> Source:
    """Return the source that *rows* make; *empty* is the hint for one without a job."""
    known = [{key: value for key, value in row.items() if key in SCHEMA} for row in rows]
    frame = normal(pl.DataFrame(known, schema=SCHEMA, strict=False))
    return Source(kind=kind, frame=frame, name=name, empty=empty, notices=tuple(notices), skipped_rows=skipped_rows)


def wrong_source(path: Path, expected: str, *, hint: str) -> InvalidInput:
    """Return the error for a file of another kind."""
    return InvalidInput(f"{path.name} is not {expected}.", hint=hint)
