"""Spans: what was found in one text, by kind, rule and characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from intramural.domain.findings import FindingKind

_RANK = {
    kind: place
    for place, kind in enumerate(
        (
            FindingKind.SECRET,
            FindingKind.IBAN,
            FindingKind.CARD,
            FindingKind.SSN,
            FindingKind.NATIONAL_ID,
            FindingKind.IP,
            FindingKind.PHONE,
        )
    )
}
"""One string of digits is one of these: the first wins where they overlap. Other kinds may lie in one another."""


class Span(NamedTuple):
    """One finding in a text."""

    kind: FindingKind
    rule: str
    start: int
    end: int


def clusters(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Yield the spans in groups that touch one another, in the text's order; most groups are of one."""
    group: list[Span] = []
    end = 0
    for span in sorted(spans, key=lambda each: (each.start, each.end)):
        if group and span.start >= end:
            yield group
            group = []
        group.append(span)
        end = span.end if len(group) == 1 else max(end, span.end)
    if group:
        yield group


def settled(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in the text's order, without those that a stronger kind explains, and without repeats."""
    return [each for group in clusters(set(spans)) for each in (_strongest(group) if len(group) > 1 else group)]


def _strongest(group: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(group, key=lambda each: (_RANK.get(each.kind, -1), each.start - each.end, each.start)):
        rivals = (each for each in kept if each.start < span.end and span.start < each.end)
        if not any(each.kind == span.kind or (span.kind in _RANK and each.kind in _RANK) for each in rivals):
            kept.append(span)
    return sorted(kept, key=lambda each: (each.start, each.end))


def word_before(text: str, start: int, words: re.Pattern[str], reach: int = 40) -> bool:
    """Tell whether one of *words* stands within *reach* characters before *start*."""
    return words.search(text, max(0, start - reach), start) is not None


def words(listed: str) -> re.Pattern[str]:
    """Return the pattern of any of the words *listed*, separated by spaces; `_` in a word stands for a gap."""
    return re.compile(r"(?<!\w)(?:" + listed.replace(" ", "|").replace("_", r"[\s_-]?") + r")(?!\w)", re.IGNORECASE)
