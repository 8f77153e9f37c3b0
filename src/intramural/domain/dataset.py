"""
A dataset version: immutable, by digest, split into training and hold-out examples.

The counts here are all that leaves the intake; a row's text never does.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from intramural.domain.findings import Finding, Provenance, Redaction
from intramural.domain.value import Digest, Instant, Name, Value


class ExampleKind(StrEnum):
    """What one example is, after normalisation."""

    CHAT = "chat"
    """`{"messages": [...]}`; the assistant's turns are trained on."""
    PREFERENCE = "preference"
    """`{"input": [...], "preferred": [...], "non_preferred": [...]}`, each a list of messages."""
    UNPAIRED = "unpaired"
    """`{"input": [...], "desirable": [...]}` or `{"input": [...], "undesirable": [...]}`: one answer and how it was judged."""
    TEXT = "text"
    """`{"text": [...]}`, one piece of plain text as one turn of the role `text`."""


class Classification(StrEnum):
    """How far the data may travel."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class RegulatedKind(StrEnum):
    """What data may hold that a law or a contract speaks of."""

    PII = "pii"
    PHI = "phi"
    FINANCIAL = "financial"
    IP = "ip"
    """Intellectual property."""


class Split(Value):
    """How examples were parted into training and hold-out."""

    holdout_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    group_by: str | None = None
    """A field of the source rows; rows that share its value stay on one side."""
    given_holdout: bool = False
    """The hold-out came from a file of its own."""


class Fault(Value):
    """One row that was not taken, by place and reason; never its text."""

    file: int = 1
    """1-based among the files that were read, in their order; a given hold-out is the last."""
    line: int
    """1-based line of the file; for Parquet the 1-based row."""
    field: str | None = None
    reason: str


class TokenStatistics(Value):
    """Lengths of the training examples in tokens of one base model."""

    model: Name
    examples: int
    total: int
    answer_total: int
    """Tokens that carry loss."""
    mean: float
    p50: float
    p95: float
    longest: int
    histogram_edges: tuple[int, ...]
    """Upper edges, inclusive; one count each."""
    histogram: tuple[int, ...]


class DatasetVersion(Value):
    """One immutable version of a data set."""

    name: Name
    version: int
    """Counts from 1 within the name."""
    digest: Digest
    """Of the manifest that names the two files below."""
    kind: ExampleKind
    classification: Classification
    regulated: tuple[RegulatedKind, ...] = ()
    """What its owner says it holds."""
    region: str | None = None
    """Where the rows are bound to stay; none: nowhere in particular."""
    retain_days: int | None = None
    """For how many days after it was added it may be used; none: as the policy says."""
    source_format: str
    train_digest: Digest
    """Of the plain rows: what is in the file, whatever it was sealed with."""
    holdout_digest: Digest
    index_digest: Digest | None = None
    """Of the hashes of its examples, by which rows are traced; none in a version from before there was such an index."""
    train_sealed: Digest | None = None
    """Of the sealed bytes, as the vault keeps them; none in a version from before data was sealed."""
    holdout_sealed: Digest | None = None
    index_sealed: Digest | None = None
    train_examples: int
    holdout_examples: int
    size_bytes: int
    rows_read: int
    fault_count: int
    faults: tuple[Fault, ...] = ()
    """The first hundred."""
    duplicates: int
    """Training examples that equal an earlier training example."""
    holdout_overlap: int
    """Hold-out examples that equal a training example."""
    unused_fields: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What the scan found; counts and places."""
    names_by: str | None = None
    """The model that looked for names and addresses; none: they were not looked for."""
    redaction: Redaction | None = None
    """What was changed before the rows were stored; none where they are as they came."""
    purpose: str | None = None
    """What it may be used for, in its owner's words."""
    licence: str | None = None
    """Under which its owner says the rows may be used, as an SPDX expression."""
    origin: str | None = None
    """Where the rows are from, in its owner's words."""
    provenance: Provenance = Provenance()
    """What the rows say of that."""
    parent: str | None = None
    """The version that this one was made of by redaction."""
    files: int = 1
    """Files that were read; a given hold-out is one of them."""
    skipped_files: dict[str, int] = {}
    """Files below a folder or a pattern that were not read, by reason."""
    split: Split
    tokens: tuple[TokenStatistics, ...] = ()
    added_at: Instant
    held_since: Instant | None = None
    """Since when the rows of a redacted version are held; retention counts from there, or from when it was added."""
    shredded_at: Instant | None = None
    """Since when no key opens its rows any more."""
    shred_certified: bool | None = None
    """Whether its shredding came to a certificate; none where it was not shredded, or from before that was kept here."""

    @property
    def is_half_shredded(self) -> bool:
        """Tell whether its shredding was interrupted, or its proof failed: it has no certificate yet."""
        return self.shredded_at is not None and self.shred_certified is False

    @property
    def label(self) -> str:
        """`name@version`, what a person types."""
        return f"{self.name}@{self.version}"


class DatasetDifference(Value):
    """What changed between two versions, by count of distinct examples."""

    left: str
    right: str
    only_left: int
    only_right: int
    shared: int
    moved: int
    """Examples that changed sides between training and hold-out."""
