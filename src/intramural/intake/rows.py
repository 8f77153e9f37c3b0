"""
Rows of a source file, one at a time: JSON lines, a JSON array, CSV or Parquet, packed with gzip or not.

What a file is follows from its first bytes; only CSV needs its name. Memory is
bounded by one block, one line and, for Parquet, one batch. A row that cannot be
read comes as a `Fault` with its place and reason, never its text; a file that
cannot be read raises `InvalidInput`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import orjson

from intramural.domain.dataset import Fault
from intramural.errors import InvalidInput, NotFound
from intramural.intake.bounds import BLOCK_BYTES, MAX_LINE_BYTES, Progress, Row, check_growth
from intramural.intake.csv_rows import csv_rows
from intramural.intake.json_array import array_rows
from intramural.intake.parquet import parquet_rows

_GZIP, _PARQUET, _ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
_UTF8_BOM, _UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_DELIMITED = (".csv", ".tsv")


def read_rows(source: Path, on_progress: Progress = lambda done, total: None) -> Iterator[Row]:
    """Yield every row of *source*; raise `NotFound` or `InvalidInput` when the file is unreadable as a whole."""
    if not source.exists():
        raise NotFound(f"There is no file {source}.", hint="Check the path.")
    if not source.is_file():
        raise InvalidInput(f"{source} is not a regular file.", hint="Give one file; a pipe cannot be read twice.")
    try:
        with source.open("rb") as opened:
            head = opened.read(4)
        if head == _PARQUET:
            yield from parquet_rows(source, on_progress)
        elif head == _ZIP:
            raise InvalidInput(
                f"{source.name} is a zip archive or a spreadsheet.", hint="Unpack it, or save the sheet as CSV in UTF-8."
            )
        else:
            yield from _text_rows(source, on_progress)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"{source.name} is not a whole gzip file.", hint="Copy or pack it again.") from error
    except OSError as error:
        raise InvalidInput(f"{source.name} cannot be read: {error.strerror}.", hint="Check the file and its rights.") from error


def _text_rows(source: Path, on_progress: Progress) -> Iterator[Row]:
    blocks = _text_blocks(source, on_progress)
    if {suffix.lower() for suffix in source.suffixes[-2:]} & set(_DELIMITED):
        yield from csv_rows(lines_of(blocks), source.name)
        return
    first = next(blocks, b"")
    restored = chain((first,), blocks)
    if first.lstrip().startswith(b"["):
        yield from array_rows(restored, source.name)
    else:
        yield from json_rows(lines_of(restored))


def _text_blocks(source: Path, on_progress: Progress) -> Iterator[bytes]:
    size = source.stat().st_size
    grown = 0
    with source.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        while block := stream.read(BLOCK_BYTES):
            if grown == 0:
                if block.startswith(_UTF16_BOMS):
                    raise InvalidInput(f"{source.name} is UTF-16 text.", hint="Save it as UTF-8.")
                block = block.removeprefix(_UTF8_BOM)
            grown += len(block)
            if packed:
                check_growth(source.name, size, grown)
            on_progress(raw.tell(), size)
            yield block


def lines_of(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line with its number; None stands for a line that is too long."""
    number = 1
    pieces: list[bytes] = []
    held = 0
    for block in blocks:
        first, *others = block.split(b"\n")
        held += len(first)
        if held <= MAX_LINE_BYTES:
            pieces.append(first)
        else:
            pieces.clear()
        if not others:
            continue
        yield number, b"".join(pieces) if held <= MAX_LINE_BYTES else None
        last = others.pop()
        for line in others:
            number += 1
            yield number, line
        number += 1
        pieces, held = [last], len(last)
    if held:
        yield number, b"".join(pieces) if held <= MAX_LINE_BYTES else None


def json_rows(lines: Iterator[tuple[int, bytes | None]]) -> Iterator[Row]:
    """Yield the object on each line, or the fault of the line; blank lines count but give nothing."""
    for number, line in lines:
        if line is None:
            yield number, Fault(line=number, reason=f"longer than {MAX_LINE_BYTES >> 20} MiB")
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            if line.strip():
                yield number, Fault(line=number, reason=_why_not_json(line))
            continue
        yield number, value if type(value) is dict else Fault(line=number, reason="not a JSON object")


class _Constant(Exception):
    """The parser met NaN or Infinity."""


def _refuse_constant(name: str) -> None:
    raise _Constant


def _why_not_json(line: bytes) -> str:
    """Say why a strict parser refused *line*, without its text."""
    try:
        json.loads(line.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start + 1} of the line"
    except _Constant:
        return "holds NaN or Infinity, which JSON does not know"
    except RecursionError:
        return "nested too deeply"
    except json.JSONDecodeError as error:
        return f"not JSON at column {error.colno}"
    depth = max(line.count(b"["), line.count(b"{"))
    return "nested too deeply" if depth > 512 else "holds half a surrogate pair (a broken escape)"
