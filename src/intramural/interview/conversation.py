"""
Which question comes next, and what is left.

A conversation is a profile and a place in it. Every step returns a new conversation: nothing
here knows a terminal, a clock or a disk. A question that was skipped stays open, so that a
conversation taken up again begins with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intramural.domain.answer_kinds import Text
from intramural.domain.answers import UNKNOWN
from intramural.domain.asking import ProfileField
from intramural.domain.profile import FIELDS, Profile, applies, field_of
from intramural.domain.value import Value
from intramural.errors import InvalidInput
from intramural.interview.answering import answer, normalised
from intramural.interview.guide import guide


class Left(Value):
    """How much of a section, or of the whole, is not answered yet."""

    questions: int
    of: int
    """Questions that apply."""
    minutes: int


class Opening(Value):
    """What is asked once, before the first section: a key of the profile itself."""

    key: str
    question: str
    example: str


OPENING = (
    Opening(key="name", question="Which organisation, team or project is this about?", example="Acme search team"),
    Opening(key="respondent", question="Who answers? A role rather than a name.", example="ML engineer"),
    Opening(key="window_days", question="How many days back shall the answers reach, 30 to 90?", example="90"),
)


MOST_CHARACTERS = 200
"""Of a name or a role."""


def open_with(profile: Profile, key: str, text: str) -> Profile:
    """Return *profile* with *text* as the answer to an opening question; an empty one leaves it as it is."""
    if not text.strip():
        return profile
    if key != "window_days":
        return profile.model_copy(update={key: _few_words(key, text)})
    days = text.strip().lower().removesuffix("days").removesuffix("d").strip()
    if not days.isascii() or not days.isdigit() or not 1 <= int(days) <= 366:
        said = "write a number of days from 1 to 366"
        raise InvalidInput(f"`{key}`: {said}.", hint="For example: 90", words=said)
    return profile.model_copy(update={key: int(days)})


def _few_words(key: str, text: str) -> str:
    try:
        words = Text().read(text)
    except ValueError as error:
        raise InvalidInput(f"`{key}`: {error}.", hint="Write a few words.", words=str(error)) from None
    if len(words) > MOST_CHARACTERS:
        said = f"it is longer than {MOST_CHARACTERS} characters"
        raise InvalidInput(f"`{key}`: {said}.", hint="Shorten it.", words=said)
    return words


class Conversation(Value):
    """A profile and the question that is being put; none at the end."""

    profile: Profile
    at: str | None
    """`section.field`"""

    @property
    def asked(self) -> ProfileField | None:
        """The question that is being put."""
        return field_of(self.at) if self.at else None

    def answered(self, given: Any, *, normalise: bool = False) -> Conversation:
        """Take *given* as the answer and go on. Raises `InvalidInput` when it cannot be one."""
        if self.at is None:
            return self
        profile = answer(self.profile, self.at, given)
        profile = normalised(profile, self.at) if normalise else profile
        return Conversation(profile=profile, at=self._next(profile, self.at))

    def unknown(self) -> Conversation:
        """Take "don't know" as the answer and go on."""
        return self.answered(UNKNOWN)

    def skip(self) -> Conversation:
        """Go on and leave the answer as it is."""
        return self.model_copy(update={"at": self._next(self.profile, self.at)}) if self.at else self

    def _next(self, profile: Profile, path: str) -> str | None:
        """Return the open question after *path*; after one that was answered before, the next of all, as in a review."""
        was_open = not _is_answered(self.profile, field_of(path))
        return _first(profile, lambda each: not (was_open and _is_answered(profile, each)), FIELDS[_number(path) + 1 :])

    def back(self) -> Conversation:
        """Return to the question before; at the first one, stay."""
        number = _number(self.at) if self.at else len(FIELDS)
        before = _first(self.profile, lambda each: True, reversed(FIELDS[:number]))
        return self.model_copy(update={"at": before or self.at})

    def to_section(self, number: int) -> Conversation:
        """Go to the first open question of a section, or to its first. Raises `InvalidInput` when there is no such section."""
        last = len(guide().sections) - 1
        if not 0 <= number <= last:
            raise InvalidInput(f"There is no section {number}.", hint=f"The sections are 0 to {last}.", words="no such section")
        of_section = [each for each in FIELDS if each.section == number]
        place = _first(self.profile, lambda each: not _is_answered(self.profile, each), of_section)
        return self.model_copy(update={"at": place or _first(self.profile, lambda each: True, of_section)})

    def to_open(self) -> Conversation:
        """Go to the first question that is still open, if there is one."""
        place = _first(self.profile, lambda each: not _is_answered(self.profile, each), FIELDS)
        return self.model_copy(update={"at": place or self.at})

    def left(self, section: int | None = None) -> Left:
        """Return what is open in a section, or in all of them, with the guide's minutes in proportion."""
        numbers = range(len(guide().sections)) if section is None else (section,)
        questions, of, minutes = 0, 0, 0.0
        for number in numbers:
            to_ask = [each for each in FIELDS if each.section == number and applies(self.profile, each)]
            still = [each for each in to_ask if not _is_answered(self.profile, each)]
            minutes += guide().sections[number].minutes[1] * len(still) / max(len(to_ask), 1)
            questions, of = questions + len(still), of + len(to_ask)
        return Left(questions=questions, of=of, minutes=-int(-minutes // 1))

    def place(self) -> tuple[int, int]:
        """Return the number of the question within its section, from 1, and how many that section puts."""
        asked = self.asked
        if asked is None:
            return 0, 0
        of_section = [each.path for each in FIELDS if each.section == asked.section and applies(self.profile, each)]
        return of_section.index(asked.path) + 1 if asked.path in of_section else 0, len(of_section)


def begin(profile: Profile) -> Conversation:
    """Return the conversation at the first open question."""
    return Conversation(profile=profile, at=_first(profile, lambda each: not _is_answered(profile, each), FIELDS))


def is_opened(profile: Profile) -> bool:
    """Tell whether the opening questions were put, or the profile holds answers without them."""
    return profile.interviewed is not None or any(_is_answered(profile, each) for each in FIELDS)


def _is_answered(profile: Profile, asked: ProfileField) -> bool:
    return profile.answers(asked.path).asked is not None


def _first(profile: Profile, wanted: Callable[[ProfileField], bool], fields: Any) -> str | None:
    return next((each.path for each in fields if applies(profile, each) and wanted(each)), None)


def _number(path: str) -> int:
    return next(number for number, each in enumerate(FIELDS) if each.path == path)
