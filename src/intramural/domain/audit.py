"""
What the audit trail holds: one entry for every act and every refusal, and what may become of an entry.

An entry's body is its canonical JSON. Only bodies can be pruned; what proves them
(`domain.audit_chain`) stays for good.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator

from intramural.domain.access import Action
from intramural.domain.value import Digest, Instant, ProjectId, Value


class Decision(StrEnum):
    """How an act ended at the door."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class RecordKind(StrEnum):
    """What an entry is kept for; each kind has a retention of its own."""

    TRAIL = "trail"
    """Acts on the trail itself. They justify what is missing, so they are never pruned."""
    ACCESS = "access"
    """Content was read or handed out."""
    CHANGE = "change"
    """A member changed something."""
    RUN = "run"
    """The platform started or ended a run."""
    REFUSAL = "refusal"
    """A rule or a role said no."""


_HANDS_OUT = frozenset({"sample", "export", "read", "trace"})


def kind_of(action: Action, decision: Decision) -> RecordKind:
    """Return what an entry is kept for."""
    resource, _, verb = action.partition(":")
    if decision is Decision.REFUSED:
        return RecordKind.REFUSAL
    if resource == "audit":
        return RecordKind.TRAIL
    if resource == "run":
        return RecordKind.RUN
    return RecordKind.ACCESS if verb in _HANDS_OUT else RecordKind.CHANGE


class Origin(Value):
    """From where somebody acted, as the operating system or the server saw it."""

    host: str
    uid: int | None = None
    """The real user of the process; none for a request that came over a network."""
    pid: int | None = None
    address: str | None = None
    """The other side's network address; none for a process of this machine."""


def _encodable(text: str) -> str:
    """Write bytes that were no UTF-8, which Python carries as lone surrogates, so that every reader can read them."""
    return text.encode("utf-8", "backslashreplace").decode()


class AuditEntry(Value):
    """One act or one refusal, written in the transaction of the act."""

    at: Instant
    project: ProjectId
    subject: str
    """Who, as its authenticator found them; never a variable of the environment."""
    action: Action
    decision: Decision
    target: Annotated[str, AfterValidator(_encodable)] | None = None
    """What it was about, by name or id; never content."""
    digest: Digest | None = None
    """The object itself, where it has a digest."""
    rule: str | None = None
    """The rule that refused it."""
    origin: Origin | None = None
    detail: dict[str, Any] = {}
    """What an act on the trail did, in figures and names."""
    seq: int = 0
    """The place in the trail, from 1; 0 before it is stored."""
    clock_back_seconds: float | None = None
    """How far the clock was set back since the entry before."""
    taken_over: bool = False
    """It was written before the trail was a chain: it proves what stood in the database then, no more."""

    @property
    def kind(self) -> RecordKind:
        """Return what the entry is kept for."""
        return kind_of(self.action, self.decision)

    def body(self) -> str:
        """Return the entry as canonical JSON: sorted keys, no spaces, ASCII, defaults left out."""
        document = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(document, sort_keys=True, separators=(",", ":"))


class Hold(Value):
    """A legal hold: while it stands, no body that it covers is pruned."""

    name: str
    since: Instant
    subject: str | None = None
    """Only entries of this subject; none for everybody's."""
    target: str | None = None
    """Only entries about this object; none for all."""


class AuditRetention(Value):
    """For how many days each kind's bodies are kept; none means for good."""

    access: int | None = None
    change: int | None = None
    run: int | None = None
    refusal: int | None = None

    def cutoffs(self, now: datetime) -> dict[RecordKind, datetime]:
        """Return before which moment the bodies of each kind may go."""
        days = {RecordKind(name): kept for name, kept in self if kept is not None}
        return {kind: now - timedelta(days=kept) for kind, kept in days.items()}


class AuditFilter(Value):
    """Which entries a search wants; what is none does not matter."""

    subject: str | None = None
    action: str | None = None
    """`job:cancel`, or `job` for every action on jobs."""
    target: str | None = None
    """Part of the object's name, or the beginning of its digest."""
    decision: Decision | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: int = 100


class AuditCheck(Value):
    """What a verification found, when nothing was wrong."""

    entries: int
    first: int = 1
    """The place of the first entry that was looked at."""
    pruned: int = 0
    """Entries whose bodies were pruned by a recorded act; their proof is whole."""
    signed: int = 0
    """How many entries the newest signed head covers."""
    clock_set_back: int = 0
    """Entries that are marked because the clock was set back before them."""
    rows: int = 0
    """Rows of the database that are as they were written; none where a file was checked."""
    root: str = ""
    """The root of the tree over all entries, in hex."""
    key: str = ""
    """The public key that the heads were checked with."""


class AuditProof(Value):
    """The proof that one entry is in the trail that a head signs; enough for anybody with the public key."""

    entry: AuditEntry | None
    """None where the body was pruned."""
    seq: int
    record: str
    """The bytes of the leaf, in hex: what `leaf` is the RFC 6962 leaf hash of."""
    body: str | None
    salt: str | None
    """`record` ends with SHA-256 of the salt and the body."""
    leaf: str
    leaf_index: int
    tree_size: int
    path: tuple[str, ...]
    """The RFC 6962 audit path, from the leaf's neighbour up, in hex."""
    root: str
    head: str | None
    """The signed note over `tree_size` and `root`."""


class Exported(Value):
    """What an export wrote."""

    file: str
    entries: int
    first: int
    last: int
    signed: int
    """How many entries of the trail the head in the file signs; 0 where there is none."""


class Pruned(Value):
    """What pruning took away, or would take."""

    entries: dict[str, int]
    """How many bodies of each kind."""
    held: int
    """Bodies past their time that a legal hold keeps."""
