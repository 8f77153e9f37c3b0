"""
What a scan finds in rows, told by counts and places, and what is done about it.

A finding never holds content: a place is a row's number, a field's path and a span of
characters. What a class of data does about each kind is in `domain.treatments`.
"""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.value import Digest, Value

MOST_POSITIONS = 1000
"""Places kept per kind; the counts are exact whatever their number."""


class FindingKind(StrEnum):
    """What may be found."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    """Of a payment card: 12 to 19 digits, an issuer's range, Luhn."""
    IBAN = "iban"
    SSN = "ssn"
    """Of the United States."""
    NATIONAL_ID = "national_id"
    """Of another country, by its own checksum or beside a word that names it."""
    IP = "ip"
    URL = "url"
    SECRET = "secret"  # noqa: S105 - a kind, not a credential
    DENIED_TERM = "denied_term"
    """A term of the customer's own list."""
    PERSON = "person"
    """A name; only by recognition of names, which is off by default."""
    ADDRESS = "address"
    """As `person`."""
    PROMPT_INJECTION = "prompt_injection"
    """Text that speaks to a model rather than to a reader: orders to forget its instructions, turn marks of chat templates."""
    HIDDEN_TEXT = "hidden_text"
    """Characters that people do not see and models read: tags, reversed writing, joiners in a row."""
    NEAR_DUPLICATE = "near_duplicate"
    """A row that reads almost as an earlier one."""
    NEAR_OVERLAP = "near_overlap"
    """A row that reads almost as one on the other side of the split."""
    OVER_LONG = "over_long"
    EMPTY_ANSWER = "empty_answer"
    """An answer without a letter or a digit."""
    LABEL_IMBALANCE = "label_imbalance"
    """Rows of answers that are few in number and rare beside the most frequent one."""


K = FindingKind
PERSONAL = frozenset({K.EMAIL, K.PHONE, K.CARD, K.IBAN, K.SSN, K.NATIONAL_ID, K.IP, K.URL, K.PERSON, K.ADDRESS})
IN_TEXT = PERSONAL | {K.SECRET, K.DENIED_TERM, K.PROMPT_INJECTION, K.HIDDEN_TEXT}
"""Kinds with a span of characters, which can be masked."""
WHOLE_ROW = frozenset({K.NEAR_DUPLICATE, K.OVER_LONG, K.EMPTY_ANSWER})
"""Kinds of a row as a whole, which can be dropped."""


class Treatment(StrEnum):
    """What is done about a finding."""

    KEEP = "keep"
    MASK = "mask"
    """`<EMAIL>` takes its place."""
    PSEUDONYMISE = "pseudonymise"
    """`<EMAIL_1a2b3c4d>` takes its place, the same for the same value within a data set."""
    DROP = "drop"
    """The row is left out."""
    REFUSE = "refuse"
    """The file is not taken."""


class Severity(StrEnum):
    """How much a finding matters where nothing is done about it."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_HIGH = {K.SECRET, K.CARD, K.IBAN, K.SSN, K.NATIONAL_ID, K.DENIED_TERM, K.NEAR_OVERLAP, K.HIDDEN_TEXT}
_LOW = {K.URL, K.NEAR_DUPLICATE, K.OVER_LONG, K.LABEL_IMBALANCE}


def severity_of(kind: FindingKind) -> Severity:
    """Return how much findings of *kind* matter."""
    return Severity.HIGH if kind in _HIGH else Severity.LOW if kind in _LOW else Severity.MEDIUM


class Position(Value):
    """Where a finding is."""

    row: int
    """1-based line of the file it came from; for Parquet the 1-based row."""
    file: int = 1
    """1-based among the files that were read, in their order; a given hold-out is the last."""
    field: str | None = None
    """The path in the stored example, such as `messages[1].content`; none for the row as a whole."""
    start: int | None = None
    """First character of the span in the field as it was before redaction; with *end*, counted in characters."""
    end: int | None = None


class Finding(Value):
    """Everything found of one kind."""

    kind: FindingKind
    severity: Severity
    count: int
    rows: int
    """Rows that hold one or more."""
    treatment: Treatment
    rules: dict[str, int] = {}
    """Counts by the rule that found them, such as the country of an id."""
    positions: tuple[Position, ...] = ()
    """The first thousand."""
    note: str | None = None
    """What is known beside the counts, never content."""


class Redaction(Value):
    """What was changed in the rows before they were stored."""

    redacted_from: Digest
    """Of the rows as they were before: each as a line, in the order they were read."""
    masked: dict[FindingKind, int] = {}
    pseudonymised: dict[FindingKind, int] = {}
    dropped: dict[FindingKind, int] = {}
    """Rows, by the kind that made them go; a row with several goes under the first."""
    rows_changed: int = 0
    rows_dropped: int = 0
    masks: int = 1
    """Version of the surrogates' form."""


class Provenance(Value):
    """What the rows themselves say about where they are from and who may use them, by count."""

    fields: dict[str, int] = {}
    """Rows that have a value in a field of that name, such as `source` or `author`."""
    licences: dict[str, int] = {}
    """Rows by the SPDX expression that their licence is; several mean that the data is mixed."""
    unknown_licences: int = 0
    """Rows whose licence is nothing that SPDX lists."""
    without_licence: int = 0
    """Rows that name none where others do."""


class ScanReport(Value):
    """What a scan found in a source that was not added."""

    source: str
    """A file's name, or a data set's label."""
    rows_read: int
    fault_count: int
    characters: int
    findings: tuple[Finding, ...]
    duplicates: int = 0
    holdout_overlap: int = 0
    provenance: Provenance = Provenance()
    names_by: str | None = None
    """The model that looked for names and addresses; none: they were not looked for."""
    files: tuple[str, ...] = ()
    """Their names, by the numbers that places give; told to who asked, and kept nowhere."""
    skipped_files: dict[str, int] = {}


class TypeScore(Value):
    """How well one kind was found in a labelled sample."""

    kind: FindingKind
    labelled: int
    found: int
    """Spans of the kind that the scan reported."""
    labelled_found: int
    """Labelled spans that a reported span of the kind overlaps."""
    found_labelled: int
    """Reported spans that a labelled span of the kind overlaps."""
    precision: float | None
    """Absent where nothing was found."""
    recall: float | None
    """Absent where nothing was labelled."""


class ScanScore(Value):
    """Precision and recall per kind on a labelled sample."""

    documents: int
    characters: int
    scores: tuple[TypeScore, ...]
    unknown_labels: dict[str, int] = {}
    """Labels of the sample that no kind stands for."""
