"""
The store: opens the database, hands out readings and transactions, and translates its errors once.

A transaction is one writer at a time (`BEGIN IMMEDIATE` on SQLite); a reading sees one
consistent state and cannot write.
"""

from __future__ import annotations

import errno
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DatabaseError, DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from intramural.errors import Conflict, Unavailable
from intramural.store.audit import Audit
from intramural.store.documents import RowKey, check_rows, tag_rows
from intramural.store.migrations import bring_up_to_date
from intramural.store.policies import Approvals, Policies, Quarantines
from intramural.store.repositories import Artifacts, Datasets, Events, Jobs, Models, Runs
from intramural.store.scope_keys import Certificates, ScopeKeys
from intramural.store.tables import SCHEMA, SCHEMA_VERSION

BUSY_MILLISECONDS = 10_000
FULL_BYTES = 256 << 10
"""Less free disk than this is none."""


class Reading:
    """The repositories over one connection."""

    def __init__(self, connection: Connection, key: RowKey) -> None:
        self._connection, self._key = connection, key
        self.models = Models(connection, key)
        self.datasets = Datasets(connection, key)
        self.jobs = Jobs(connection, key)
        self.runs = Runs(connection, key)
        self.events = Events(connection)
        self.artifacts = Artifacts(connection, key)
        self.scope_keys = ScopeKeys(connection, key)
        self.certificates = Certificates(connection, key)
        self.policies = Policies(connection, key)
        self.quarantines = Quarantines(connection, key)
        self.approvals = Approvals(connection, key)
        self.audit = Audit(connection)

    def check_rows(self) -> int:
        """Return how many rows with a document there are. Raises `IntegrityFailure` for one that was edited."""
        return check_rows(self._connection, self._key)


class Transaction(Reading):
    """A reading that may write; commits when its block ends, rolls back when it raises."""

    def __init__(self, connection: Connection, key: RowKey) -> None:
        super().__init__(connection, key)
        self.concerns: dict[str, Any] = {}
        """
        What the act's audit entry says beside what `act` was told: `target`, `digest`, `detail`; and `decision` and
        `rule`, where what is written is itself the consequence of a refusal.
        """

    def accept_rows(self) -> int:
        """Take every row with a document for what the platform wrote; return how many it had not. Makes a lost key anew."""
        try:
            self._key.make()
        except OSError as error:
            raise not_writable(self._key.path, error) from error
        return tag_rows(self._connection, self._key)


class Store:
    """The platform's database."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._key = RowKey(folder / "keys" / "records.key")

    @classmethod
    def in_file(cls, path: Path, *, busy_milliseconds: int = BUSY_MILLISECONDS) -> Store:
        """Open or create the SQLite database *path*; wait that long for another writer. Raises `Unavailable`."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)  # before SQLite makes it readable for others
        except OSError as error:
            raise not_writable(path, error) from error
        store = cls(_sqlite(path, busy_milliseconds), path.parent)
        weakref.finalize(store, store._engine.dispose)
        store._create()
        return store

    def close(self) -> None:
        """Let go of the database's files; the next act opens them again."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Read one consistent state."""
        with self._connected("BEGIN") as connection:
            yield Reading(connection, self._key)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Write, alone. Raises `Conflict` where a unique value exists already."""
        with self._connected("BEGIN IMMEDIATE") as connection:
            yield Transaction(connection, self._key)

    def forget_log(self) -> None:
        """Move the log into the file and empty it, so that what a transaction overwrote is in neither."""
        with _translated(self._folder), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()

    @contextmanager
    def _connected(self, begin: str) -> Iterator[Connection]:
        with _translated(self._folder), self._engine.connect() as connection:
            connection.exec_driver_sql(begin)
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                with suppress(
                    SQLAlchemyError
                ):  # rolled back already: by SQLite when the disk failed it, by Ctrl-C in a statement
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def _create(self) -> None:
        with self._connected("BEGIN") as connection:
            has_schema = connection.dialect.has_table(connection, SCHEMA.name)
            version = connection.execute(select(SCHEMA.c.version)).scalar() if has_schema else None
        if version is None or version < SCHEMA_VERSION:
            with self._connected("BEGIN IMMEDIATE") as connection:
                try:
                    bring_up_to_date(connection, self._key)
                except OSError as error:
                    raise not_writable(self._folder / "keys", error) from error
        elif version > SCHEMA_VERSION:
            raise Unavailable(
                f"The database is of version {version}; this intramural knows {SCHEMA_VERSION}.", hint="Upgrade intramural."
            )


def not_writable(path: Path, error: OSError) -> Unavailable:
    """Return what to raise where *path*, the home or what lies in it, cannot be made or written."""
    hint = "Set INTRAMURAL_HOME to a folder you may write."
    if error.errno == errno.EROFS:
        hint = "If its disk failed, `dmesg` says so; once it is repaired, jobs go on from their newest checkpoint. Or: " + hint
    return Unavailable(f"{path} cannot be written: {os.strerror(error.errno or 0)}.", hint=hint)


def _sqlite(path: Path, busy_milliseconds: int) -> Engine:
    """
    Return an engine whose connections stay open: the last one to close would move the log into the file, after every act.

    What is deleted is overwritten: keys that were erased, and bodies that were pruned, are in the file no more.
    """
    url = f"sqlite:///file:{quote(str(path))}?mode=rw&uri=true"
    engine = create_engine(url, poolclass=QueuePool, connect_args={"isolation_level": None}, hide_parameters=True)

    def opened(connection: Any, record: Any) -> None:
        record.info["file"] = _identity(path)
        for pragma in (f"busy_timeout={busy_milliseconds}", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    def taken(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _identity(path):  # it was moved away or restored from a backup
            raise DisconnectionError

    event.listen(engine, "connect", opened)
    event.listen(engine, "checkout", taken)
    return engine


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict(
            "Something with that name or number exists already.", hint="Look it up, or choose another name."
        ) from error
    except DatabaseError as error:
        if _is_full(folder):  # SQLite needs a few pages beside its file even to read, and calls their lack an I/O error
            raise Unavailable(
                f"The database cannot be used: the disk of {folder} is full.", hint="Free disk space under INTRAMURAL_HOME."
            ) from error
        raise Unavailable(
            f"The database cannot be used ({type(error.orig).__name__}: {error.orig}).",
            hint="Free or repair the disk of INTRAMURAL_HOME; restore a damaged intramural.db from a backup.",
        ) from error
    except SQLAlchemyError as error:
        raise Unavailable(f"The database cannot be used ({type(error).__name__}).", hint="Check INTRAMURAL_HOME.") from error
