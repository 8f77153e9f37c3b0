"""
The chain of the trail: how an entry is bound to its body and to the entry before, and how a trail is checked.

    commitment = SHA-256(salt, body)                          16 random bytes, canonical JSON
    record     = place, time, kind, leaf before, commitment   81 bytes, the leaf of the tree
    leaf       = SHA-256(0x00, record)                        as RFC 6962 has it

A pruned entry loses body and salt; its record stays, so chain and tree are whole. The salt
keeps a pruned body from being guessed.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple, NoReturn

from intramural.domain.audit import RecordKind
from intramural.domain.audit_head import TrailHead
from intramural.domain.audit_tree import Tree
from intramural.errors import IntegrityFailure

SALT_BYTES = 16
NUMBERS = {RecordKind.TRAIL: 0, RecordKind.ACCESS: 1, RecordKind.CHANGE: 2, RecordKind.RUN: 3, RecordKind.REFUSAL: 4}
"""How a kind is written in a record; a number is never given anew."""
KINDS = {number: kind for kind, number in NUMBERS.items()}
_RECORD = struct.Struct(">QqB32s32s")
_HASHED = struct.Struct(">BQqB32s32s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
HINT = "Keep the database and the keys as they are, and compare with an export or a backup."


class Link(NamedTuple):
    """One entry as it is stored."""

    seq: int
    at: int
    """Microseconds since 1970."""
    kind: int
    body: bytes | None
    salt: bytes | None
    commitment: bytes
    leaf: bytes


def microseconds(moment: datetime) -> int:
    """Return *moment* as a record has it."""
    return (moment - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """Return the moment of a record."""
    return _EPOCH + at * _MICROSECOND


def commit(salt: bytes, body: bytes) -> bytes:
    """Return what binds an entry to its body."""
    return sha256(salt + body).digest()


def record_of(seq: int, at: int, kind: int, before: bytes, commitment: bytes) -> bytes:
    """Return the bytes of an entry's leaf."""
    return _RECORD.pack(seq, at, kind, before, commitment)


def leaf_of(record: bytes) -> bytes:
    """Return the leaf hash of a record."""
    return sha256(b"\0" + record).digest()


class ChainCheck:
    """
    Checks that entries are whole and follow from each other, from any place on; what was signed, it does not know.

    Every method raises `IntegrityFailure` that names the first bad entry.
    """

    def __init__(self, size: int = 0, leaf: bytes = TrailHead.leaf, last_at: int = 0) -> None:
        self.start = (size, leaf, last_at)
        """How many entries are before the first, the last one's leaf hash, and its time."""
        self.size, self.leaf, self.last_at = self.start
        self.leaves: list[bytes] = []
        """The leaf hashes that were not added to a tree yet."""
        self.pruned: list[tuple[int, int]] = []
        """Place and kind of each entry without a body."""
        self.clock_set_back = 0
        self._through: Counter[str] = Counter()
        """The last place of each kind that a recorded act pruned, and below how many it pruned."""
        self._bodies: Counter[str] = Counter()

    def feed(self, links: Sequence[tuple[int, int, int, bytes | None, bytes | None, bytes, bytes]]) -> None:
        """Check the next entries."""
        expected, before, last_at = self.size + 1, self.leaf, self.last_at
        pack, leaves = _HASHED.pack, self.leaves
        for seq, at, kind, body, salt, commitment, leaf in links:
            try:
                bound = sha256(salt + body).digest() == commitment if body is not None else salt is None  # type: ignore[operator]  # no salt, no bytes: TypeError
                chained = seq == expected and sha256(pack(0, seq, at, kind, before, commitment)).digest() == leaf
            except (TypeError, struct.error):
                bound = chained = False
            if not (bound and chained):
                _blame(expected, Link(seq, at, kind, body, salt, commitment, leaf), bound=bound)
            if body is None:
                self.pruned.append((seq, kind))
            elif kind == 0:
                self._read_trail_act(body)
            if at < last_at:
                self.clock_set_back += 1
            leaves.append(leaf)
            expected, before, last_at = expected + 1, leaf, at
        self.size, self.leaf, self.last_at = expected - 1, before, last_at

    def join(self, part: ChainCheck) -> bool:
        """Take over what was checked elsewhere; False when that does not begin where this ends."""
        if part.start != (self.size, self.leaf, self.last_at):
            return False
        self.size, self.leaf, self.last_at = part.size, part.leaf, part.last_at
        self.leaves += part.leaves
        self.pruned += part.pruned
        self.clock_set_back += part.clock_set_back
        self._through |= part._through
        self._bodies += part._bodies
        return True

    def _read_trail_act(self, body: bytes) -> None:
        """Learn from a prune act which bodies may be missing."""
        act = json.loads(body)
        if act["action"] == "audit:prune":
            for kind, through in act["detail"]["through"].items():
                self._through[kind] = max(through, self._through[kind])
            self._bodies.update(act["detail"]["bodies"])


