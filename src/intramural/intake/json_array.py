"""Elements of one JSON array, read through a window of one block or one element, with the line each begins on."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

from intramural.domain.dataset import Fault
from intramural.errors import InvalidInput
from intramural.intake.bounds import BLOCK_BYTES, MAX_LINE_BYTES, Row

_WHITE = re.compile(r"[ \t\r\n]*")
_NEAR_END = 16
"""Characters: an error this close to the window's end may only mean that the element goes on."""


def array_rows(blocks: Iterator[bytes], name: str) -> Iterator[Row]:
    """Yield the elements; raise `InvalidInput` at a fault, because nothing behind it can be trusted."""
    array = _Array(blocks, name)
    array.expect("[")
    if array.peek() == "]":
        return
    while True:
        yield array.element()
        if array.expect(",]") == "]":
            return


class _Array:
    """A window that moves over the text of an array."""

    def __init__(self, blocks: Iterator[bytes], name: str) -> None:
        self._blocks = blocks
        self._name = name
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._line = 1
        self._constant = False
        self._decoder = json.JSONDecoder(parse_constant=self._note_constant)

    def peek(self) -> str:
        """Move up to the next character that is not white space, and return it."""
        while True:
            white = _WHITE.match(self._text, self._at)
            self._move(white.end() if white else self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._grow(BLOCK_BYTES):
                raise self._broken("ends before the array does")

    def expect(self, characters: str) -> str:
        """Return the next character, which must be one of *characters*, and move past it."""
        found = self.peek()
        if found not in characters:
            raise self._broken("is not JSON")
        self._move(self._at + 1)
        return found

    def element(self) -> Row:
        """Return the next element and the line it begins on."""
        self.peek()
        line, wanted = self._line, BLOCK_BYTES
        while True:
            self._constant = False
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if end < len(self._text):
                    break
            except json.JSONDecodeError as error:
                goes_on = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _NEAR_END
                if not goes_on or len(self._text) - self._at > MAX_LINE_BYTES:
                    raise self._broken("holds something that is not JSON, or too long") from None
            except RecursionError:
                raise self._broken("is nested too deeply") from None
            if not self._grow(wanted):
                raise self._broken("ends before the array does")
            wanted *= 2
        self._move(end)
        if self._constant:
            return line, Fault(line=line, reason="holds NaN or Infinity, which JSON does not know")
        return line, value if type(value) is dict else Fault(line=line, reason="not a JSON object")

    def _note_constant(self, name: str) -> None:
        self._constant = True

    def _move(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

    def _grow(self, wanted: int) -> bool:
        """Read on by about *wanted* bytes; tell whether there was anything."""
        parts = [self._text[self._at :]]
        while wanted > 0 and (block := next(self._blocks, b"")):
            try:
                parts.append(self._decode(block))
            except UnicodeDecodeError:
                raise self._broken("is not UTF-8") from None
            wanted -= len(block)
        self._text, self._at = "".join(parts), 0
        return len(parts) > 1

    def _broken(self, what: str) -> InvalidInput:
        return InvalidInput(
            f"{self._name} {what} (the element at line {self._line}).",
            hint="A JSON array cannot be read past a fault; mend it, or write one JSON object per line.",
            line=self._line,
        )
