"""
The conversation of `intramural interview`: what is shown, what the person may say, and a saved file after every answer.

`Talk` holds it through a door: a terminal, or the lines of a pipe. Questions are written to
standard error, so that standard output is free for the one document of `--json`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Protocol

from intramural.cli import interrupts
from intramural.cli.exit_codes import ExitCode
from intramural.cli.output import in_colour, note, printable
from intramural.domain.answers import is_unknown
from intramural.domain.asking import ProfileField
from intramural.domain.profile import Profile
from intramural.errors import InvalidInput
from intramural.interview.answering import shares_that_do_not_add_up, without_answer, written
from intramural.interview.conversation import OPENING, Conversation, Opening, begin, is_opened, open_with
from intramural.interview.given import with_numbers
from intramural.interview.guide import guide
from intramural.interview.profile_file import save
from intramural.interview.sheet import choices_of, measured_of

HELP = """\
  Write the answer, or the number of a choice. Numbers as you say them: 2h, ~45%, 2-4, 1.5 TB, 13k; `=2h` is exact.
  Enter        go on; an open question stays open      :back         the question before
  ? :unknown   don't know, which is an answer too      :section N    to section N, 0 to 5
  :skip        go on and leave it open                 :open         to the first open question
  :clear       take the answer away                    :why          why this is asked
  :quit        leave; everything is saved              :help         this"""


class Quit(Exception):
    """The person leaves."""


class Door(Protocol):
    """Where questions are put and answers come from."""

    def show(self, *lines: str) -> None:
        """Show lines, where someone reads along."""

    def ask(self, question: str, asked: ProfileField | None, present: str) -> str:
        """Return the next line. Raises `EOFError` when there are no more."""

    def refuse(self, error: InvalidInput) -> None:
        """Say why the last line was not taken; raises where nobody can answer again."""

    def settle(self, total: float) -> str:
        """Return what to do about shares that add up to *total*: `normalise`, `keep` or `again`."""


class Talk:
    """One conversation about one file."""

    def __init__(self, file: Path, profile: Profile, door: Door, *, today: date) -> None:
        self.file = file
        self.door = door
        self.today = today
        self.talk = begin(profile)
        self.section: int | None = None
        self.shown: str | None = None
        """The question on the screen; a mistake does not show it again."""

    @property
    def profile(self) -> Profile:
        """What has been answered."""
        return self.talk.profile

    def hold(self, section: int | None = None) -> int:
        """Ask until the end or until the person leaves; return the exit code."""
        code = ExitCode.OK
        try:
            self._open()
            self.talk = self.talk if section is None else self.talk.to_section(section)
            while not self._is_over():
                self._put()
        except (EOFError, Quit):
            pass
        except KeyboardInterrupt:
            interrupts.end()
            code = ExitCode.INTERRUPTED
        self._close()
        return code

    def _save(self, talk: Conversation) -> None:
        if talk.profile != self.profile:
            save(self.file, talk.profile)
        self.talk = talk

    def _open(self) -> None:
        """Ask what is asked once."""
        if is_opened(self.profile):
            if self.profile.name:
                self.door.show(f"\n{printable(self.profile.name)}, {self._left_in_all()}. :help tells what you can type.")
            return
        self.door.show("", in_colour("The discovery interview", "bold") + ": six sections, about an hour. Everything is saved")
        self.door.show("at once; leave when you like and go on later. :help tells what you can type.")
        for each in OPENING:
            while not self._opened(each):
                pass
        self._save(Conversation(profile=self.profile.model_copy(update={"interviewed": self.today}), at=self.talk.at))

    def _opened(self, opening: Opening) -> bool:
        present = str(getattr(self.profile, opening.key))
        self.door.show("", in_colour(opening.question, "bold"), in_colour(f"  For example: {opening.example}", "dim"))
        text = self.door.ask(opening.question, None, present).strip()
        try:
            if text.startswith(":"):
                self._opening_command(text)
                return text.startswith((":s", ":u"))
            profile = self.profile if is_unknown(text) else open_with(self.profile, opening.key, text)
            self._save(self.talk.model_copy(update={"profile": profile}))
        except InvalidInput as error:
            self.door.refuse(error)
            return False
        return True

    def _opening_command(self, text: str) -> None:
        if text.startswith(":q"):
            raise Quit
        if not text.startswith((":s", ":u")):
            self.door.show(HELP)

    def _put(self) -> None:
        """Put one question and take one line."""
        asked = self.talk.asked
        if asked is None:
            raise Quit
        if asked.path != self.shown:
            self._show(asked)
            self.shown = asked.path
        said = self.profile.answers(asked.path).asked
        present = printable(written(asked, said)) if said else ""
        text = self.door.ask(asked.question, asked, present).strip()
        try:
            self._take(asked, text)
        except InvalidInput as error:
            self.door.refuse(error)

    def _take(self, asked: ProfileField, text: str) -> None:
        if text.startswith(":"):
            self._command(text)
        elif not text:
            self.talk = self.talk.skip()
        else:
            after = self.talk.answered(with_numbers(asked.kind, text))
            total = shares_that_do_not_add_up(after.profile).get(asked.path)
            choice = "keep" if total is None or after.profile == self.profile else self.door.settle(total)
            if choice != "again":
                self._save(self.talk.answered(with_numbers(asked.kind, text), normalise=choice == "normalise"))

    def _command(self, text: str) -> None:
        word, _, rest = text[1:].strip().partition(" ")
        commands: dict[str, Callable[[], None]] = {
            "back": lambda: self._go(self.talk.back()),
            "skip": lambda: self._go(self.talk.skip()),
            "unknown": lambda: self._save(self.talk.unknown()),
            "section": lambda: self._go(self.talk.to_section(_number(rest))),
            "open": lambda: self._go(self.talk.to_open()),
            "clear": self._clear,
            "why": self._why,
            "help": lambda: self.door.show(HELP),
            "quit": self._quit,
        }
        found = [each for each in commands if word and each.startswith(word.lower())]
        if len(found) != 1:
            raise InvalidInput(
                f"`:{word}` is no command.",
                hint=":" + ", :".join(found or commands),
                words=f"type one of :{', :'.join(found or commands)}",
            )
        commands[found[0]]()

    def _go(self, talk: Conversation) -> None:
        self.section, self.shown = self.section if talk.at != self.talk.at else None, None
        self.talk = talk

    def _clear(self) -> None:
        if self.talk.at:
            self._save(self.talk.model_copy(update={"profile": without_answer(self.profile, self.talk.at)}))

    def _why(self) -> None:
        asked = self.talk.asked
        if asked:
            lines = [f"  guide {each}: {guide().lines[each]}" for each in asked.guide]
            self.door.show(f"  {asked.why}", *lines)

    def _quit(self) -> None:
        raise Quit

    def _is_over(self) -> bool:
        """At the end of the questions, ask what is next; true when nothing more is."""
        if self.talk.at is not None:
            return False
        left = self.talk.left().questions
        if left:
            self.door.show(
                "", f"That was the last question; {_questions(left)} still open. :open goes to the first; Enter ends."
            )
        else:
            self.door.show("", "Every question is answered. Enter ends; :back and :section N go back.")
        text = self.door.ask("", None, "").strip()
        if not text:
            return True
        try:
            self._command(text if text.startswith(":") else f":{text}")
        except InvalidInput as error:
            self.door.refuse(error)
        return False

    def _close(self) -> None:
        left = self.talk.left().questions
        if left:
            note(f"\nSaved in {self.file}; {_questions(left)} still open. Go on with: intramural interview {self.file}")
        else:
            note(f"\nSaved in {self.file}. Next: intramural report --profile {self.file}")

    def _show(self, asked: ProfileField) -> None:
        if asked.section != self.section:
            self._show_section(asked.section)
        number, of = self.talk.place()
        measured = measured_of(self.profile, asked)
        wide = max((len(each.key) for each in choices_of(asked.kind)), default=0)
        self.door.show(
            "",
            in_colour(f"{number} of {of}", "cyan") + in_colour(f" · {self._left_in_all()} · :help", "dim"),
            in_colour(asked.question, "bold"),
            in_colour(f"  {asked.why}", "dim"),
            *([in_colour(f"  measured: {printable(measured)}", "cyan")] if measured else []),
            *(
                f"  {n:>2}  {each.key.ljust(wide)}  {in_colour(each.label, 'dim')}"
                for n, each in enumerate(choices_of(asked.kind), 1)
            ),
            in_colour(f"  For example: {asked.kind.example}", "dim"),
        )

    def _show_section(self, number: int) -> None:
        self.section = number
        section, left = guide().sections[number], self.talk.left(number)
        title = f"── {number}  {section.title} "
        rest = f" {section.time} · {_questions(left.questions)} left ──"
        line = title + "─" * max(2, min(shutil.get_terminal_size().columns, 100) - len(title) - len(rest)) + rest
        self.door.show("", in_colour(line, "cyan"), *([section.lead] if section.lead else []))

    def _left_in_all(self) -> str:
        left = self.talk.left()
        return f"{_questions(left.questions)} left in all, about {left.minutes} min"


def _questions(count: int) -> str:
    return f"{count} question{'' if count == 1 else 's'}"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 else -1


class Lines:
    """A pipe: one answer a line, in the order of the questions; the first line that cannot be read ends it."""

    def __init__(self, *, normalise: bool) -> None:
        self.normalise = normalise
        self.line = 0

    def show(self, *lines: str) -> None:
        """Show nothing; `ask` names the question."""

    def ask(self, question: str, asked: ProfileField | None, present: str) -> str:
        """Return the next line of standard input."""
        content = sys.stdin.buffer.readline()
        if not content:
            raise EOFError
        self.line += 1
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput(f"standard input, line {self.line}: this is not UTF-8 text.", hint="Send UTF-8.") from None
        if question:
            note(f"{self.line}: {asked.path + ': ' if asked else ''}{question}")
        return text

    def refuse(self, error: InvalidInput) -> None:
        """End the conversation with the line that was not taken."""
        message = f"standard input, line {self.line}: {error.message}"
        raise InvalidInput(message, hint=error.hint, line=self.line) from error

    def settle(self, total: float) -> str:
        """Scale the shares if that was asked for; else keep them and say so."""
        note(
            f"line {self.line}: the shares add up to {total:g} %; "
            + ("scaled to 100 %." if self.normalise else "kept as given.")
        )
        return "normalise" if self.normalise else "keep"
