"""
An exported trail, checked offline: the file and the public key are all it needs.

Each line is also derived anew from its body, so that what a reader sees is what was signed.
A long file is checked in parts by a process for each core; from the first part on that does not
hold, or does not follow from the one before, it is read line by line, which names what is wrong.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from orjson import loads

from intramural.connectors.ocsf import KIND_NAMES, UNMAPPED, ocsf_line, written
from intramural.domain.audit import AuditCheck
from intramural.domain.audit_chain import HINT, ChainCheck, Link, TrailCheck
from intramural.domain.audit_head import PublicKey, TrailHead
from intramural.errors import IntegrityFailure, InvalidInput

BATCH = 1_000
"""Lines at once: more no longer fit a processor's cache."""
PART_BYTES = 16 << 20
"""What a process checks at once; a longer file is worth starting processes."""
MOST_PROCESSES = 16
LONGEST_LINE = 1 << 20
"""Bytes before the end of a line in which it begins."""
KIND_NUMBERS = {name: number for number, name in KIND_NAMES.items()}
StoredRow = tuple[int, int, int, bytes | None, bytes | None, bytes, bytes]
"""A `Link` without its names, of which there are millions."""
fromhex = bytes.fromhex
NOT_A_LINE = (ValueError, KeyError, TypeError, AttributeError, binascii.Error)
"""What reading something else than a line of ours as one may raise."""


def processes() -> Executor:
    """Return a pool of processes, one for each core."""
    return ProcessPoolExecutor(min(len(os.sched_getaffinity(0)), MOST_PROCESSES), get_context("spawn"))


def check_audit_file(
    file: Path,
    key: PublicKey,
    report: Callable[[int, int], None] = lambda done, total: None,
    *,
    part_bytes: int = PART_BYTES,
    crew: Callable[[], Executor] = processes,
) -> AuditCheck:
    """
    Check an OCSF export; *report* hears how many of its bytes are done, *crew* makes who checks more than one part.

    Raises `IntegrityFailure` that names the first bad entry, `InvalidInput` for another file.
    """
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
    size_in_bytes = file.stat().st_size
    places = list(pairwise([*range(0, size_in_bytes, part_bytes), size_in_bytes]))
    done = _check_parts(file, check, places, crew, report) if len(places) > 1 else 0
    for batch in _batches(file, check.leaf, done, check.size - start.size + 1):
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
            first, end = lines.readline(), lines.seek(0, os.SEEK_END)
        found = [_chain(line) for line in (first, _line_to(file, end))]
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


def _check_parts(
    file: Path,
    check: TrailCheck,
    places: list[tuple[int, int]],
    crew: Callable[[], Executor],
    report: Callable[[int, int], None],
) -> int:
    """Check what holds of a long file, a part each; return the bytes that need no second look."""
    done = 0
    begins = [check.start, *[None] * (len(places) - 1)]
    pool = crew()
    try:
        for part, end in pool.map(check_part, [file] * len(places), places, begins):
            if part is None or not check.join(part):
                break
            done = end
            report(done, places[-1][1])
    except BrokenProcessPool:
        pass  # short of memory, perhaps: one process goes on alone
    finally:
        pool.shutdown(cancel_futures=True)
    return done


def check_part(file: Path, place: tuple[int, int], start: tuple[int, bytes, int] | None) -> tuple[ChainCheck | None, int]:
    """
    Check the lines that begin at a place of a file, and return where they end; nothing when they do not hold.

    Without *start* they are taken to follow from the line before, whatever it says: that is for the caller to compare.
    """
    begin, end = (_line_from(file, each) for each in place)
    try:
        if start is None:
            before = _chain(_line_to(file, begin))
            start = before["seq"], fromhex(before["leaf"]), before["at"]
        check = ChainCheck(*start)
        for batch in _batches(file, check.leaf, begin, 1, end):
            check.feed(batch)
    except (IntegrityFailure, *NOT_A_LINE):
        return None, begin
    return check, end


def _line_from(file: Path, place: int) -> int:
    """Return where the first line begins that does not begin before *place*."""
    with open(file, "rb") as lines:
        if place:
            lines.seek(place - 1)
            lines.readline()
        return lines.tell()


def _line_to(file: Path, end: int) -> bytes:
    """Return the line that ends at *end*."""
    with open(file, "rb") as lines:
        lines.seek(max(0, end - LONGEST_LINE))
        return lines.read(min(end, LONGEST_LINE)).rstrip(b"\n").rpartition(b"\n")[2]


def _batches(file: Path, before: bytes, begin: int, first: int, end: int | None = None) -> Iterator[list[StoredRow]]:
    """Read the lines between two places, the first of which is number *first*."""
    batch: list[StoredRow] = []
    with open(file, "rb") as lines:
        lines.seek(begin)
        for number, line in enumerate(lines, first):
            if end is not None and begin >= end:
                break
            begin += len(line)
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
