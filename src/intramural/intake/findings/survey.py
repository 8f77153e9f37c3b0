"""A scan that stores nothing: of a source, of a stored file, and of a labelled sample that it is measured by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from intramural.domain.dataset import Fault
from intramural.domain.findings import FindingKind, ScanReport, ScanScore, TypeScore
from intramural.errors import InvalidInput
from intramural.intake.bounds import Progress
from intramural.intake.findings.denied import DeniedTerms
from intramural.intake.findings.names import names_in, recogniser
from intramural.intake.findings.scanner import Joined, scan
from intramural.intake.findings.screen import Screen, Screener, Screening
from intramural.intake.findings.secrets import secrets_in
from intramural.intake.findings.spans import settled
from intramural.intake.rows import read_rows

BATCH = 500
Label = tuple[FindingKind, int, int]


def survey(rows: Iterable[tuple[int, dict[str, Any]]], screening: Screening, name: str, expected_bytes: int) -> ScanReport:
    """Return what is in numbered examples of one's own; nothing is stored, nothing refused."""
    screener, screen = Screener(screening), Screen(screening, expected_bytes)
    taken = 0
    numbered = iter(rows)
    while batch := [(number, example, None) for number, example in islice(numbered, BATCH)]:
        kept = screen.take(screener.screen(batch))
        screen.side(kept, bytes(len(kept.lines)))
        taken += len(batch)
    return ScanReport(source=name, rows_read=taken, fault_count=0, characters=screen.characters, findings=screen.findings())


def score(sample: Path, screening: Screening, on_progress: Progress) -> ScanScore:
    """Return precision and recall on a labelled sample, by overlap. Raises `InvalidInput` that names the line, not its text."""
    unknown: Counter[str] = Counter()
    counts: dict[str, Counter[FindingKind]] = {
        each: Counter() for each in ("labelled", "found", "labelled_found", "found_labelled")
    }
    documents = characters = 0
    batch: list[tuple[str, list[Label]]] = []

    def count() -> None:
        texts = [text for text, _ in batch]
        joined = Joined(texts)
        found = scan(joined, screening.cache_folder)
        for number, spans in secrets_in(joined, screening.cache_folder).items():
            found.setdefault(number, []).extend(spans)
        if screening.names is not None:
            for number, spans in names_in(texts, recogniser(screening.names)).items():
                found.setdefault(number, []).extend(spans)
        denied = DeniedTerms(screening.denied) if screening.denied else None
        for number, (text, labels) in enumerate(batch):
            more = denied.spans(text) if denied else []
            _count(counts, labels, [(each.kind, each.start, each.end) for each in settled([*found.get(number, []), *more])])

    for line, row in read_rows(sample, on_progress):
        text, labels = _labelled(sample.name, line, row, unknown)
        documents += 1
        characters += len(text)
        batch.append((text, labels))
        if len(batch) == BATCH:
            count()
            batch.clear()
    count()
    if not documents:
        raise InvalidInput(f"{sample.name} holds no document.", hint="One JSON object a line: text and spans.")
    kinds = [kind for kind in FindingKind if counts["labelled"][kind] or counts["found"][kind]]
    return ScanScore(
        documents=documents,
        characters=characters,
        scores=tuple(
            TypeScore(
                kind=kind,
                **{name: each[kind] for name, each in counts.items()},
                precision=_share(counts["found_labelled"][kind], counts["found"][kind]),
                recall=_share(counts["labelled_found"][kind], counts["labelled"][kind]),
            )
            for kind in kinds
        ),
        unknown_labels=dict(unknown.most_common(50)),
    )


def _count(counts: dict[str, Counter[FindingKind]], labels: list[Label], found: list[Label]) -> None:
    for mine, others, name, hits in (
        (labels, found, "labelled", "labelled_found"),
        (found, labels, "found", "found_labelled"),
    ):
        for kind, start, end in mine:
            counts[name][kind] += 1
            counts[hits][kind] += any(each[0] == kind and each[1] < end and start < each[2] for each in others)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


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
        if kind in {known.value for known in FindingKind}:
            labels.append((FindingKind(kind), start, end))
        else:
            unknown[kind if kind.isidentifier() and len(kind) <= LONGEST_LABEL else "(not shown)"] += 1
    return text, labels


LONGEST_LABEL = 40
