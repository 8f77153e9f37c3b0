"""The tables of scope keys, wrapped, and of the certificates of what was shredded."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, LargeBinary, String, Table

from intramural.store.tables import METADATA

SCOPE_KEYS = Table(
    "scope_keys",
    METADATA,
    Column("id", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
    Index("keys_by_scope", "project", "scope", "created_at"),
)

CERTIFICATES = Table(
    "shred_certificates",
    METADATA,
    Column("id", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Column("tag", LargeBinary),
    Index("certificates_by_dataset", "project", "dataset", "at"),
)
