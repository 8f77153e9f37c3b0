"""
Rows of delimited text: a header, then one record per row, quoted as RFC 4180 says.

The delimiter is the one the header uses most: comma, semicolon or tab. Every
value is text; an empty one counts as absent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from intramural.domain.dataset import Fault
from intramural.errors import InvalidInput
from intramural.intake.bounds import MAX_LINE_BYTES, Row


class _Text:
    """The lines as text; counts them, and marks bytes that are not UTF-8 instead of failing."""

    def __init__(self, lines: Iterator[tuple[int, bytes | None]]) -> None:
        self._lines = lines
        self.number = 0
        self.too_long = False

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self.number = number
            if line is None:
                self.too_long = True
                yield "\n"
            else:
                yield line.decode("utf-8", "surrogateescape") + "\n"


def csv_rows(lines: Iterator[tuple[int, bytes | None]], name: str) -> Iterator[Row]:
    """Yield each record as a dict by the header's names; raise `InvalidInput` when the header is no header."""
    text = _Text(lines)
    stream = iter(text)
    first = next(stream, "")
    delimiter = max(",;\t", key=first.count)
    header = [each.strip() for each in next(csv.reader([first], delimiter=delimiter), [])]
    if not any(header):
        raise InvalidInput(f"{name} has no header line.", hint="The first line names the columns.")
    if len(set(header)) != len(header) or not all(header):
        raise InvalidInput(
            f"{name}: a column of the header has no name, or two have the same.", hint="Give each column a name."
        )
    before = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        records = csv.reader(stream, delimiter=delimiter, strict=True)
        yield from _records(records, text, header)
    finally:
        csv.field_size_limit(before)


def _records(records: Iterator[list[str]], text: _Text, header: list[str]) -> Iterator[Row]:
    while True:
        begins = text.number + 1
        try:
            record = next(records, None)
        except csv.Error:
            yield begins, Fault(line=begins, reason="not CSV: a quote is not closed or stands inside a value")
            continue
        if record is None:
            return
        if text.too_long:
            text.too_long = False
            yield begins, Fault(line=begins, reason="longer than 64 MiB")
        elif not record:
            continue
        elif len(record) != len(header):
            yield begins, Fault(line=begins, reason=f"has {len(record)} values where the header names {len(header)} columns")
        elif not all(map(_is_utf8, record)):
            yield begins, Fault(line=begins, reason="not UTF-8")
        else:
            yield begins, {column: value or None for column, value in zip(header, record, strict=True)}


def _is_utf8(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
