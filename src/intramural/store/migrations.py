"""What a database of an older schema needs, step by step, to be one of this."""

from __future__ import annotations

import json

from sqlalchemy import Connection, delete, insert, select, text

from intramural.store.audit import take_over
from intramural.store.tables import METADATA, SCHEMA, SCHEMA_VERSION


def bring_up_to_date(connection: Connection) -> None:
    """Make the missing tables, move what changed its form, and say so; another process may have done it already."""
    METADATA.create_all(connection, checkfirst=True)
    version = connection.execute(select(SCHEMA.c.version)).scalar()
    if version is not None and version < 2:
        _chain_the_trail(connection)
    if version != SCHEMA_VERSION:
        connection.execute(delete(SCHEMA))
        connection.execute(insert(SCHEMA).values(version=SCHEMA_VERSION))


def _chain_the_trail(connection: Connection) -> None:
    """Version 2: audit entries, which were rows that anybody could change, become a chain."""
    rows = connection.execute(text("SELECT document FROM audit_entries ORDER BY id")).scalars()
    take_over(connection, [json.loads(each) for each in rows])
    connection.execute(text("DROP TABLE audit_entries"))
