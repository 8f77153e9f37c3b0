"""A scan of rows of one's own, which stores nothing."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from intramural.domain.findings import ScanReport
from intramural.intake.findings.screen import Screen, Screener, Screening

BATCH = 500


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
