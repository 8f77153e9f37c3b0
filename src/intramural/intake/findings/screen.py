"""
Rows on their way into a data set: looked at in batches, counted, and changed as the treatments say.

The order is: find, drop or change, write. What refuses is found to the end, so that the
refusal can name every place; nothing is stored then.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from intramural.domain.dataset import Classification
from intramural.domain.findings import Finding, FindingKind, Position, Redaction, Treatment
from intramural.domain.treatments import Treatments, treatments_for
from intramural.errors import Refused
from intramural.intake.findings.denied import DeniedTerms
from intramural.intake.findings.labels import Labels
from intramural.intake.findings.near import NearRows
from intramural.intake.findings.redact import redacted
from intramural.intake.findings.scanner import Joined, scan
from intramural.intake.findings.secrets import secrets_in
from intramural.intake.findings.spans import Span, settled
from intramural.intake.findings.tally import Tally
from intramural.intake.stored import line_of

BATCH_ROWS, BATCH_CHARACTERS = 1000, 1 << 19
LONGEST = 200_000
"""Characters of an example; about 50,000 tokens."""
_QUOTED_PLACES = 5

Row = tuple[int, dict[str, Any], bytes | None]
"""A row's number in its file, its example, and the value that groups it."""

Stored = tuple[bytes, bytes | None, bytes | None]
"""A line to store, the value that groups it, and what the line was before, where it was changed."""

Turns = list[tuple[str, dict[str, Any]]]
"""The turns of an example, each with the path of its text."""


class _Row(NamedTuple):
    """A row in a batch."""

    row: int
    example: dict[str, Any]
    group: bytes | None
    turns: Turns


