"""
The sheet as Markdown, and back: each line of it can be read again once it is filled in.

A question begins with its heading; the line below names its path. What a person fills in stands
in boxes (`- [x] bf16`, a rank in ranked ones), in rows (`- Dev/test (`dev`): 10%`) and after
`Answer:`. What is left empty changes nothing; what cannot be read is told with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from intramural.domain.answer_tables import SpreadsBy
from intramural.domain.answers import is_unknown
from intramural.domain.asking import ProfileField
from intramural.domain.profile import Profile, field_of
from intramural.domain.value import Value
from intramural.errors import InvalidInput
from intramural.interview.answering import answer, read_answer
from intramural.interview.conversation import open_with
from intramural.interview.nearest import no_such_question
from intramural.interview.sheet import Form, Sheet, SheetQuestion, choices_of, form_of, sheet_of

_INTRO = """\
Tick boxes (`[x]`; where the order counts `[1]`, `[2]`, …), fill in rows, or write after `Answer:`. Write numbers as you
say them: `2h`, `~45%`, `2-4`, `1.5 TB`, `13k`. `unknown` is an answer; what is left empty stays open. Read it back with
`intramural interview import FILE`."""
_HEADER = {
    "Name": "name",
    "Respondent (a role)": "respondent",
    "Date (YYYY-MM-DD)": "interviewed",
    "Window (days)": "window_days",
}
_NOTES = "## Notes"

_PATH = re.compile(r"^`([\w.]+)`(?: ·.*)?$")
_BOX = re.compile(r"^[-*+]\s+\[\s*([^\]\s]*)\s*\]\s*(.*)$")
_ROW = re.compile(r"^[-*+]\s+[^`]*\(`(\w+)`\)\s*:\s*(.*)$")
_ANSWER = re.compile(r"^\**answer\**\s*:\**\s*(.*)$", re.IGNORECASE)
_KEY = re.compile(r"\(`(\w+)`\)\s*$")
_TICKS = {"x", "✓", "✔", "✗", "✘", "*", "v", "y"}


class Unread(Value):
    """A line that could not be read, and why."""

    line: int
    words: str


class Reading(Value):
    """What a filled-in sheet said."""

    profile: Profile
    questions: int
    """Of the interview, found in it."""
    taken: int
    """Answers that were read."""
    unread: tuple[Unread, ...]


def write(sheet: Sheet) -> str:
    """Return the sheet as Markdown."""
    head = (sheet.name, sheet.respondent, sheet.interviewed, str(sheet.window_days))
    lines = ["# Discovery interview", "", _INTRO, ""]
    lines += [f"- {label}: {text}".rstrip() for label, text in zip(_HEADER, head, strict=True)]
    for section in sheet.sections:
        lines += ["", f"## {section.number}. {section.title} · {section.time}"]
        lines += ["", section.lead] if section.lead else []
        for question in section.questions:
            lines += ["", *_question(question)]
    return "\n".join([*lines, "", _NOTES, "", *sheet.notes.splitlines()]).rstrip("\n") + "\n"


def _question(question: SheetQuestion) -> Iterator[str]:
    marks = ["guide " + ", ".join(question.lines)] if question.lines else []
    yield f"### {question.question}"
    yield ""
    yield " · ".join([f"`{question.path}`", *marks, question.takes, question.condition or question.why])
    if question.measured:
        yield f"Measured: {question.measured}"
    yield ""
    for each in question.choices:
        named = each.label if each.label == each.key else f"{each.label} (`{each.key}`)"
        rows = question.form is Form.ROWS
        yield f"- {each.label} (`{each.key}`): {each.mark}".rstrip() if rows else f"- [{each.mark or ' '}] {named}"
    if question.choices:
        yield ""
    yield f"Answer: {question.answer}".rstrip()


def read(text: str, into: Profile | None = None) -> Reading:
    """Return what the filled-in sheet *text* says, put into the profile *into*."""
    return _Reader(into or Profile()).read(text)


class _Question:
    """What was filled in for one question, with the lines."""

    def __init__(self, asked: ProfileField) -> None:
        self.asked = asked
        self.boxes: list[tuple[int, str, str]] = []
        self.rows: list[tuple[int, str, str]] = []
        self.words: tuple[int, str] | None = None


class _Reader:
    """Goes through a sheet once, line by line."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.questions = self.taken = 0
        self.unread: list[Unread] = []
        self.question: _Question | None = None
        self.printed = {each.strip() for each in write(sheet_of(Profile())).split("\n")}

    def read(self, text: str) -> Reading:
        lines = [each.strip() for each in text.removeprefix("\ufeff").split("\n")]
        end = lines.index(_NOTES) if _NOTES in lines else len(lines)
        for number, line in enumerate(lines[:end], 1):
            self._line(number, line)
        self._close()
        notes = "\n".join(each.rstrip() for each in text.split("\n")[end + 1 :]).strip()
        if len(notes) > 20_000:
            self._miss(end + 1, "the notes are longer than 20,000 characters")
        elif notes:
            self.profile = self.profile.model_copy(update={"notes": notes})
        unread = tuple(sorted(self.unread, key=lambda each: each.line))
        return Reading(profile=self.profile, questions=self.questions, taken=self.taken, unread=unread)

    def _miss(self, line: int, words: str) -> None:
        self.unread.append(Unread(line=line, words=words))

    def _line(self, number: int, line: str) -> None:
        if line.startswith("#"):
            self._close()
        path = _PATH.match(line)
        if path:
            self._open(number, path[1])
        elif self.question is None:
            self._header(number, line)
        elif line and not self._filled(number, line, self.question):
            self._other(number, line)

    def _open(self, number: int, path: str) -> None:
        self._close()
        try:
            self.question = _Question(field_of(path))
            self.questions += 1
        except KeyError:
            self._miss(number, no_such_question(path))

    def _header(self, number: int, line: str) -> None:
        label, colon, text = line.removeprefix("- ").partition(":")
        key, text = _HEADER.get(label.strip()), text.strip()
        if not colon or key is None:
            self._other(number, line)
            return
        try:
            self.profile = _with_head(self.profile, key, text) if text else self.profile
        except InvalidInput as error:
            self._miss(number, f"{label.strip()}: {error.about.get('words', error.message)}")

    def _other(self, number: int, line: str) -> None:
        if line and line not in self.printed and not line.startswith(("#", "Measured:", "<!--")):
            self._miss(number, "not a line of the sheet; write after `Answer:`")

    def _filled(self, number: int, line: str, question: _Question) -> bool:
        words, row, box = _ANSWER.match(line), _ROW.match(line), _BOX.match(line)
        if words:
            if words[1] and question.words:
                self._miss(number, f"`{question.asked.path}`: a second answer")
            elif words[1]:
                question.words = (number, words[1])
        elif row:
            if row[2]:
                question.rows.append((number, row[1], row[2]))
        elif box:
            if box[1]:
                question.boxes.append((number, box[1], box[2]))
        else:
            return False
        return True

    def _close(self) -> None:
        question, self.question = self.question, None
        if question is None or not (question.boxes or question.rows or question.words):
            return
        line = min(each[0] for each in (*question.boxes, *question.rows, question.words or (10**9,)))
        given = self._given(question)
        if given is None:
            return
        try:
            self.profile = answer(self.profile, question.asked.path, given)
            self.taken += 1
        except InvalidInput as error:
            self._miss(line, error.message.rstrip("."))

    def _given(self, question: _Question) -> str | None:
        """Return the answer as one text; none when nothing of it could be read."""
        form = form_of(question.asked.kind)
        parts = self._rows(question) if form is Form.ROWS else self._boxes(question, form)
        if question.words and is_unknown(question.words[1]) and parts:
            self._miss(question.words[0], f"`{question.asked.path}`: unknown, and yet answered above")
        elif question.words:
            parts.append(question.words[1])
        if form is Form.ONE and len(parts) > 1:
            line = question.words[0] if question.words else question.boxes[-1][0]
            self._miss(line, f"`{question.asked.path}`: more than one answer where one is asked for")
            return None
        return {Form.ROWS: "; ", Form.RANKED: " > "}.get(form, ", ").join(parts) if parts else None

    def _rows(self, question: _Question) -> list[str]:
        parts = []
        for number, key, text in question.rows:
            row = f"{key} {text}"
            if is_unknown(text):
                row = f"{key} ?" if isinstance(question.asked.kind, SpreadsBy) else key
            try:
                read_answer(question.asked, row)
                parts.append(row)
            except InvalidInput as error:
                self._miss(number, error.message.rstrip("."))
        return parts

    def _boxes(self, question: _Question, form: Form) -> list[str]:
        known = {name: each.key for each in choices_of(question.asked.kind) for name in (each.key, each.label)}
        ticked: list[tuple[int, str]] = []
        for number, mark, label in question.boxes:
            named = _KEY.search(label)
            key = known.get(named[1] if named else label.strip())
            rank = int(mark.rstrip(".")) if mark.rstrip(".").isdecimal() else 99 if mark.lower() in _TICKS else None
            if key is None or rank is None:
                words = "no such choice" if key is None else "a box takes an x" + (" or a rank" if form is Form.RANKED else "")
                self._miss(number, f"`{question.asked.path}`: {words}")
            else:
                ticked.append((rank, key))
        return [key for _, key in sorted(ticked, key=lambda each: each[0] if form is Form.RANKED else 0)]


def _with_head(profile: Profile, key: str, text: str) -> Profile:
    if key != "interviewed":
        return open_with(profile, key, text)
    try:
        return profile.model_copy(update={"interviewed": date.fromisoformat(text)})
    except ValueError:
        raise InvalidInput("That is not a day.", hint="For example: 2026-11-24", words="write the day as 2026-11-24") from None
