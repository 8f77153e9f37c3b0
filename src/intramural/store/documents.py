"""
Tables whose rows hold a document: statements over them, each row with a tag.

The tag authenticates the row under a key of the home that lies outside the database, so a row that
was edited by whoever can write the database, but not HOME/keys, is not believed: reading it raises.
That rows were removed, or put back as they once were, a tag cannot tell; the audit trail can.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, Select, Table, insert, select, update

from intramural.domain.value import Value
from intramural.errors import IntegrityFailure, Unavailable
from intramural.store.tables import METADATA

KEY_BYTES = 32
TAG = "tag"

V = TypeVar("V", bound=Value)


class RowKey:
    """The key of the tags: HOME/keys/records.key, made with the database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key: bytes | None = None

    def exists(self) -> bool:
        """Tell whether there is one."""
        return self.path.exists()

    def make(self) -> None:
        """Make one unless there is one. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with open(
                os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="ascii"
            ) as file:
                file.write(secrets.token_hex(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            os.link(beside, self.path)
        except FileExistsError:
            pass
        finally:
            beside.unlink(missing_ok=True)

    def tag(self, table: Table, row: Mapping[str, Any]) -> bytes:
        """Return what authenticates *row* of *table* (HMAC-SHA-256). Raises `Unavailable` where the key is away."""
        text = json.dumps([table.name, {name: row[name] for name in _tagged(table)}], sort_keys=True, separators=(",", ":"))
        return hmac.digest(self._bytes(), text.encode(), sha256)

    def _bytes(self) -> bytes:
        if self._key is None:
            try:
                key = bytes.fromhex(self.path.read_text(encoding="ascii"))
            except (OSError, ValueError):
                key = b""
            if len(key) != KEY_BYTES:
                raise Unavailable(
                    f"The key of the database's rows, {self.path}, is away or damaged.",
                    hint="Restore keys/ from a backup; else `intramural audit verify --accept` answers for the rows anew.",
                )
            self._key = key
        return self._key


class Documents(Generic[V]):
    """The rows of one table over one connection."""

    TABLE: ClassVar[Table]
    KIND: ClassVar[type[Value]]
    """What the documents are of."""

    def __init__(self, connection: Connection, key: RowKey) -> None:
        self._run = connection.execute
        self._key = key

    def _insert(self, row: dict[str, Any]) -> None:
        self._run(insert(self.TABLE).values({**row, TAG: self._key.tag(self.TABLE, row)}))

    def _update(self, row: dict[str, Any]) -> None:
        """Store the row of that primary key anew."""
        where = [each == row[each.name] for each in self.TABLE.primary_key]
        self._run(update(self.TABLE).where(*where).values({**row, TAG: self._key.tag(self.TABLE, row)}))

    def _values(self, query: Select[Any]) -> list[V]:
        """Return what the rows of *query*, which selects whole rows, are of. Raises `IntegrityFailure`."""
        return [self.KIND.model_validate(each) for each in self._documents(query)]  # type: ignore[misc]

    def _documents(self, query: Select[Any]) -> Iterator[dict[str, Any]]:
        for row in self._run(query).mappings().all():
            check_row(self._key, self.TABLE, dict(row))
            yield row["document"]


def check_row(key: RowKey, table: Table, row: Mapping[str, Any]) -> None:
    """Raise `IntegrityFailure` for a row that is not as the platform wrote it."""
    if hmac.compare_digest(key.tag(table, row), row[TAG] or b""):
        return
    name = " ".join(str(row[each.name]) for each in table.primary_key)
    raise IntegrityFailure(
        f"The row {name} of {table.name} in the database is not as it was written: it was edited, or comes from elsewhere.",
        hint="Restore intramural.db from a backup, or, after looking at it, answer for it: `intramural audit verify --accept`.",
        fault="row",
        table=table.name,
    )


def tagged_tables() -> list[Table]:
    """Return the tables whose rows have a tag."""
    return [each for each in METADATA.sorted_tables if TAG in each.columns]


def check_rows(connection: Connection, key: RowKey) -> int:
    """Check every row of every such table; return how many there are. Raises `IntegrityFailure` at the first bad one."""
    count = 0
    for table in tagged_tables():
        for row in connection.execute(select(table)).mappings():
            check_row(key, table, dict(row))
            count += 1
    return count


def tag_rows(connection: Connection, key: RowKey) -> int:
    """Tag every row as it stands; return how many had another tag, or none."""
    changed = 0
    for table in tagged_tables():
        for row in connection.execute(select(table)).mappings().all():
            tag = key.tag(table, dict(row))
            if tag != row[TAG]:
                where = [each == row[each.name] for each in table.primary_key]
                connection.execute(update(table).where(*where).values({TAG: tag}))
                changed += 1
    return changed


@cache
def _tagged(table: Table) -> tuple[str, ...]:
    """Return the columns that the tag is over: all but itself and a number that the database gives."""
    return tuple(each.name for each in table.columns if each.name != TAG and each is not table.autoincrement_column)
