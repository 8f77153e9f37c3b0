"""
The audit trail's statements: append, read, check, prune.

Entries are numbered without a gap and chained inside the writing transaction, of which
there is one at a time, so two processes never continue from the same end.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    and_,
    cast,
    func,
    insert,
    not_,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.sqlite import insert as insert_or

from intramural.domain.audit import AuditEntry, AuditFilter, Hold, RecordKind
from intramural.domain.audit_chain import (
    NUMBERS,
    SALT_BYTES,
    Link,
    commit,
    leaf_of,
    microseconds,
    record_of,
    trail_leaves,
)
from intramural.domain.audit_head import HeadSigner, TrailHead
from intramural.domain.value import ProjectId
from intramural.store.tables import AUDIT, AUDIT_END, AUDIT_HEADS

KEPT_HEADS = 1024
"""One signed head in so many entries is kept."""
BATCH = 1_000
"""Rows at once: more no longer fit a processor's cache, and reading takes half as long again."""
END_ID = 1

_LAST = select(func.coalesce(func.max(AUDIT.c.seq), 0)).scalar_subquery()
_LAST_LEAF = select(AUDIT.c.leaf).where(AUDIT.c.seq == AUDIT_END.c.size).correlate(AUDIT_END).scalar_subquery()
_END = select(_LAST.label("last"), _LAST_LEAF.label("last_leaf"), AUDIT_END).where(AUDIT_END.c.id == END_ID)
_SET_END = update(AUDIT_END).where(AUDIT_END.c.id == END_ID)
_APPEND = insert(AUDIT)
"""Built once: every act runs these three."""