class TrailCheck(ChainCheck):
    """
    Checks a trail entry by entry, from any place on, against its signed heads.

    Whoever reads a part of a trail starts from the frontier before it: a wrong one leads to
    another root than the signed one.
    """

    def __init__(self, heads: Mapping[int, bytes], start: TrailHead | None = None) -> None:
        start = start or TrailHead()
        super().__init__(start.size, start.leaf, start.last_at)
        self.tree = Tree(start.size, start.frontier)
        self._good = start.size
        self._heads = {size: root for size, root in sorted(heads.items()) if size > start.size}

    def feed(self, links: Sequence[tuple[int, int, int, bytes | None, bytes | None, bytes, bytes]]) -> None:
        """Check the next entries."""
        super().feed(links)
        self._grow()

    def join(self, part: ChainCheck) -> bool:
        """Take over what was checked elsewhere; False when that does not begin where this ends."""
        joined = super().join(part)
        self._grow()
        return joined

    def finish(self, end: TrailHead | None = None) -> None:
        """Check what only the end shows: a cut tail, an edited head, bodies that no recorded act pruned."""
        cut = next((size for size in self._heads if size > self.tree.size), None)
        if cut is not None or (end is not None and end.size > self.tree.size):
            whole = max([*self._heads, end.size if end else 0])
            raise _broken(
                self.tree.size + 1, f"The trail was cut after entry {self.tree.size}: {whole} entries were written.", "cut"
            )
        self._judge_missing_bodies()
        if end is not None and (end.size, end.leaf, end.frontier) != (self.tree.size, self.leaf, self.tree.frontier):
            raise _broken(
                min(end.size, self.tree.size) + 1,
                "The end of the trail, which the next entry is chained to, was edited.",
                "end",
            )

    def _judge_missing_bodies(self) -> None:
        missing: Counter[str] = Counter()
        for seq, number in self.pruned:
            kind = KINDS.get(number, "unknown")
            missing[kind] += 1
            if seq > self._through[kind]:
                raise _broken(seq, f"The body of entry {seq} was removed, and no recorded act pruned it.", "body_removed")
        for kind, count in missing.items():
            if count > self._bodies[kind]:
                raise _broken(
                    min(seq for seq, number in self.pruned if KINDS.get(number) == kind),
                    f"{count} bodies of the kind {kind} are missing, but the recorded acts pruned {self._bodies[kind]}.",
                    "body_removed",
                )

    def _grow(self) -> None:
        """Grow the tree, and compare it with each signed head on the way."""
        leaves, self.leaves = self.leaves, []
        start, done = self.tree.size, 0
        for size in [each for each in self._heads if start < each <= start + len(leaves)]:
            self.tree.extend(leaves[done : size - start])
            done = size - start
            if self.tree.root() != self._heads[size]:
                span = f"{self._good + 1} to {size}" if size > self._good + 1 else f"{size}"
                raise _broken(
                    self._good + 1,
                    f"Entries {span} are not those that were signed: the trail was written anew from there on.",
                    "forked",
                )
            self._good = size
        self.tree.extend(leaves[done:])


def trail_leaves(batches: Iterable[Sequence[Sequence[Any]]], note: str | None = None) -> TrailHead:
    """Return the end of a trail as its stored leaves have it; nothing is checked."""
    tree, at, leaf = Tree(), 0, TrailHead.leaf
    for rows in batches:
        tree.extend([Link(*each).leaf for each in rows])
        at, leaf = Link(*rows[-1]).at, Link(*rows[-1]).leaf
    return TrailHead(tree.size, at, leaf, tree.frontier, note)


def _blame(expected: int, link: Link, *, bound: bool) -> NoReturn:
    """Raise what is wrong with *link*."""
    seq = link.seq
    if seq != expected:
        missing = f"Entry {expected} is" if seq == expected + 1 else f"Entries {expected} to {seq - 1} are"
        if not isinstance(seq, int) or seq < expected:
            raise _broken(expected, f"Entry {expected} is out of its place.", "moved")
        raise _broken(expected, f"{missing} missing.", "removed")
    if not bound:
        raise _broken(seq, f"Entry {seq} was changed: its body is not the one that was written.", "changed")
    written = _place_in(link.body)
    if written not in (seq, None):
        raise _broken(seq, f"Entry {seq} was moved: it was written as entry {written}.", "moved")
    raise _broken(seq, f"Entry {seq} was changed: it does not follow from the entry before it.", "changed")


def _place_in(body: Any) -> int | None:
    try:
        place = json.loads(body)["seq"]
    except (TypeError, ValueError, KeyError):
        return None
    return place if isinstance(place, int) else None


def _broken(seq: int, message: str, fault: str) -> IntegrityFailure:
    return IntegrityFailure(message, hint=HINT, seq=seq, fault=fault)
