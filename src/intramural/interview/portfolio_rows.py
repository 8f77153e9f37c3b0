"""
Profiles as a flat table, one row each, for a spreadsheet or a notebook.

A number has one column in its base unit (seconds, bytes, percent, or a plain count), a table of
numbers one column for each, a choice its keys. Beside every question stands where its answer
comes from; `unknown` there means that it was asked and nobody knew.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from intramural.domain.answer_kinds import Number, OneOf
from intramural.domain.answer_tables import Parts
from intramural.domain.answers import UNKNOWN
from intramural.domain.asking import ProfileField
from intramural.domain.portfolio import Segment
from intramural.domain.profile import FIELDS, Profile
from intramural.interview.portfolio_reading import Reading, dimension_of, read_best

Row = dict[str, Any]
_SIZES = (Segment.SOLO, Segment.SMALL_TEAM, Segment.ENTERPRISE)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def rows_of(profiles: Iterable[Profile]) -> list[Row]:
    """Return one row for each profile, all with the same columns in the order of the guide."""
    rows = [_row(each) for each in profiles]
    order = {field.path: n for n, field in enumerate(FIELDS)}
    own = list(dict.fromkeys(column for row in rows for column in row if column.count(".") == 0))
    rest = {column for row in rows for column in row if column.count(".") > 0}
    answered = sorted(rest, key=lambda column: (order[".".join(column.split(".")[:2])], column))
    return [{column: row.get(column) for column in [*own, *answered]} for row in rows]


def as_csv(rows: Sequence[Row]) -> bytes:
    """Write *rows* as CSV; text that a spreadsheet would run as a formula gets an apostrophe before it."""
    safe = [{_plain(column): _plain(each) for column, each in row.items()} for row in rows]
    return str(_frame(safe).write_csv()).encode()


def as_parquet(rows: Sequence[Row]) -> bytes:
    """Write *rows* as Parquet."""
    out = io.BytesIO()
    _frame(rows).write_parquet(out)
    return out.getvalue()


def _frame(rows: Sequence[Row]) -> Any:
    import polars  # noqa: PLC0415 - a tenth of a second that no other format needs

    return polars.DataFrame(list(rows), schema={column: _type_of(rows, column) for column in rows[0]} if rows else None)


def _type_of(rows: Sequence[Row], column: str) -> Any:
    """Return the type of a column; one without any value is text."""
    import polars  # noqa: PLC0415

    types = {bool: polars.Boolean, int: polars.Int64, float: polars.Float64}
    found = next((row[column] for row in rows if row[column] is not None), "")
    return types.get(type(found), polars.String)


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _row(profile: Profile) -> Row:
    reading = read_best(profile)
    size = next((each.value for each in _SIZES if each in reading.segments), None)
    regulated = next((each.value for each in (Segment.REGULATED, Segment.NOT_REGULATED) if each in reading.segments), None)
    row: Row = {
        "profile": profile.name,
        "respondent": profile.respondent,
        "interviewed": profile.interviewed.isoformat() if profile.interviewed else None,
        "window_days": profile.window_days,
        "notes": profile.notes,
        "size": size,
        "regulation": regulated,
    }
    for field in FIELDS:
        row.update(_columns(reading, field))
    return row


def _columns(reading: Reading, field: ProfileField) -> Row:
    """Return the columns of one question; every question has its own two, the others follow from the keys of the answer."""
    path, value = field.path, reading.value(field.path)
    source = UNKNOWN if reading.is_unknown(path) else reading.provenance.get(path)
    columns: Row = {} if _is_table(field) else {path: None}
    columns[f"{path}.provenance"] = source and str(source)
    if value is None:
        return columns
    if dimension_of(field) is not None:
        for (key, end), number in reading.numbers[path]:
            columns[".".join(each for each in (path, _step(key), end) if each)] = float(number)
    if isinstance(field.kind, Parts):
        for key, share in value.parts.items():
            columns[f"{path}.{_step(key)}"] = share.middle if share else None
    elif not isinstance(field.kind, Number) and dimension_of(field) is None:
        columns[path] = value if isinstance(value, bool) else "; ".join(value) if isinstance(value, tuple) else value
    return columns


def _is_table(field: ProfileField) -> bool:
    """Tell whether the answer has columns by key only."""
    keys = getattr(field.kind, "keys", None)
    return isinstance(keys, OneOf)


def _step(key: str | None) -> str | None:
    """Return a key as a step of a column's name."""
    return key and key.replace(".", "_")
