"""
The scan of texts: one pass of hyperscan over many at once, then a look around each place where it fired.

Texts are joined by a byte that no anchor takes, so nothing is found across two of them.
Spans come in characters of each text, whatever its alphabet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from intramural.intake.findings.compiled import database
from intramural.intake.findings.rules import RULES, Rule
from intramural.intake.findings.spans import Span

BETWEEN = b"\x00"


_PAIRS = [(anchor, rule) for rule in RULES for anchor in rule.anchors]
_RULES = [rule for _, rule in _PAIRS]
"""By the numbers of their anchors."""


@cache
def anchors(folder: Path | None = None) -> Any:
    """Return the compiled anchors; *folder* keeps them from one process to the next."""
    return database([anchor for anchor, _ in _PAIRS], folder)


class Joined:
    """Many texts as one buffer, and the way back from a byte of it to a character of a text."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self._encoded = [each.encode("utf-8", "surrogatepass") for each in texts]
        self.buffer = BETWEEN.join((*self._encoded, b""))
        self._starts = [0, *accumulate(len(each) + 1 for each in self._encoded)]
        self._at = (0, 0, 0)
        """The last text that was not ASCII, and a byte and a character of it that belong together."""

    def number(self, byte: int) -> int:
        """Return the text of *byte*."""
        return bisect_right(self._starts, byte, 0, len(self.texts)) - 1

    def place(self, byte: int) -> tuple[int, int]:
        """Return the text and the character of *byte*; quick when asked in the buffer's order."""
        number = bisect_right(self._starts, byte, 0, len(self.texts)) - 1
        offset = byte - self._starts[number]
        encoded = self._encoded[number]
        if len(encoded) == len(self.texts[number]):
            return number, offset
        text, known_byte, known_char = self._at
        if text != number or known_byte > offset:
            known_byte = known_char = 0
        char = known_char + len(encoded[known_byte:offset].decode("utf-8", "ignore"))
        if offset == len(encoded) or encoded[offset] & 0xC0 != 0x80:
            self._at = (number, offset, char)
        return number, char


def fired(database: Any, joined: Joined) -> list[tuple[int, int]]:
    """Return the byte after which each expression of *database* fired, and its number, in the buffer's order."""
    events: list[tuple[int, int]] = []
    note = events.append
    database.scan(joined.buffer, match_event_handler=lambda number, _start, end, _flags, _context: note((end, number)))
    events.sort()
    return events


def scan(joined: Joined, cache_folder: Path | None = None) -> dict[int, list[Span]]:
    """Return what the rules find in each text that holds something; *cache_folder* keeps the compiled anchors."""
    rules = _RULES
    found: dict[int, list[Span]] = {}
    covered: dict[str, int] = {}
    current = -1
    for end, number in fired(anchors(cache_folder), joined):
        place, char = joined.place(end)
        if place != current:
            current = place
            covered.clear()
        rule = rules[number]
        done = covered.get(rule.name, 0)
        if char <= done:
            continue
        spans, covered[rule.name] = _around(rule, joined.texts[place], char, done)
        if spans:
            found.setdefault(place, []).extend(spans)
    return found


def _around(rule: Rule, text: str, char: int, done: int) -> tuple[list[Span], int]:
    """Return what *rule* confirms around the character where its anchor ended, and up to where that is settled."""
    for match in rule.pattern.finditer(text, max(done, char - rule.back), min(len(text), char + rule.ahead)):
        if match.start() >= char:
            break
        if match.end() >= char:
            return list(rule.confirm(match)), match.end()
    return [], done