@dataclass(frozen=True)
class Screening:
    """What is looked for beside the rules, and what is done about findings."""

    classification: Classification = Classification.CONFIDENTIAL
    said: Treatments = field(default_factory=dict)
    """Instead of what the class does, by kind."""
    denied: tuple[str, ...] = ()
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Of the surrogates; the same key gives the same surrogate for the same value."""
    cache_folder: Path | None = None
    """Keeps the compiled rules for secrets; without one they are compiled in each process that needs them."""


class Screen:
    """Screens the rows of one data set; `side` tells it where each row went."""

    def __init__(self, screening: Screening, expected_bytes: int) -> None:
        self._screening = screening
        self.treatments = treatments_for(screening.classification, screening.said)
        self._denied = DeniedTerms(screening.denied) if screening.denied else None
        self._near = NearRows(expected_bytes)
        self._labels = Labels()
        self._tally = Tally()
        self._sides = bytearray()
        self._before = sha256()
        self._changed: dict[Treatment, Counter[FindingKind]] = {each: Counter() for each in Treatment}
        self._rows_changed = 0
        self.characters = 0

    def rows(self, source: Iterable[Row], file: int) -> Iterator[Stored]:
        """Yield what to store for each row of *source* that stays; tell `side` before the next is asked for."""
        batch: list[_Row] = []
        size = 0
        for row, example, group in source:
            turns = _turns(example)
            batch.append(_Row(row, example, group, turns))
            for _, turn in turns:
                size += len(turn["content"])
            if len(batch) >= BATCH_ROWS or size >= BATCH_CHARACTERS:
                yield from self._batch(batch, file)
                batch, size = [], 0
        if batch:
            yield from self._batch(batch, file)

    def side(self, is_holdout: bool) -> None:
        """Note the side of the row that was yielded last."""
        self._sides[-1] = is_holdout

    def _batch(self, batch: list[_Row], file: int) -> Iterator[Stored]:
        turns = [(number, path, turn) for number, each in enumerate(batch) for path, turn in each.turns]
        texts = [turn["content"] for _, _, turn in turns]
        self.characters += sum(map(len, texts))
        nearest = self._near.look([_likeness(each.turns) for each in batch])
        near = nearest.tolist()
        found: dict[int, list[tuple[str, dict[str, Any], list[Span]]]] = {}
        for place, spans in self._find(texts).items():
            number, path, turn = turns[place]
            found.setdefault(number, []).append((path, turn, spans))
        first = len(self._sides)
        for number, (row, example, group, row_turns) in enumerate(batch):
            self._sides.append(2)
            before = line = line_of(example)
            self._before.update(line + b"\n")
            drop = self._whole_row(row, file, row_turns, near[number])
            for path, turn, spans in found.get(number, ()):
                drop = self._text(Position(row=row, file=file), path, turn, spans) or drop
            if number in found and not drop:
                line = line_of(example)
                self._rows_changed += line != before
            if drop:
                self._changed[Treatment.DROP][drop] += 1
                continue
            yield line, group, before if line != before else None
        self._crossed(first, near, batch, file)

    def _find(self, texts: list[str]) -> dict[int, list[Span]]:
        joined = Joined(texts)
        found = scan(joined)
        for place, spans in secrets_in(joined, self._screening.cache_folder).items():
            found.setdefault(place, []).extend(spans)
        if self._denied is not None:
            for place, text in enumerate(texts):
                if spans := self._denied.spans(text):
                    found.setdefault(place, []).extend(spans)
        return {place: settled(spans) for place, spans in sorted(found.items())}

    def _text(self, row: Position, path: str, turn: dict[str, Any], spans: list[Span]) -> FindingKind | None:
        """Count the findings of one text and change it; return the kind that makes its row go."""
        for span in spans:
            place = Position(row=row.row, file=row.file, field=path, start=span.start, end=span.end)
            self._tally.add(span.kind, span.rule, place)
        turn["content"], changed = redacted(turn["content"], spans, self.treatments, self._screening.key)
        for span in changed:
            self._changed[self.treatments[span.kind]][span.kind] += 1
        return next((span.kind for span in spans if self.treatments[span.kind] is Treatment.DROP), None)

    def _whole_row(self, row: int, file: int, turns: Turns, nearest: int) -> FindingKind | None:
        """Count the findings of a row as a whole; return the kind that makes it go."""
        kinds = []
        if nearest >= 0:
            kinds.append(FindingKind.NEAR_DUPLICATE)
        if sum([len(turn["content"]) for _, turn in turns]) > LONGEST:
            kinds.append(FindingKind.OVER_LONG)
        answer = turns[-1][1]["content"]
        if not answer[:1].isalnum() and not any(map(str.isalnum, answer)):
            kinds.append(FindingKind.EMPTY_ANSWER)
        self._labels.add(answer)
        for kind in kinds:
            self._tally.add(kind, "row", Position(row=row, file=file))
        return next((kind for kind in kinds if self.treatments[kind] is Treatment.DROP), None)

    def _crossed(self, first: int, near: list[int], batch: list[_Row], file: int) -> None:
        """Count the rows that are near one on the other side; now every row of the batch has its side."""
        for number, other in enumerate(near):
            if other >= 0 and {self._sides[first + number], self._sides[other]} == {0, 1}:
                self._tally.add(FindingKind.NEAR_OVERLAP, "row", Position(row=batch[number].row, file=file))

    def findings(self) -> tuple[Finding, ...]:
        """Return everything that was found."""
        rare, note = self._labels.imbalance()
        if rare:
            self._tally.add_many(FindingKind.LABEL_IMBALANCE, rare, note)
        return self._tally.findings(self.treatments)

    def redaction(self) -> Redaction | None:
        """Return what was changed, or None when every row is stored as it came."""
        if not any(self._changed.values()):
            return None
        return Redaction(
            redacted_from=f"sha256:{self._before.hexdigest()}",
            masked=dict(self._changed[Treatment.MASK]),
            pseudonymised=dict(self._changed[Treatment.PSEUDONYMISE]),
            dropped=dict(self._changed[Treatment.DROP]),
            rows_changed=self._rows_changed,
            rows_dropped=self._changed[Treatment.DROP].total(),
        )


def raise_if_refused(findings: Iterable[Finding], name: str, classification: Classification) -> None:
    """Raise `Refused` that names the kinds, counts and first places that the class does not take."""
    refused = [each for each in findings if each.treatment is Treatment.REFUSE]
    if not refused:
        return
    told = "; ".join(f"{each.count} {each.kind} in {each.rows} {'row' if each.rows == 1 else 'rows'}" for each in refused)
    first = refused[0]
    places = ", ".join(f"row {each.row}{f' {each.field}' if each.field else ''}" for each in first.positions[:_QUOTED_PLACES])
    raise Refused(
        f"{name} is refused as {classification} data: {told}." + (f" The first of {first.kind}: {places}." if places else ""),
        hint=f"--on {first.kind}=mask stores it without them; `intramural data scan` lists every place.",
        rule="findings",
        kinds={each.kind.value: each.count for each in refused},
    )


def _turns(example: dict[str, Any]) -> Turns:
    """Return each turn of an example with the path of its text."""
    return [(_path(part, place), turn) for part, turns in example.items() for place, turn in enumerate(turns)]


@lru_cache(maxsize=4096)
def _path(part: str, place: int) -> str:
    return f"{part}[{place}].content"


def _likeness(turns: Turns) -> bytes:
    """Return what makes a row like another: its turns without the system's, which many rows share."""
    return "\n".join([turn["content"] for _, turn in turns if turn["role"] != "system"]).encode("utf-8", "surrogatepass")
