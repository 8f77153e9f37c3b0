"""The tables of policies by digest, which of them was set, of what is in quarantine, and of approvals."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from intramural.store.tables import METADATA

POLICIES = Table(
    "policies",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("is_set", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
    Index("policies_by_digest", "project", "digest"),
    sqlite_autoincrement=True,
)
"""One row each time a policy was set, and one for a policy that a job froze without that."""

QUARANTINES = Table(
    "quarantines",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
    UniqueConstraint("project", "kind", "name"),
)

APPROVALS = Table(
    "approvals",
    METADATA,
    Column("id", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("job_id", String, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
    Index("approvals_by_job", "job_id", "added_at"),
)
"""Signed texts, checked anew each time one is counted; a row that is withdrawn stays, so that it is not added again."""
