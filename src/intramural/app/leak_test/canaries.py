"""
Canaries: unique marks that are planted, and every form in which one may come out again.

A canary is a Latin and a Cyrillic word. All canaries of a test begin and end alike, so that
one search finds any of them, whole or cut; the letters between tell which one it was. The
Latin word survives every escaping as it is; the Cyrillic one shows up where escaping is
all that hides it.
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

from intramural.domain.leaks import Planted

LATIN = string.ascii_letters
CYRILLIC = "".join(chr(each) for each in range(0x430, 0x450)) + "".join(chr(each) for each in range(0x410, 0x430))
END_LETTERS = 12
PLACE_LETTERS = 4


class Canary(NamedTuple):
    """One mark."""

    name: str
    """What it stands for, in words."""
    planted: Planted
    latin: str
    cyrillic: str

    @property
    def text(self) -> str:
        """What is planted where any text may stand."""
        return f"{self.latin} {self.cyrillic}"


class Needle(NamedTuple):
    """A form in which the beginning or the end of a canary may stand in bytes."""

    content: bytes
    encoding: str


@dataclass(frozen=True)
class Nest:
    """The canaries of one test."""

    latin_ends: tuple[str, str]
    cyrillic_ends: tuple[str, str]
    canaries: list[Canary]

    @classmethod
    def new(cls) -> Nest:
        """Return a nest whose ends nobody has seen before."""

        def ends(letters: str) -> tuple[str, str]:
            return _word(letters, END_LETTERS), _word(letters, END_LETTERS)

        return cls(ends(LATIN), ends(CYRILLIC), [])

    def lay(self, name: str, planted: Planted = Planted.CONTENT) -> Canary:
        """Return a new canary that stands for *name*."""
        (latin, latin_end), (cyrillic, cyrillic_end) = self.latin_ends, self.cyrillic_ends
        canary = Canary(
            name,
            planted,
            latin + _word(LATIN, PLACE_LETTERS) + latin_end,
            cyrillic + _word(CYRILLIC, PLACE_LETTERS) + cyrillic_end,
        )
        self.canaries.append(canary)
        return canary

    @cached_property
    def needles(self) -> tuple[Needle, ...]:
        """What to search for: each end of the two words in each form."""
        found: dict[bytes, Needle] = {}
        for word in (*self.latin_ends, *self.cyrillic_ends):
            for needle in forms(word):
                found.setdefault(needle.content, needle)
        return tuple(found.values())

    def which(self, window: bytes, encoding: str) -> Canary | None:
        """Tell which canary stands in *window*, in one of the forms called *encoding*; None for one that is cut too short."""
        for canary in self.canaries:
            for word in (canary.latin, canary.cyrillic):
                whole = END_LETTERS + PLACE_LETTERS
                for part in (word[:whole], word[-whole:]):
                    if any(each in window for each in _contents(part, encoding)):
                        return canary
        return None


@cache
def _contents(word: str, encoding: str) -> tuple[bytes, ...]:
    """Return what *word* is in bytes, in each of the forms called *encoding*."""
    return tuple(each.content for each in forms(word) if each.encoding == encoding)


def forms(word: str) -> Iterator[Needle]:
    """Yield *word* in every form that is searched for."""
    cases = {"": word, ", case swapped": word.swapcase(), ", lower case": word.lower(), ", upper case": word.upper()}
    for case, text in cases.items():
        for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            yield Needle(text.encode(name), name + case)
    yield Needle(word[::-1].encode(), "reversed")
    raw = word.encode()
    yield from _base64(raw)
    for name, each in (("hex", raw), ("hex of utf-16", word.encode("utf-16-le"))):
        yield Needle(each.hex().encode(), name)
        yield Needle(each.hex().upper().encode(), name)
    for name, of_byte in BYTE_FORMS.items():
        yield Needle("".join(map(of_byte, raw)).encode(), name)
    for name, of_letter in LETTER_FORMS.items():
        yield Needle("".join(map(of_letter, word)).encode(), name)


BYTE_FORMS: dict[str, Callable[[int], str]] = {
    "url": "%{:02X}".format,
    "url, lower case": "%{:02x}".format,
    "quoted-printable": "={:02X}".format,
    "python bytes": "\\x{:02x}".format,
    "octal": "\\{:03o}".format,
}
LETTER_FORMS: dict[str, Callable[[str], str]] = {
    "json": lambda letter: f"\\u{ord(letter):04x}",
    "json, upper case": lambda letter: f"\\u{ord(letter):04X}",
    "json in json": lambda letter: f"\\\\u{ord(letter):04x}",
    "xml": lambda letter: f"&#{ord(letter)};",
    "xml, hex": lambda letter: f"&#x{ord(letter):x};",
}


def _base64(raw: bytes) -> Iterator[Needle]:
    """Yield what is the same in the base 64 of any bytes that hold *raw*, for each of the three ways it may begin."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            first = -(-before * 8 // 6)
            last = (before + len(raw)) * 8 // 6
            yield Needle(encode(bytes(before) + raw)[first:last], "base64")


def _word(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))
