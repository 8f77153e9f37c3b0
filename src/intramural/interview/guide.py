"""
The discovery interview as a document: its sections with their minutes, and every line of it by number.

The lines are `0.1` to `5.4` of the six sections, `hard.1` to `hard.5` of the numbers to write
down, and `page.1` to `page.7` of the page that comes out. The fields of a profile claim them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from intramural.domain import strict_yaml
from intramural.domain.value import Value


class GuideSection(Value):
    """One section of the conversation."""

    title: str
    minutes: tuple[int, int]
    """From, to."""
    lead: str = ""
    """What is said before its questions."""
    lines: dict[str, str]

    @property
    def time(self) -> str:
        """Its minutes in words: `15-25 min`."""
        first, last = self.minutes
        return f"{last} min" if first == last else f"{first}-{last} min"


class Guide(Value):
    """The whole interview."""

    sections: tuple[GuideSection, ...]
    hard_numbers: dict[str, str]
    page: dict[str, str]

    @property
    def lines(self) -> dict[str, str]:
        """Every line by its number, in order."""
        of_sections = {number: text for each in self.sections for number, text in each.lines.items()}
        return {**of_sections, **self.hard_numbers, **self.page}

    def to_answer(self) -> tuple[str, ...]:
        """Return the numbers of the lines that ask for something: those without lines of their own below."""
        numbers = tuple(self.lines)
        return tuple(each for each in numbers if not any(other.startswith(f"{each}.") for other in numbers))


@cache
def guide() -> Guide:
    """Return the interview."""
    text = resources.files("intramural.interview").joinpath("guide.yaml").read_text(encoding="utf-8")
    return strict_yaml.read(text, Guide, where="guide.yaml")
