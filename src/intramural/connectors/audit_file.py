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

from intramural.connectors.siem import ocsf
from intramural.domain.audit import AuditCheck, RecordKind
from intramural.domain.audit_chain import HINT, NUMBERS, Link, TrailCheck
from intramural.domain.audit_head import PublicKey, TrailHead
from intramural.errors import IntegrityFailure, InvalidInput

BATCH = 5_000
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
    first: bytes | None = None
    last = b""
    try:
        with open(file, "rb") as lines:
            for last in lines:
                first = last if first is None else first
        found = [_chain(line or b"") for line in (first, last)]
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {os.strerror(error.errno or 0)}.", hint="Name an exported file.") from error
    except NOT_A_LINE:
        raise InvalidInput(
            f"{file} is not an audit trail in OCSF.", hint="Write one with `intramural audit export -o FILE`."
        ) from None
    return found[0], found[1]


def _chain(line: bytes) -> dict[str, Any]:
    import orjson  # noqa: PLC0415 - only a check reads

    chain: dict[str, Any] = orjson.loads(line)["unmapped"]["intramural"]
    if not isinstance(chain, dict):
        raise TypeError
    return chain


def _batches(file: Path, before: bytes) -> Iterator[list[Link]]:
    import orjson  # noqa: PLC0415 - only a check reads

    batch: list[Link] = []
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                event = orjson.loads(line)
                chain = event["unmapped"]["intramural"]
                link = _link(chain)
                for name in ("start", "head"):
                    chain.pop(name, None)
            except NOT_A_LINE:
                yield batch
                raise IntegrityFailure(
                    f"Line {number} is damaged: it is no entry of a trail.", hint=HINT, line=number, fault="changed"
                ) from None
            says_so = _says_so(link, before, event)
            batch.append(link)
            if not says_so or len(batch) == BATCH:
                yield batch  # the chain first: it says more exactly what is wrong
                batch = []
            if not says_so:
                raise IntegrityFailure(
                    f"Entry {link.seq} was changed: its line says something else than what was signed.",
                    hint=HINT,
                    seq=link.seq,
                    fault="changed",
                )
            before = link.leaf
    yield batch


def _says_so(link: Link, before: bytes, event: dict[str, Any]) -> bool:
    """Tell whether the line shows what its own body says."""
    try:
        return ocsf(link, before) == event
    except NOT_A_LINE:
        return False


def _link(chain: dict[str, Any]) -> Link:
    body, salt = chain.get("body"), chain.get("salt")
    return Link(
        seq=chain["seq"],
        at=chain["at"],
        kind=NUMBERS[RecordKind(chain["kind"])],
        body=body.encode() if body is not None else None,
        salt=bytes.fromhex(salt) if salt is not None else None,
        commitment=bytes.fromhex(chain["commitment"]),
        leaf=bytes.fromhex(chain["leaf"]),
    )
