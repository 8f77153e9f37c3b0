"""The terminal's door to the conversation: a line editor with history, completion and the present answer to edit."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, DummyCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.defaults import create_input
from prompt_toolkit.output.defaults import create_output
from prompt_toolkit.styles import Style

from intramural.cli.output import in_colour, note
from intramural.domain.asking import ProfileField
from intramural.errors import InvalidInput
from intramural.interview.sheet import choices_of

_COMMANDS = (":back", ":skip", ":unknown", ":section", ":open", ":clear", ":why", ":help", ":quit")
_STYLE = Style.from_dict({"present": "fg:ansibrightblack", "mark": "bold fg:ansicyan"})


class Terminal:
    """Asks on the terminal, and asks again after a mistake."""

    def __init__(self) -> None:
        output = create_output(stdout=sys.stderr)
        output.enable_cpr = False  # type: ignore[attr-defined] # terminals that do not answer would be warned about
        self._session: PromptSession[str] = PromptSession(
            input=create_input(),
            output=output,
            style=_STYLE,
            history=InMemoryHistory(),
            reserve_space_for_menu=4,
            complete_while_typing=True,
        )

    def show(self, *lines: str) -> None:
        """Show *lines*."""
        note("\n".join(lines))

    def ask(self, question: str, asked: ProfileField | None, present: str) -> str:
        """Return the line that was typed; the present answer is shown until something is."""
        if present:
            self._session.history.append_string(present)
        return self._session.prompt(
            FormattedText([("class:mark", "> ")]),
            completer=_Words(asked),
            placeholder=FormattedText([("class:present", f"{present}   (Enter keeps it, Up edits it)")] if present else []),
        )

    def refuse(self, error: InvalidInput) -> None:
        """Say why, with an example."""
        words = str(error.about.get("words", error.message)).rstrip(".")
        note(
            f"  {in_colour('Not taken:', 'red')} {words}."
            + (f" {error.hint}" if error.hint and error.hint not in words else "")
        )

    def settle(self, total: float) -> str:
        """Ask what to do about shares that do not add up."""
        note(
            f"  {in_colour('The shares add up to', 'yellow')} {total:g} %."
            " n: scale them to 100 %   k: keep them   r: type them again"
        )
        choices = {"n": "normalise", "k": "keep", "r": "again"}
        while True:
            typed = (
                self._session.prompt(
                    FormattedText([("class:mark", "n/k/r> ")]), completer=DummyCompleter(), placeholder=FormattedText()
                )
                .strip()
                .lower()
            )
            if typed[:1] in choices:
                return choices[typed[:1]]


class _Words(Completer):
    """Completes the choices of a question after each separator, and the commands."""

    def __init__(self, asked: ProfileField | None) -> None:
        self._choices = choices_of(asked.kind) if asked else ()

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what begins with the word before the cursor."""
        before = document.text_before_cursor
        if before.startswith(":"):
            yield from (Completion(each, -len(before)) for each in _COMMANDS if each.startswith(before))
            return
        word = re.split(r"[,;>]\s*", before)[-1]
        if not word:
            return
        for each in self._choices:
            if each.key.startswith(word.lower()) or each.label.lower().startswith(word.lower()):
                yield Completion(each.key, -len(word), display_meta=each.label)
