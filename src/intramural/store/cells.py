"""Every value in a database, one by one: a value that its file spreads over pages stands in one piece here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote


def cells(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield where each text and blob of the database *path* stands, and its bytes."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        tables = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name out of the schema itself
            columns = [each[0] for each in rows.description]
            for number, row in enumerate(rows, 1):
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, bytes):
                        yield f"{table}.{column} of row {number}", value
