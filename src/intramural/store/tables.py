"""
The tables. Each value is kept whole as a JSON document; beside it stand the columns that statements look at,
and the tag by which an edited row is known (`documents`).

A change here raises `SCHEMA_VERSION` and brings a migration.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

SCHEMA_VERSION = 6

METADATA = MetaData()

SCHEMA = Table("schema_version", METADATA, Column("version", Integer, nullable=False))

MODELS = Table(
    "base_models",
    METADATA,
    Column("project", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("added_at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
)

DATASETS = Table(
    "dataset_versions",
    METADATA,
    Column("project", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("name", String, nullable=False),
    Column("state", String, nullable=False),
    Column("submitted_at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
    Index("jobs_by_name", "project", "name", "submitted_at"),
    Index("jobs_by_state", "state", "submitted_at"),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("id", String, primary_key=True),
    Column("job_id", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("ended", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
    UniqueConstraint("job_id", "attempt"),
    Index("runs_by_end", "ended"),
)

EVENTS = Table(
    "run_events",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("type", String, nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("run_id", "seq"),
    Index("events_by_place", "run_id", "id"),
    Index("events_by_type", "run_id", "type", "seq"),
    sqlite_autoincrement=True,
)

ARTIFACTS = Table(
    "artifacts",
    METADATA,
    Column("id", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("job_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
    UniqueConstraint("run_id", "kind"),
    Index("artifacts_by_job", "job_id"),
)

AUDIT = Table(
    "audit_trail",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Integer, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("body", Text),
    Column("salt", LargeBinary),
    Column("commitment", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("audit_by_kind", "kind", "at"),
)
"""No column repeats what the body says, so that a search cannot be made to lie; body and salt are empty once pruned."""

AUDIT_END = Table(
    "audit_end",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", Integer, nullable=False),
    Column("last_at", Integer, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("note", Text),
)
"""One row: what the next entry is chained to, and the newest signed head."""

AUDIT_HEADS = Table(
    "audit_heads",
    METADATA,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
"""Signed heads that are kept, so that a break is found near its place."""
