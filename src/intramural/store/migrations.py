"""What a database of an older schema needs, step by step, to be one of this."""

from __future__ import annotations

import json

from sqlalchemy import Connection, delete, insert, inspect, select, text

from intramural.store.audit import take_over
from intramural.store.documents import TAG, RowKey, tag_rows, tagged_tables
from intramural.store.tables import METADATA, SCHEMA, SCHEMA_VERSION


def bring_up_to_date(connection: Connection, key: RowKey) -> None:
    """
    Make the missing tables, move what changed its form, and say so; another process may have done it already.

    Raises OSError where the key of the rows cannot be made.
    """
    METADATA.create_all(connection, checkfirst=True)
    version = connection.execute(select(SCHEMA.c.version)).scalar()
    if version is not None and version < 2:
        _chain_the_trail(connection)
    if version is None:
        key.make()
    elif version < 6:
        _tag_the_rows(connection, key)
    if version != SCHEMA_VERSION:
        connection.execute(delete(SCHEMA))
        connection.execute(insert(SCHEMA).values(version=SCHEMA_VERSION))


def _chain_the_trail(connection: Connection) -> None:
    """Version 2: audit entries, which were rows that anybody could change, become a chain."""
    rows = connection.execute(text("SELECT document FROM audit_entries ORDER BY id")).scalars()
    take_over(connection, [json.loads(each) for each in rows])
    connection.execute(text("DROP TABLE audit_entries"))


def _tag_the_rows(connection: Connection, key: RowKey) -> None:
    """
    Version 6: rows with a document get a tag.

    Where the home has a key already, its rows had tags: this database is older, or was made to look older. Its rows stay
    without, and an owner answers for them with `audit verify --accept`.
    """
    for table in tagged_tables():
        if TAG not in {each["name"] for each in inspect(connection).get_columns(table.name)}:
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {TAG} BLOB"))
    if not key.exists():
        key.make()
        tag_rows(connection, key)
