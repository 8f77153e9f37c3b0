"""
Rows looked at in batches, counted, and changed as the treatments say.

`Screener` looks at one batch by itself and knows of no other: it may work in a process of
its own, and several may work side by side. What needs all rows, in their order, is in
`Screen`: likeness to earlier rows, labels, and the sum of what was found. What refuses is
found to the end, so that the refusal can name every place; nothing is stored then.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

from intramural.domain.dataset import Classification
from intramural.domain.findings import Finding, FindingKind, Redaction, Treatment
from intramural.domain.treatments import Treatments, least_that_takes, treatments_for
from intramural.errors import Refused
from intramural.intake.findings.denied import DeniedTerms
from intramural.intake.findings.labels import MOST_LABELS, Labels, label_of
from intramural.intake.findings.names import names_in, recogniser
from intramural.intake.findings.near import NearRows, keys_of
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
WHOLE_ROW_FIRST = (FindingKind.NEAR_DUPLICATE, FindingKind.OVER_LONG, FindingKind.EMPTY_ANSWER)
"""Under which of them a row goes that has several; one that goes for its text goes under that."""

Row = tuple[int, dict[str, Any], int | None]
"""A row's number in its file, its example, and the hash of the value that groups it."""

Turn = dict[str, Any]


@dataclass(frozen=True)
class Screening:
    """What is looked for beside the rules, and what is done about findings."""

    classification: Classification = Classification.CONFIDENTIAL
    said: Treatments = field(default_factory=dict)
    """Instead of what the class does, by kind."""
    denied: tuple[str, ...] = ()
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Of the surrogates; the same key gives the same surrogate for the same value."""
    names: str | None = None
    """The installed model that finds names and addresses; none: they are not looked for."""
    cache_folder: Path | None = None
    """Keeps the compiled rules for secrets; without one they are compiled in each process that needs them."""

    @property
    def treatments(self) -> dict[FindingKind, Treatment]:
        """Return what is done about every kind."""
        return treatments_for(self.classification, self.said)


@dataclass
class Screened:
    """What came of a batch; the lists have a place for each of its rows."""

    rows: list[int] = field(default_factory=list)
    """Their numbers in the file."""
    lines: list[bytes] = field(default_factory=list)
    """What is stored; empty for a row that goes."""
    before: dict[int, bytes] = field(default_factory=dict)
    """What the lines were that were changed or are empty, by their places."""
    groups: list[int] | None = None
    drops: dict[int, FindingKind] = field(default_factory=dict)
    """What makes rows go, by their places."""
    labels: list[int] = field(default_factory=list)
    keys: Any = None
    """By which rows are near others, a row each."""
    tally: Tally = field(default_factory=Tally)
    changed: dict[Treatment, Counter[FindingKind]] = field(default_factory=dict)
    characters: int = 0


class Screener:
    """Looks at batches of rows."""

    def __init__(self, screening: Screening, *, may_compile: bool = True) -> None:
        self._screening = screening
        self.may_compile = may_compile
        self._treatments = screening.treatments
        self._seen = set[int]()
        self._denied = DeniedTerms(screening.denied) if screening.denied else None

    def screen(self, batch: Sequence[Row]) -> Screened:
        """Return what is stored of a batch, and what was found in it. Raises `RulesMissing`, and has changed nothing then."""
        turns, ends = _turns(batch)
        texts = [turn["content"] for turn in turns]
        found: dict[int, list[tuple[int, list[Span]]]] = {}
        for place, spans in self.find(texts).items():
            found.setdefault(bisect_right(ends, place), []).append((place, spans))
        sizes = [*accumulate(map(len, texts), initial=0)]
        screened = Screened(
            rows=[row for row, _, _ in batch],
            groups=[group for _, _, group in batch if group is not None] or None,
            labels=self._labels([texts[end - 1] for end in ends]),
            keys=keys_of([*_likenesses(turns, ends)]),
            characters=sizes[-1],
        )
        first = 0
        for number, ((row, example, _), end) in enumerate(zip(batch, ends, strict=True)):
            line = before = line_of(example)
            drop = self._whole_row(screened, row, sizes[end] - sizes[first], texts[end - 1])
            if number in found:
                for place, spans in found[number]:
                    drop = self._text(screened, row, _path(example, place - first), turns[place], spans) or drop
                line = line_of(example)
            if drop is not None:
                screened.drops[number] = drop
                line = b""
            if line is not before and line != before:
                screened.before[number] = before
            screened.lines.append(line)
            first = end
        return screened

    def _labels(self, answers: Iterable[str]) -> list[int]:
        """Return what stands for each answer; nothing does once this process has seen too many for labels."""
        if len(self._seen) > MOST_LABELS:
            return [0 for _ in answers]
        labels = [*map(label_of, answers)]
        self._seen.update(labels)
        return labels

    def find(self, texts: list[str]) -> dict[int, list[Span]]:
        """Return what is in each text that holds something. Raises `RulesMissing`."""
        joined = Joined(texts)
        found = scan(joined, self._screening.cache_folder)
        for place, spans in secrets_in(joined, self._screening.cache_folder, may_compile=self.may_compile).items():
            found.setdefault(place, []).extend(spans)
        if self._screening.names is not None:
            for place, spans in names_in(texts, recogniser(self._screening.names)).items():
                found.setdefault(place, []).extend(spans)
        if self._denied is not None:
            for place, text in enumerate(texts):
                if spans := self._denied.spans(text):
                    found.setdefault(place, []).extend(spans)
        return {place: settled(spans) for place, spans in sorted(found.items())}

    def _text(self, screened: Screened, row: int, path: str, turn: dict[str, Any], spans: list[Span]) -> FindingKind | None:
        """Count the findings of one text and change it; return the kind that makes its row go."""
        for span in spans:
            screened.tally.add(span.kind, span.rule, row, field=path, start=span.start, end=span.end)
        turn["content"], changed = redacted(turn["content"], spans, self._treatments, self._screening.key)
        for span in changed:
            screened.changed.setdefault(self._treatments[span.kind], Counter())[span.kind] += 1
        return next((span.kind for span in spans if self._treatments[span.kind] is Treatment.DROP), None)

    def _whole_row(self, screened: Screened, row: int, characters: int, answer: str) -> FindingKind | None:
        """Count the findings of a row as a whole; return the kind that makes it go."""
        kinds = []
        if characters > LONGEST:
            kinds.append(FindingKind.OVER_LONG)
        if not answer[:1].isalnum() and not any(map(str.isalnum, answer)):
            kinds.append(FindingKind.EMPTY_ANSWER)
        for kind in kinds:
            screened.tally.add(kind, "row", row)
        return next((kind for kind in kinds if self._treatments[kind] is Treatment.DROP), None)


class Screen:
    """Adds up the batches of one data set, in their order."""

    def __init__(self, screening: Screening, expected_bytes: int) -> None:
        self.treatments = screening.treatments
        self._near = NearRows(expected_bytes)
        self._labels = Labels()
        self._tally = Tally()
        self._sides = bytearray()
        self._before = sha256()
        self._changed: dict[Treatment, Counter[FindingKind]] = {each: Counter() for each in Treatment}
        self._rows_changed = 0
        self.characters = 0

    def take(self, screened: Screened, *, line: int = 0, file: int = 1) -> Kept:
        """Add a batch whose rows are counted from *line*; return what of it stays, and tell `side` where that went."""
        nearest = self._near.look(screened.keys).tolist()
        drops = dict(screened.drops)
        for number, other in enumerate(nearest):
            if other < 0:
                continue
            self._tally.add(FindingKind.NEAR_DUPLICATE, "row", line + screened.rows[number], file=file)
            if self.treatments[FindingKind.NEAR_DUPLICATE] is not Treatment.DROP:
                continue
            if drops.get(number) in {None, *WHOLE_ROW_FIRST}:
                drops[number] = FindingKind.NEAR_DUPLICATE
        self.characters += screened.characters
        self._labels.add(screened.labels)
        self._tally.join(screened.tally, line=line, file=file)
        for treatment, counts in screened.changed.items():
            self._changed[treatment].update(counts)
        self._changed[Treatment.DROP].update(drops.values())
        before = screened.before
        was = [before.get(number, each) for number, each in enumerate(screened.lines)] if before else screened.lines
        self._before.update(b"\n".join((*was, b"")))
        stay = [number for number in range(len(screened.lines)) if number not in drops] if drops else None
        kept = Kept(screened, stay, nearest, line, file, len(self._sides))
        self._rows_changed += len(kept.before)
        self._sides += b"\2" * len(screened.lines)
        return kept

    def side(self, kept: Kept, sides: bytes) -> None:
        """Note the side of each row that stayed, 1 for the hold-out, and count those that are near one on the other side."""
        places = range(len(kept.lines)) if kept.stay is None else kept.stay
        for place, side in zip(places, sides, strict=True):
            self._sides[kept.first + place] = side
        for number, other in enumerate(kept.nearest):
            if other >= 0 and {self._sides[kept.first + number], self._sides[other]} == {0, 1}:
                self._tally.add(FindingKind.NEAR_OVERLAP, "row", kept.line + kept.rows[number], file=kept.file)

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


class Kept:
    """What stays of a batch."""

    def __init__(
        self, screened: Screened, stay: list[int] | None, nearest: list[int], line: int, file: int, first: int
    ) -> None:
        self.rows, self.nearest, self.line, self.file, self.first = screened.rows, nearest, line, file, first
        self.stay = stay
        """The places in the batch of what stays; None when everything does."""
        self.lines: Sequence[bytes] = screened.lines
        self.groups: Sequence[int] | None = screened.groups
        self.before: Mapping[int, bytes] = screened.before
        """By the places among what stays."""
        if stay is not None:
            self.lines = [screened.lines[place] for place in stay]
            self.groups = None if screened.groups is None else [screened.groups[place] for place in stay]
            self.before = {number: screened.before[place] for number, place in enumerate(stay) if place in screened.before}


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
        hint=f"{_way_in(each.kind for each in refused)}; `intramural data scan` lists every place.",
        rule="findings",
        kinds={each.kind.value: each.count for each in refused},
    )


def _way_in(kinds: Iterable[FindingKind]) -> str:
    """Name all that must be said at once: an offer for one kind alone would be refused for the next."""
    chosen = {kind: least_that_takes(kind) for kind in kinds}
    flags = " ".join(f"--on {kind}={treatment}" for kind, treatment in chosen.items())
    return f"{flags} stores it {'as it is' if set(chosen.values()) == {Treatment.KEEP} else 'without them'}"


def _turns(batch: Iterable[Row]) -> tuple[list[Turn], list[int]]:
    """Return the turns of all examples, and for each where its own end."""
    turns: list[Turn] = []
    ends = []
    for _, example, _ in batch:
        for part in example.values():
            turns += part
        ends.append(len(turns))
    return turns, ends


def _path(example: dict[str, Any], place: int) -> str:
    """Return the path of the text of an example's turn, counted through all its parts."""
    for part, turns in example.items():
        if place < len(turns):
            return f"{part}[{place}].content"
        place -= len(turns)
    raise IndexError(place)


def _likenesses(turns: Sequence[Turn], ends: Iterable[int]) -> Iterator[bytes]:
    """Yield what makes each row like another: its turns without the system's, which many rows share."""
    first = 0
    for end in ends:
        said = [turn["content"] for turn in turns[first:end] if turn["role"] != "system"]
        yield "\n".join(said).encode("utf-8", "surrogatepass")
        first = end