class Audit:
    """Audit entries, append only."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute

    def append(self, entry: AuditEntry, signer: HeadSigner | None = None) -> TrailHead:
        """Chain *entry* to the end and return the new end, with the signed head over it where *signer* signs it."""
        end = self.end()
        seq, at = end.size + 1, microseconds(entry.at)
        back = (end.last_at - at) / 1e6 if at < end.last_at else None
        body = entry.model_copy(update={"seq": seq, "clock_back_seconds": back}).body()
        salt = secrets.token_bytes(SALT_BYTES)
        commitment = commit(salt, body.encode())
        kind = NUMBERS[entry.kind]
        leaf = leaf_of(record_of(seq, at, kind, end.leaf, commitment))
        tree = end.tree.grown(leaf)
        note = signer.sign(end, seq, tree.root()) if signer else None
        row = {"seq": seq, "at": at, "kind": kind, "body": body, "salt": salt, "commitment": commitment, "leaf": leaf}
        self._run(_APPEND, row)
        self.set_end(TrailHead(seq, at, leaf, tree.frontier, note or end.note))
        if note and seq % KEPT_HEADS == 0:
            self.keep_head(seq, note)
        return TrailHead(seq, at, leaf, tree.frontier, note)

    def end(self) -> TrailHead:
        """Return where the trail ends; from the entries where the row that says so does not fit them."""
        row = self._run(_END).one_or_none()
        if row is not None and (row.size, row.leaf) == (row.last, row.last_leaf):
            with suppress(ValueError):
                return _head(row)
        if row is None and not self._run(select(_LAST)).scalar():
            return TrailHead()
        return trail_leaves(self.links(), row.note if row is not None else None)

    def latest(self) -> int:
        """Return the latest time of any entry, in microseconds: where the clock was set back, the last entry's is earlier."""
        newest = [select(func.max(AUDIT.c.at)).where(AUDIT.c.kind == number) for number in NUMBERS.values()]  # by the index
        return max(int(self._run(each).scalar() or 0) for each in newest)

    def set_end(self, end: TrailHead) -> None:
        """Write what the next entry is chained to."""
        values = {"size": end.size, "last_at": end.last_at, "leaf": end.leaf, "frontier": end.frontier, "note": end.note}
        if not self._run(_SET_END, values).rowcount:
            self._run(insert(AUDIT_END), {"id": END_ID, **values})

    def stored_end(self) -> TrailHead | None:
        """Return the end exactly as its row has it, None without a row. Raises `ValueError` for a frontier that is none."""
        row = self._run(_END).one_or_none()
        return _head(row) if row is not None else None

    def keep_head(self, size: int, note: str) -> None:
        """Keep a signed head for good."""
        self._run(insert_or(AUDIT_HEADS).on_conflict_do_nothing(index_elements=["size"]), {"size": size, "note": note})

    def heads(self) -> list[str]:
        """Return every signed head that is kept, the smallest first."""
        return list(self._run(select(AUDIT_HEADS.c.note).order_by(AUDIT_HEADS.c.size)).scalars())

    def links(self, after: int = 0, upto: int | None = None) -> Iterator[Sequence[Any]]:
        """Return entries as they are stored, in order and in batches of plain rows, each as a `Link` has it."""
        query = select(
            AUDIT.c.seq,
            AUDIT.c.at,
            AUDIT.c.kind,
            cast(AUDIT.c.body, LargeBinary),
            AUDIT.c.salt,
            AUDIT.c.commitment,
            AUDIT.c.leaf,
        ).where(AUDIT.c.seq > after)
        if upto is not None:
            query = query.where(AUDIT.c.seq <= upto)
        cursor = self._run(query.order_by(AUDIT.c.seq)).cursor
        while cursor is not None and (rows := cursor.fetchmany(BATCH)):
            yield rows

    def leaves(self, upto: int) -> list[bytes]:
        """Return the leaf hashes of the first *upto* entries."""
        return list(self._run(select(AUDIT.c.leaf).where(AUDIT.c.seq <= upto).order_by(AUDIT.c.seq)).scalars())

    def link(self, seq: int) -> Link | None:
        """Return one entry as it is stored."""
        rows = next(self.links(seq - 1, seq), [])
        return Link(*rows[0]) if rows else None

    def newest(self, project: ProjectId, limit: int) -> list[AuditEntry]:
        """Return the newest entries, the newest last."""
        return self.search(project, AuditFilter(limit=limit))

    def search(self, project: ProjectId, wanted: AuditFilter) -> list[AuditEntry]:
        """Return the newest entries that match, the newest last; pruned ones match nothing."""
        conditions = [_said("project") == project]
        if wanted.subject is not None:
            conditions.append(_said("subject").in_([wanted.subject, f"user:{wanted.subject}"]))
        if wanted.action is not None:
            conditions.append(or_(_said("action") == wanted.action, _said("action").startswith(f"{wanted.action}:")))
        if wanted.target is not None:
            conditions.append(_about(wanted.target))
        if wanted.decision is not None:
            conditions.append(_said("decision") == wanted.decision.value)
        if wanted.since is not None:
            conditions.append(AUDIT.c.at >= microseconds(wanted.since))
        if wanted.until is not None:
            conditions.append(AUDIT.c.at < microseconds(wanted.until))
        query = select(AUDIT.c.body).where(AUDIT.c.body.is_not(None), *conditions)
        return self._entries(query.order_by(AUDIT.c.seq.desc()).limit(wanted.limit))

    def _entries(self, query: Select[Any]) -> list[AuditEntry]:
        return [AuditEntry.model_validate_json(each) for each in reversed(self._run(query).scalars().all())]

    def trail_acts(self, *actions: str) -> list[AuditEntry]:
        """Return the allowed acts on the trail itself, of every project, oldest first."""
        query = select(AUDIT.c.body).where(AUDIT.c.kind == NUMBERS[RecordKind.TRAIL], _said("action").in_(actions))
        return self._entries(query.order_by(AUDIT.c.seq.desc()))

    def prunable(self, kind: RecordKind, before: datetime, holds: list[Hold]) -> tuple[int, int, int]:
        """Return how many bodies of *kind* may go, how many a hold keeps, and the last place of those that may go."""
        old = self._old(kind, before)
        free = select(func.count(), func.coalesce(func.max(AUDIT.c.seq), 0)).where(*old, *_free(holds))
        count, last = self._run(free).one()
        everything = self._run(select(func.count()).where(*old).select_from(AUDIT)).scalar_one()
        return int(count), int(everything - count), int(last)

    def prune(self, kind: RecordKind, before: datetime, holds: list[Hold]) -> None:
        """Take away the bodies of *kind* that are older; their bytes are overwritten in the file."""
        self._run(update(AUDIT).where(*self._old(kind, before), *_free(holds)).values(body=None, salt=None))

    def _old(self, kind: RecordKind, before: datetime) -> list[ColumnElement[bool]]:
        return [AUDIT.c.kind == NUMBERS[kind], AUDIT.c.at < microseconds(before), AUDIT.c.body.is_not(None)]


def _head(row: Row[Any]) -> TrailHead:
    return TrailHead(row.size, row.last_at, row.leaf, row.frontier, row.note)


def take_over(connection: Connection, documents: list[dict[str, Any]]) -> None:
    """Chain entries that were written before there was a chain; each says so."""
    audit = Audit(connection)
    for document in documents:
        audit.append(AuditEntry.model_validate({**document, "taken_over": True}))


def _said(field: str) -> ColumnElement[str]:
    said: ColumnElement[str] = type_coerce(AUDIT.c.body, JSON)[field].as_string()
    return said


def _about(target: str) -> ColumnElement[bool]:
    digest = f"sha256:{target.removeprefix('sha256:')}"
    return or_(_said("target").contains(target, autoescape=True), _said("digest").startswith(digest, autoescape=True))


def _free(holds: list[Hold]) -> list[ColumnElement[bool]]:
    """Return what is true of entries that no hold covers."""
    return [not_(_held(each)) for each in holds]


def _held(hold: Hold) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [AUDIT.c.seq > 0]
    if hold.subject is not None:
        conditions.append(func.coalesce(_said("subject"), "") == hold.subject)
    if hold.target is not None:
        conditions.append(func.coalesce(_about(hold.target), False))
    return and_(*conditions)
