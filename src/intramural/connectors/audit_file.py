"""
An exported trail, checked offline: the file and the public key are all it needs.

Each line is also derived anew from its body, so that what a reader sees is what was signed.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orjson import loads

from intramural.connectors.ocsf import KIND_NAMES, UNMAPPED, ocsf_line, written
from intramural.domain.audit import AuditCheck
from intramural.domain.audit_chain import HINT, Link, TrailCheck
from intramural.domain.audit_head import PublicKey, TrailHead
from intramural.errors import IntegrityFailure, InvalidInput

BATCH = 1_000
"""Lines at once: more no longer fit a processor's cache."""
LONGEST_LINE = 1 << 20
"""Bytes from the end of a file in which its last line begins."""
KIND_NUMBERS = {name: number for number, name in KIND_NAMES.items()}
StoredRow = tuple[int, int, int, bytes | None, bytes | None, bytes, bytes]
"""A `Link` without its names, of which there are millions."""
fromhex = bytes.fromhex
NOT_A_LINE = (ValueError, KeyError, TypeError, AttributeError, binascii.Error)
"""What reading something else than a line of ours as one may raise."""


def check_audit_file(file: Path, key: PublicKey) -> AuditCheck:
    """Check an OCSF export. Raises `IntegrityFailure` that names the first bad entry, `InvalidInput` for another file."""
    first, last = _ends(file)
    try:
        note = last.get("head")
        start = TrailHead(
            size=first["seq"] - 1,
            last_at=first["start"]["last_at"],
            leaf=bytes.fromhex(first["before"]),
            frontier=bytes.fromhex(first["start"]["frontier"]),
        )
    except NOT_A_LINE:
        raise IntegrityFailure(
            "The beginning of the file is missing: its first line does not say where the trail stood.", hint=HINT
        ) from None
    if not note:
        raise IntegrityFailure(
            f"After entry {last.get('seq')} there is no signed head: the end was cut off, or the trail was not signed.",
            hint=HINT,
            fault="cut",
        )
    size, root = key.verify(note)
    check = TrailCheck({size: root}, start)
    for batch in _batches(file, start.leaf):
        check.feed(batch)
    check.finish()
    if check.tree.size > size:
        raise IntegrityFailure(
            f"Entries {size + 1} to {check.tree.size} are not signed.", hint=HINT, seq=size + 1, fault="unsigned"
        )
    return AuditCheck(
        entries=check.tree.size - start.size,
        first=start.size + 1,
        pruned=len(check.pruned),
        signed=size,
        clock_set_back=check.clock_set_back,
        root=check.tree.root().hex(),
        key=key.line(),
    )


def _ends(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the first and the last line say of the chain."""
    try:
        with open(file, "rb") as lines:
            first = lines.readline()
            end = lines.seek(0, os.SEEK_END)
            lines.seek(max(0, end - LONGEST_LINE))
            last = lines.read().rstrip(b"\n").rpartition(b"\n")[2]
        found = [_chain(line) for line in (first, last)]
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {os.strerror(error.errno or 0)}.", hint="Name an exported file.") from error
    except NOT_A_LINE:
        raise InvalidInput(
            f"{file} is not an audit trail in OCSF.", hint="Write one with `intramural audit export -o FILE`."
        ) from None
    return found[0], found[1]


def _chain(line: bytes) -> dict[str, Any]:
    chain: dict[str, Any] = loads(line)["unmapped"]["intramural"]
    if not isinstance(chain, dict):
        raise TypeError
    return chain


def _batches(file: Path, before: bytes) -> Iterator[list[StoredRow]]:
    batch: list[StoredRow] = []
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            row, says_so = _as_written(line, before.hex()), True
            if row is None:
                try:
                    row, says_so = _read(line, before)
                except NOT_A_LINE:
                    yield batch
                    raise IntegrityFailure(
                        f"Line {number} is damaged: it is no entry of a trail.", hint=HINT, line=number, fault="changed"
                    ) from None
            batch.append(row)
            if not says_so or len(batch) == BATCH:
                yield batch  # the chain first: it says more exactly what is wrong
                batch = []
            if not says_so:
                raise IntegrityFailure(
                    f"Entry {row[0]} was changed: its line says something else than what was signed.",
                    hint=HINT,
                    seq=row[0],
                    fault="changed",
                )
            before = row[-1]
    yield batch


def _as_written(line: bytes, before: str) -> StoredRow | None:
    """Return the entry of a line that is, byte for byte, what an export writes; None for every other line."""
    try:
        chain = loads(b"{" + line[line.index(UNMAPPED) :])["unmapped"]["intramural"]
        seq, at, kind, body, salt = chain["seq"], chain["at"], chain["kind"], chain.get("body"), chain.get("salt")
        commitment, leaf = chain["commitment"], chain["leaf"]
        if line != written(seq, at, kind, body, salt, before, commitment, leaf):
            return None
        bound = (None, None) if body is None else (body.encode(), fromhex(salt))
        return seq, at, KIND_NUMBERS[kind], *bound, fromhex(commitment), fromhex(leaf)
    except NOT_A_LINE:
        return None


def _read(line: bytes, before: bytes) -> tuple[Link, bool]:
    """Return the entry of a line that may be written otherwise, and whether it shows what its own body says."""
    event = loads(line)
    chain = event["unmapped"]["intramural"]
    link = _link(chain)
    for name in ("start", "head"):
        chain.pop(name, None)
    try:
        return link, bool(loads(ocsf_line(link, before)) == event)
    except NOT_A_LINE:
        return link, False


def _link(chain: dict[str, Any]) -> Link:
    body, salt = chain.get("body"), chain.get("salt")
    return Link(
        chain["seq"],
        chain["at"],
        KIND_NUMBERS[chain["kind"]],
        body.encode() if body is not None else None,
        bytes.fromhex(salt) if salt is not None else None,
        bytes.fromhex(chain["commitment"]),
        bytes.fromhex(chain["leaf"]),
    )
