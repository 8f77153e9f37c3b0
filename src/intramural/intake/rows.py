"""
Rows of a source file, one at a time: JSON lines, a JSON array, CSV, Parquet or plain text, packed with gzip or zstd or not.

What a file is follows from its first bytes; only CSV and plain text need their names. It is
read once, from its beginning, so it may be a pipe. Memory is bounded by one block, one line
and, for Parquet, one batch. A row that cannot be read comes as a `Fault` with its place and
reason, never its text; a file that cannot be read raises `InvalidInput`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from intramural.domain.dataset import Fault
from intramural.errors import InvalidInput
from intramural.intake.bounds import BLOCK_BYTES, MAX_LINE_BYTES, Progress, Row, check_growth
from intramural.intake.csv_rows import csv_rows
from intramural.intake.json_array import array_rows
from intramural.intake.parquet import parquet_rows
from intramural.intake.sources import PACKED, one_file
from intramural.intake.text_rows import is_text_name, text_rows

_GZIP, _ZSTD, _PARQUET, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"PK\x03\x04"
_ZSTD_SKIPPED = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""How a frame begins that zstd passes over; some writers put one first."""
_UTF8_BOM, _UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_DELIMITED = (".csv", ".tsv")
MOST_PIPED_PARQUET = 256 << 20
"""Bytes of a Parquet file that comes through a pipe; its end is read first, so it is held in memory."""


def read_rows(source: Path, on_progress: Progress = lambda done, total: None) -> Iterator[Row]:
    """Yield every row of the file *source*; raise `NotFound` or `InvalidInput` when it is unreadable as a whole."""
    file = one_file(source).files[0]
    with file.open() as opened:
        yield from rows_of(opened, file.name, on_progress)


def rows_of(
    opened: BinaryIO,
    name: str,
    on_progress: Progress = lambda done, total: None,
    most_piped: int = MOST_PIPED_PARQUET,
) -> Iterator[Row]:
    """
    Yield every row of a file that was *opened*, from its beginning; messages call it *name*.

    Raises `InvalidInput` when it is unreadable as a whole.
    """
    packing = "gzip"
    try:
        head = _beginning(opened)
        if head.startswith(_PARQUET):
            yield from parquet_rows(_seekable(opened, head, name, most_piped), name, _size(opened), on_progress)
            return
        if head == _ZIP:
            raise InvalidInput(
                f"{name} is a zip archive or a spreadsheet.", hint="Unpack it, or save the sheet as CSV in UTF-8."
            )
        counted = _Counted(opened, head)
        if head.startswith(_ZSTD) or _ZSTD_SKIPPED.match(head):
            packing = "zstd"
        elif not head.startswith(_GZIP):
            packing = ""
        yield from _text_rows(_text_blocks(_unpacked(counted, packing), packing, counted, name, on_progress), name)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"{name} is not a whole gzip file.", hint="Copy or pack it again.") from error
    except OSError as error:
        if packing == "zstd" and error.strerror is None:
            raise InvalidInput(f"{name} is not a whole zstd file.", hint="Copy or pack it again.") from error
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.", hint="Check the file and its rights.") from error


def _beginning(opened: BinaryIO) -> bytes:
    """Return the first four bytes; a pipe may hand them out one by one."""
    head = b""
    while len(head) < 4 and (more := opened.read(4 - len(head))):
        head += more
    return head


def _size(opened: BinaryIO) -> int:
    """Return the size of the file, or 0 where it is a pipe."""
    try:
        status = os.fstat(opened.fileno())
    except (OSError, io.UnsupportedOperation):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _seekable(opened: BinaryIO, head: bytes, name: str, most: int) -> BinaryIO:
    """Return the whole file as one that can be read in any order."""
    if opened.seekable():
        opened.seek(0)
        return opened
    held = bytearray(head)
    while len(held) <= most and (block := opened.read(BLOCK_BYTES)):
        held += block
    if len(held) > most:
        raise InvalidInput(
            f"{name} is a Parquet file of more than {most >> 20} MiB, too large for a pipe.",
            hint="Give the file itself.",
        )
    return io.BytesIO(held)


class _Counted(io.RawIOBase):
    """What was opened, with its first bytes put back; counts what is taken from it."""

    def __init__(self, opened: BinaryIO, head: bytes) -> None:
        self._opened = opened
        self._head = head
        self.taken = 0
        self.size = _size(opened)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* from its beginning; return how much was filled, and 0 at the end."""
        view = memoryview(buffer).cast("B")
        block = self._head[: len(view)] or self._opened.read(len(view))
        self._head = self._head[len(block) :] if self._head else b""
        view[: len(block)] = block
        self.taken += len(block)
        return len(block)


def _unpacked(counted: _Counted, packing: str) -> BinaryIO:
    file = io.BufferedReader(counted, BLOCK_BYTES)
    if packing == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if packing == "zstd":
        import pyarrow as pa  # noqa: PLC0415  costs 0.2 s, and few files are packed so

        return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"))
    return cast(BinaryIO, file)


def _text_blocks(file: BinaryIO, packing: str, counted: _Counted, name: str, on_progress: Progress) -> Iterator[bytes]:
    grown = 0
    while block := file.read(BLOCK_BYTES):
        if grown == 0:
            if block.startswith(_UTF16_BOMS):
                raise InvalidInput(f"{name} is UTF-16 text.", hint="Save it as UTF-8.")
            block = block.removeprefix(_UTF8_BOM)
        grown += len(block)
        if packing:
            check_growth(name, counted.size or counted.taken, grown)
        on_progress(counted.taken, counted.size)
        yield block


def _text_rows(blocks: Iterator[bytes], name: str) -> Iterator[Row]:
    plain = _unpacked_name(name)
    if plain.endswith(_DELIMITED):
        yield from csv_rows(lines_of(blocks), name)
        return
    first = next(blocks, b"")
    restored = chain((first,), blocks)
    if is_text_name(plain) and not _is_json(first):
        yield from text_rows(lines_of(restored))
    elif first.lstrip().startswith(b"["):
        yield from array_rows(restored, name)
    else:
        yield from json_rows(lines_of(restored))


def _unpacked_name(name: str) -> str:
    plain = name.lower()
    for suffix in PACKED:
        plain = plain.removesuffix(suffix)
    return plain


def is_table_name(name: str) -> bool:
    """Tell whether every row of a file of that name has the same fields."""
    return _unpacked_name(name).endswith((*_DELIMITED, ".parquet"))


def _is_json(block: bytes) -> bool:
    """Tell whether a file that is called a text begins with a row of JSON after all."""
    start = block.lstrip()
    if start.startswith(b"["):
        return start[1:].lstrip().startswith(b"{")
    if not start.startswith(b"{"):
        return False
    try:
        return type(orjson.loads(start.split(b"\n", 1)[0])) is dict
    except orjson.JSONDecodeError:
        return False


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
