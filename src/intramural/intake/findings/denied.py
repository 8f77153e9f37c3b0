"""The customer's own list of terms: one a line, found as whole words in any case."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from intramural.domain.findings import FindingKind
from intramural.errors import InvalidInput, NotFound
from intramural.intake.findings.spans import Span

MOST_TERMS = 1_000_000
SHORTEST_TERM = 2


def read_terms(path: Path) -> tuple[str, ...]:
    """Return the terms of a file, without blank lines and `#` comments. Raises `NotFound`, `InvalidInput`."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint="--deny takes a text file with one term a line.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path.name} is not UTF-8 text.", hint="Save it as UTF-8, one term a line.") from None
    terms = []
    for number, line in enumerate(lines, 1):
        term = line.strip()
        if not term or term.startswith("#"):
            continue
        if len(term) < SHORTEST_TERM:
            raise InvalidInput(f"{path.name}, line {number}: the term is one character.", hint="It would match everywhere.")
        terms.append(term)
    if not terms or len(terms) > MOST_TERMS:
        raise InvalidInput(f"{path.name} has {len(terms)} terms.", hint=f"Give 1 to {MOST_TERMS}, one a line.")
    return tuple(terms)


class DeniedTerms:
    """An automaton of all terms at once."""

    def __init__(self, terms: Iterable[str]) -> None:
        import ahocorasick  # noqa: PLC0415 - only where a list was given

        self._automaton: Any = ahocorasick.Automaton()
        for term in terms:
            folded = _folded(term)
            self._automaton.add_word(folded, len(folded))
        self._automaton.make_automaton()

    def spans(self, text: str) -> list[Span]:
        """Return where *text* holds a term."""
        folded = _folded(text)
        return [
            Span(FindingKind.DENIED_TERM, "list", end + 1 - size, end + 1)
            for end, size in self._automaton.iter(folded)
            if _is_whole(folded, end + 1 - size, end + 1)
        ]


def _folded(text: str) -> str:
    """Return *text* without case, every character in its place: a few letters fold to two, and stay as they are."""
    folded = text.lower()
    return folded if len(folded) == len(text) else "".join(low if len(low := each.lower()) == 1 else each for each in text)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Tell whether no word goes on at either edge."""
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not before and not after
