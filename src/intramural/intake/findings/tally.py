"""Counts and places of what was found, kind by kind, in bounded memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from intramural.domain.findings import MOST_POSITIONS, Finding, FindingKind, Position, Treatment, severity_of

MOST_RULES = 100
Place = tuple[int, int, str | None, int | None, int | None]
"""Row, file, field, and the first and last character, as in `Position`."""


class Tally:
    """Adds up findings."""

    def __init__(self) -> None:
        self.counts: Counter[FindingKind] = Counter()
        self.rows: Counter[FindingKind] = Counter()
        self.rules: defaultdict[FindingKind, Counter[str]] = defaultdict(Counter)
        self.places: defaultdict[FindingKind, list[Place]] = defaultdict(list)
        self.notes: dict[FindingKind, str] = {}
        self._last_row: dict[FindingKind, tuple[int, int]] = {}

    def add(
        self,
        kind: FindingKind,
        rule: str,
        row: int,
        *,
        file: int = 1,
        field: str | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> None:
        """Count one finding; findings of one row come one after the other."""
        self.counts[kind] += 1
        if self._last_row.get(kind) != (row, file):
            self._last_row[kind] = (row, file)
            self.rows[kind] += 1
        rules = self.rules[kind]
        rules[rule if rule in rules or len(rules) < MOST_RULES else "other"] += 1
        places = self.places[kind]
        if len(places) < MOST_POSITIONS:
            places.append((row, file, field, start, end))

    def add_many(self, kind: FindingKind, count: int, note: str) -> None:
        """Count findings whose places are not known."""
        self.counts[kind] += count
        self.rows[kind] += count
        self.notes[kind] = note

    def join(self, other: Tally, *, line: int, file: int) -> None:
        """Add what was found elsewhere, in other rows: those that begin *line* lines into the file of that number."""
        self.counts.update(other.counts)
        self.rows.update(other.rows)
        for kind, found in other.rules.items():
            rules = self.rules[kind]
            for rule, count in found.items():
                rules[rule if rule in rules or len(rules) < MOST_RULES else "other"] += count
        for kind, places in other.places.items():
            mine = self.places[kind]
            mine += [(line + each[0], file, *each[2:]) for each in places[: MOST_POSITIONS - len(mine)]]

    def findings(self, treatments: Mapping[FindingKind, Treatment]) -> tuple[Finding, ...]:
        """Return what was found, the weightiest kinds first."""
        order = [*FindingKind]
        weight = ["high", "medium", "low"]
        kinds = sorted(self.counts, key=lambda kind: (weight.index(severity_of(kind)), order.index(kind)))
        return tuple(
            Finding(
                kind=kind,
                severity=severity_of(kind),
                count=self.counts[kind],
                rows=self.rows[kind],
                treatment=treatments[kind],
                rules=dict(sorted(self.rules[kind].items())),
                positions=tuple(
                    Position(row=row, file=file, field=field, start=start, end=end)
                    for row, file, field, start, end in self.places[kind]
                ),
                note=self.notes.get(kind),
            )
            for kind in kinds
        )
