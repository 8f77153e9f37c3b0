"""Counts and places of what was found, kind by kind, in bounded memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from intramural.domain.findings import MOST_POSITIONS, Finding, FindingKind, Position, Treatment, severity_of

MOST_RULES = 100


class Tally:
    """Adds up findings."""

    def __init__(self) -> None:
        self.counts: Counter[FindingKind] = Counter()
        self._rows: Counter[FindingKind] = Counter()
        self._last_row: dict[FindingKind, tuple[int, int]] = {}
        self._rules: defaultdict[FindingKind, Counter[str]] = defaultdict(Counter)
        self._positions: defaultdict[FindingKind, list[Position]] = defaultdict(list)
        self.notes: dict[FindingKind, str] = {}

    def add(self, kind: FindingKind, rule: str, position: Position) -> None:
        """Count one finding."""
        self.counts[kind] += 1
        row = (position.file, position.row)
        if self._last_row.get(kind) != row:
            self._last_row[kind] = row
            self._rows[kind] += 1
        rules = self._rules[kind]
        rules[rule if rule in rules or len(rules) < MOST_RULES else "other"] += 1
        positions = self._positions[kind]
        if len(positions) < MOST_POSITIONS:
            positions.append(position)

    def add_many(self, kind: FindingKind, count: int, note: str) -> None:
        """Count findings whose places are not known."""
        self.counts[kind] += count
        self._rows[kind] += count
        self.notes[kind] = note

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
                rows=self._rows[kind],
                treatment=treatments[kind],
                rules=dict(sorted(self._rules[kind].items())),
                positions=tuple(self._positions[kind]),
                note=self.notes.get(kind),
            )
            for kind in kinds
        )
