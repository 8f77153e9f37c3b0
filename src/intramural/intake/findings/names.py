"""
Names and addresses, found by a model of the customer's choice; off unless one is named.

A model is an installed package of spaCy's kind, never a path and never a download. What it
finds is a guess: measure it on your own text before anything is changed by it.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

from intramural.domain.findings import FindingKind
from intramural.errors import InvalidInput
from intramural.intake.findings.spans import Span

KINDS = {
    "PERSON": FindingKind.PERSON,
    "PER": FindingKind.PERSON,
    "ADDRESS": FindingKind.ADDRESS,
    "FAC": FindingKind.ADDRESS,
    "GPE": FindingKind.ADDRESS,
    "LOC": FindingKind.ADDRESS,
}
"""What the labels of models stand for; others are not looked at."""
LONGEST = 100_000
"""Characters that a model looks at together; a longer text is looked at in parts."""
_NOT_NEEDED = ("tagger", "parser", "senter", "morphologizer", "attribute_ruler", "lemmatizer", "trainable_lemmatizer")


class Recogniser(Protocol):
    """Finds names in texts."""

    def each(self, texts: Sequence[str]) -> Iterator[list[tuple[str, int, int]]]:
        """Yield for each text the label, first and end character of what it names."""


def check_model(model: str) -> None:
    """Raise `InvalidInput` where no such model can be used here."""
    if importlib.util.find_spec("spacy") is None:
        raise InvalidInput("Names are found with spaCy, which is not installed.", hint="pip install 'intramural[ner]'")
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,79}", model) or importlib.util.find_spec(model) is None:
        raise InvalidInput(
            "There is no model of that name installed.",
            hint="Install one as a package, such as en_core_web_sm from your mirror, and give the package's name.",
        )


@lru_cache(maxsize=1)
def recogniser(model: str) -> Recogniser:
    """Return the model of the package *model*, loaded once. Raises `InvalidInput`."""
    check_model(model)
    import spacy  # noqa: PLC0415 - an optional part, and slow to load

    try:
        return _Spacy(spacy.load(model, exclude=_NOT_NEEDED))
    except (OSError, ValueError, AttributeError) as error:
        raise InvalidInput(
            "The package that was named holds no model of spaCy's kind, or one for another version of it.",
            hint="`python -m spacy validate` tells which versions fit.",
        ) from error


class _Spacy:
    """A pipeline of spaCy."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def each(self, texts: Sequence[str]) -> Iterator[list[tuple[str, int, int]]]:
        """Yield for each text the label, first and end character of what it names."""
        for found in self._pipeline.pipe(texts):
            yield [(each.label_, each.start_char, each.end_char) for each in found.ents]


def names_in(texts: Sequence[str], found_by: Recogniser) -> dict[int, list[Span]]:
    """Return the names and addresses in each text that holds some."""
    parts = [(number, at, text[at : at + LONGEST]) for number, text in enumerate(texts) for at in range(0, len(text), LONGEST)]
    found: dict[int, list[Span]] = {}
    for (number, at, _), named in zip(parts, found_by.each([part for _, _, part in parts]), strict=True):
        spans = [Span(KINDS[label], label.lower(), at + start, at + end) for label, start, end in named if label in KINDS]
        if spans:
            found.setdefault(number, []).extend(spans)
    return found
