"""The tables of policies by digest, which of them was set, and of what is in quarantine."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, String, Table, UniqueConstraint

from intramural.store.tables import METADATA

POLICIES = Table(
    "policies",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("is_set", Integer, nullable=False),
    Column("document", JSON, nullable=False),
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
    UniqueConstraint("project", "kind", "name"),
)
