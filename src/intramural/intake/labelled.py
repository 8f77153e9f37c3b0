"""
A labelled sample, which a scan is measured by: texts with the places of what is in them, compared with what is found.

A reader compares, batch by batch, and says counts; they are added up here. An error names
the line, not its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from intramural.domain.dataset import Fault
from intramural.domain.findings import FindingKind, ScanScore, TypeScore
from intramural.errors import InvalidInput
from intramural.intake.believed import check, whole
from intramural.intake.bounds import Row
from intramural.intake.findings.screen import Screener
from intramural.intake.pieces import MOST_BYTES, MOST_NAMES, FrameKind, frame, not_believed

LABELLED, FOUND, LABELLED_FOUND, FOUND_LABELLED = "labelled", "found", "labelled_found", "found_labelled"
"""What is counted; see `TypeScore`."""
COUNTED = (LABELLED, FOUND, LABELLED_FOUND, FOUND_LABELLED)
LONGEST_LABEL = 40
NOT_SHOWN = "(not shown)"
"""What a label counts as that may be content."""
MOST_UNKNOWN = 50
KINDS = {each.value: each for each in FindingKind}
Label = tuple[FindingKind, int, int]


@dataclass
class Compared:
    """The counts of a part of a sample."""

    documents: int = 0
    characters: int = 0
    done: int = 0
    """Bytes of the file that were read up to here."""
    counts: dict[str, Counter[FindingKind]] = field(default_factory=lambda: {each: Counter() for each in COUNTED})
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, other: Compared) -> None:
        """Add the next part."""
        self.documents += other.documents
        self.characters += other.characters
        self.unknown += other.unknown
        for name in COUNTED:
            self.counts[name] += other.counts[name]

    def score(self) -> ScanScore:
        """Return precision and recall by kind."""
        counts = self.counts
        return ScanScore(
            documents=self.documents,
            characters=self.characters,
            scores=tuple(
                TypeScore(
                    kind=kind,
                    **{name: counts[name][kind] for name in COUNTED},
                    precision=_share(counts[FOUND_LABELLED][kind], counts[FOUND][kind]),
                    recall=_share(counts[LABELLED_FOUND][kind], counts[LABELLED][kind]),
                )
                for kind in FindingKind
                if counts[LABELLED][kind] or counts[FOUND][kind]
            ),
            unknown_labels=dict(self.unknown.most_common(MOST_UNKNOWN)),
        )


def compare(name: str, rows: Sequence[Row], screener: Screener) -> Compared:
    """Return what is labelled in rows of the file *name*, what is found, and how they overlap. Raises `InvalidInput`."""
    compared = Compared()
    labelled = [_labelled(name, line, row, compared.unknown) for line, row in rows]
    found = screener.find([text for text, _ in labelled])
    for number, (text, labels) in enumerate(labelled):
        compared.documents += 1
        compared.characters += len(text)
        _count(compared.counts, labels, [(each.kind, each.start, each.end) for each in found.get(number, [])])
    return compared


def frame_of_compared(compared: Compared) -> list[bytes]:
    """Return the parts of the frame of some counts."""
    said = {
        "documents": compared.documents,
        "characters": compared.characters,
        "done": compared.done,
        "counts": {name: {kind.value: count for kind, count in each.items()} for name, each in compared.counts.items()},
        "unknown": dict(compared.unknown.most_common(MOST_NAMES)),
    }
    return frame(FrameKind.SCORE, orjson.dumps(said))


def compared_from(body: bytes) -> Compared:
    """Return the counts that a frame holds. Raises `Unavailable` for what no reader of ours would send."""
    try:
        said = orjson.loads(body)
        check(len(said["unknown"]) <= MOST_NAMES)
        return Compared(
            documents=whole(said["documents"], MOST_BYTES),
            characters=whole(said["characters"], MOST_BYTES),
            done=whole(said["done"]),
            counts={
                name: Counter({KINDS[kind]: whole(count, MOST_BYTES) for kind, count in said["counts"][name].items()})
                for name in COUNTED
            },
            unknown=Counter({_label(label): whole(count, MOST_BYTES) for label, count in said["unknown"].items()}),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise not_believed() from None


def _count(counts: dict[str, Counter[FindingKind]], labels: list[Label], found: list[Label]) -> None:
    for mine, others, name, hits in ((labels, found, LABELLED, LABELLED_FOUND), (found, labels, FOUND, FOUND_LABELLED)):
        for kind, start, end in mine:
            counts[name][kind] += 1
            counts[hits][kind] += any(each[0] == kind and each[1] < end and start < each[2] for each in others)


def _share(part: int, of: int) -> float | None:
    return part / of if of else None


def _labelled(name: str, line: int, row: Any, unknown: Counter[str]) -> tuple[str, list[Label]]:
    if isinstance(row, Fault):
        raise InvalidInput(f"{name}, line {line}: {row.reason}.", hint="One JSON object a line: text and spans.")
    text, spans = row.get("text"), row.get("spans")
    if not isinstance(text, str) or not isinstance(spans, list):
        raise InvalidInput(f"{name}, line {line}: needs `text` and a list `spans`.", hint="See docs/concepts/findings.md.")
    labels: list[Label] = []
    for each in spans:
        kind, start, end = (each.get(key) if isinstance(each, dict) else None for key in ("kind", "start", "end"))
        if not isinstance(kind, str) or type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
            raise InvalidInput(
                f"{name}, line {line}: a span is `kind`, `start` and `end` within the text.", hint="Count in characters from 0."
            )
        if kind in KINDS:
            labels.append((KINDS[kind], start, end))
        else:
            unknown[kind if _may_be_shown(kind) else NOT_SHOWN] += 1
    return text, labels


def _may_be_shown(label: str) -> bool:
    return label.isidentifier() and len(label) <= LONGEST_LABEL


def _label(said: str) -> str:
    check(said == NOT_SHOWN or _may_be_shown(said))
    return said
