"""
What a reader of foreign bytes says, and how little of it is believed.

The reader works within walls, and the bytes may have taken it over. So what it says comes
in frames of one form, each with a size that is bounded before anything is read; numbers are
checked to be numbers, words to be of the lists they belong to, and lines to be examples in
the canonical form, by a pattern and not by a parser. What it found is taken at its word:
it speaks of nothing but the file it was given. Digests are computed on this side.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

from intramural.domain.dataset import Fault
from intramural.domain.findings import MOST_POSITIONS, FindingKind, Provenance, Treatment
from intramural.errors import Unavailable
from intramural.intake.believed import check, listed, one_of, text, whole, word
from intramural.intake.bounds import MAX_LINE_BYTES
from intramural.intake.findings.near import BANDS
from intramural.intake.findings.screen import Screened
from intramural.intake.findings.tally import MOST_RULES, Tally
from intramural.intake.formats import FORMATS

HEAD = struct.Struct("<cQ")
MOST_BYTES = 2 * MAX_LINE_BYTES + (32 << 20)
"""Of a frame: the longest row before and after its redaction, and what may lie beside it in a piece."""
MOST_ROWS = 1 << 20
"""Of a piece."""
KEPT_FAULTS = 100
MOST_NAMES = 1000
"""Names of unused fields, of one piece."""
LONGEST_NAME, LONGEST_REASON = 200, 400
_PARTS = struct.Struct("<IQQQ")


class FrameKind(bytes, Enum):
    """What a frame holds."""

    PIECE = b"P"
    END = b"E"
    """There is no further piece of the file."""
    ERROR = b"X"
    """The file cannot be read."""
    RULES = b"R"
    """The rules for secrets are needed, and there is no compiled form of them."""
    SCORE = b"S"
    """What of a labelled sample was found, and what was labelled."""


@dataclass
class Piece:
    """A part of a file, read and screened."""

    format: str
    screened: Screened
    rows: int
    """Rows that were read, faulty ones too."""
    lines: int
    """What the numbers of later pieces' rows are counted from; 0 where they are counted from the file's beginning."""
    done: int
    """Bytes of the file that were read up to here."""
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    origins: Provenance = field(default_factory=Provenance)


def frame(kind: FrameKind, body: bytes = b"") -> list[bytes]:
    """Return the parts of a frame."""
    return [HEAD.pack(kind.value, len(body)), body]


def frame_of(piece: Piece) -> list[bytes]:
    """Return the parts of the frame of a piece."""
    import numpy as np  # noqa: PLC0415 - the control plane starts without it

    screened = piece.screened
    said = orjson.dumps(_said(piece), option=orjson.OPT_NON_STR_KEYS)
    numbers = [np.asarray(each, dtype="<u8").tobytes() for each in (screened.rows, screened.labels, screened.groups or [])]
    arrays = b"".join((*numbers, screened.keys.astype("<u8").tobytes()))
    lines = b"\n".join((*screened.lines, b""))
    before = b"\n".join((*screened.before.values(), b""))
    parts = _PARTS.pack(len(screened.rows), len(said), len(arrays), len(lines))
    size = sum(map(len, (parts, said, arrays, lines, before)))
    return [HEAD.pack(FrameKind.PIECE.value, size), parts, said, arrays, lines, before]


def _said(piece: Piece) -> dict[str, Any]:
    screened, tally = piece.screened, piece.screened.tally
    return {
        "format": piece.format,
        "rows": piece.rows,
        "lines": piece.lines,
        "done": piece.done,
        "fault_count": piece.fault_count,
        "faults": [[each.line, each.field, each.reason] for each in piece.faults],
        "unused": piece.unused,
        "origins": piece.origins.document(),
        "characters": screened.characters,
        "grouped": screened.groups is not None,
        "changed": {kind: dict(counts) for kind, counts in screened.changed.items()},
        "before": list(screened.before),
        "drops": [[place, kind] for place, kind in screened.drops.items()],
        "found": {
            kind: [count, tally.rows[kind], dict(tally.rules[kind]), [[row, *rest] for row, _, *rest in tally.places[kind]]]
            for kind, count in tally.counts.items()
        },
    }


def piece_from(body: bytes) -> Piece:
    """Return the piece that a frame holds. Raises `Unavailable` for one that no reader of ours would send."""
    try:
        return _piece_from(body)
    except (ValueError, KeyError, TypeError, IndexError, struct.error, AttributeError, RecursionError):
        raise not_believed() from None


def not_believed() -> Unavailable:
    """Return the error for an answer that is none."""
    return Unavailable(
        "The process that read the file gave an answer that makes no sense; nothing of it was kept.",
        hint="The file may have been made to do that. If you trust it, try again, and report it.",
    )


LINES = re.compile(
    rb"""(?:
        (?:\{"[a-z_]{1,40}+":TURNS(?:,"[a-z_]{1,40}+":TURNS)*+\})?+ \n
    )*+""".replace(
        b"TURNS",
        rb"""\[(?:TURN(?:,TURN)*+)?+\]""".replace(
            b"TURN",
            rb"""\{"role":"[a-z]{1,20}+","content":"(?:[^"\\\x00-\x1f]++|\\(?:["\\bfnrt]|u[0-9a-f]{4}))*+"(?:,"weight":0)?+\}""",
        ),
    ),
    re.VERBOSE,
)
"""Examples in canonical form, one a line; an empty line is a row that goes."""


def _piece_from(body: bytes) -> Piece:
    count, said_size, arrays_size, lines_size = _PARTS.unpack_from(body)
    at = _PARTS.size
    check(count <= MOST_ROWS and at + said_size + arrays_size + lines_size <= len(body))
    said = orjson.loads(body[at : at + said_size])
    at += said_size
    screened = _screened(said, count, body[at : at + arrays_size])
    at += arrays_size
    lines = _lines(body[at : at + lines_size])
    check(len(lines) == count)
    places = [whole(each, count - 1) for each in listed(said["before"], count)]
    before = _lines(body[at + lines_size :])
    check(len(before) == len(places) == len(set(places)) and all(before))
    screened.lines, screened.before = lines, dict(zip(places, before, strict=True))
    check(
        all((not line) == (place in screened.drops) for place, line in enumerate(lines))
        if b"" in lines or screened.drops
        else True
    )
    check(all(place in screened.before for place in screened.drops))
    return Piece(
        format=one_of(said["format"], FORMATS),
        screened=screened,
        rows=whole(said["rows"], MOST_BYTES),
        lines=whole(said["lines"], MOST_BYTES),
        done=whole(said["done"]),
        fault_count=whole(said["fault_count"], said["rows"]),
        faults=[_fault(each) for each in listed(said["faults"], KEPT_FAULTS)],
        unused=[text(each, LONGEST_NAME) for each in listed(said["unused"], MOST_NAMES)],
        origins=_origins(said["origins"], said["rows"]),
    )


def _screened(said: Mapping[str, Any], count: int, arrays: bytes) -> Screened:
    import numpy as np  # noqa: PLC0415 - the control plane starts without it

    grouped = said["grouped"] is True
    check(len(arrays) == 8 * count * (2 + grouped + BANDS))
    numbers = np.frombuffer(arrays, dtype="<u8")
    rows = numbers[:count]
    check(not count or bool(rows.max() < 1 << 62))
    labels, rest = numbers[count : 2 * count], numbers[2 * count :]
    return Screened(
        rows=rows.tolist(),
        groups=rest[:count].tolist() if grouped else None,
        drops={whole(place, count - 1): FindingKind(kind) for place, kind in listed(said["drops"], count)},
        labels=labels.tolist(),
        keys=rest[count * grouped :].reshape(count, BANDS),
        tally=_tally(said["found"]),
        changed={Treatment(name): _counts(counts, FindingKind) for name, counts in said["changed"].items()},
        characters=whole(said["characters"], MOST_BYTES),
    )


def _lines(text: bytes) -> list[bytes]:
    """Return the lines of *text*, each an example in canonical form or empty."""
    text.decode()
    if text == b"":
        return []
    check(LINES.fullmatch(text) is not None)
    lines = text.split(b"\n")
    lines.pop()
    return lines


def _tally(said: Mapping[str, Any]) -> Tally:
    tally = Tally()
    for name, (count, rows, rules, places) in said.items():
        kind = FindingKind(name)
        tally.counts[kind], tally.rows[kind] = whole(count, MOST_BYTES), whole(rows, count)
        check(len(rules) <= MOST_RULES + 1)
        tally.rules[kind] = Counter({word(rule): whole(number, count) for rule, number in rules.items()})
        for row, path, start, end in listed(places, MOST_POSITIONS):
            ends = (None, None) if start is None else (whole(start, MOST_BYTES), whole(end, MOST_BYTES))
            tally.places[kind].append((whole(row), 1, None if path is None else word(path), *ends))
    return tally


def _counts(said: Mapping[str, Any], names: type[FindingKind]) -> Counter[FindingKind]:
    return Counter({names(name): whole(count, MOST_BYTES) for name, count in said.items()})


def _origins(said: Mapping[str, Any], rows: int) -> Provenance:
    fields, licences = said.get("fields", {}), said.get("licences", {})
    check(len(fields) <= MOST_NAMES and len(licences) <= MOST_NAMES)
    return Provenance(
        fields={word(name): whole(count, rows) for name, count in fields.items()},
        licences={_licence(name): whole(count, rows) for name, count in licences.items()},
        unknown_licences=whole(said.get("unknown_licences", 0), rows),
        without_licence=whole(said.get("without_licence", 0), rows),
    )


def _licence(said: Any) -> str:
    check(type(said) is str and re.fullmatch(r"[A-Za-z0-9 .()+-]{1,160}", said) is not None)
    return str(said)


def _fault(said: Any) -> Fault:
    line, name, reason = said
    return Fault(
        line=whole(line), field=None if name is None else text(name, LONGEST_NAME), reason=text(reason, LONGEST_REASON)
    )


__all__ = ["HEAD", "KEPT_FAULTS", "MOST_BYTES", "FrameKind", "Piece", "frame", "frame_of", "not_believed", "piece_from"]
