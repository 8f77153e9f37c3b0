"""
Delimited text without quotes, as a lazy frame of strings that is read in pieces.

A piece ends at the end of a line, so memory does not grow with the file; bytes that are no
UTF-8 are replaced. Only for text whose values hold no line break, as `sacct -P` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from intramural.measurement.paths import is_packed, opened

_PIECE_BYTES = 8 * 1024 * 1024
MORE = "more values than the header names"
"""The name of the column that holds what stands beyond the header's last column."""


def scan_text(path: Path, columns: Sequence[str], delimiter: str) -> pl.LazyFrame:
    """Return the rows of *path* after its first line; `MORE` is null but for rows that are too long."""
    schema = pl.Schema({**dict.fromkeys(columns, pl.String()), MORE: pl.String()})
    if is_packed(path):  # polars unpacks on a core of its own, in a stream
        return _parsed(path, schema, delimiter, skip_lines=1)

    def pieces(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for piece in _pieces(path):
            rows = _parsed(piece, schema, delimiter)
            rows = rows if with_columns is None else rows.select(with_columns)
            rows = rows if predicate is None else rows.filter(predicate)
            frame = (rows if left is None else rows.head(left)).collect()
            yield frame
            if left is not None and (left := left - frame.height) <= 0:
                return

    return register_io_source(pieces, schema=schema, is_pure=True)


def _pieces(path: Path) -> Iterator[bytes]:
    with opened(path) as file:
        file.readline()
        while piece := file.read(_PIECE_BYTES):
            yield piece + file.readline()


def _parsed(source: Path | bytes, schema: pl.Schema, delimiter: str, skip_lines: int = 0) -> pl.LazyFrame:
    return pl.scan_csv(
        source,
        separator=delimiter,
        quote_char=None,
        has_header=False,
        skip_lines=skip_lines,
        schema=schema,
        encoding="utf8-lossy",
        truncate_ragged_lines=True,
        missing_columns="insert",
        raise_if_empty=False,
        glob=False,
    )
