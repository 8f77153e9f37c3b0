"""
The rules for text: a cheap anchor that hyperscan finds, and a pattern with a check that confirms it.

An anchor fires within every text that its rule can find and may fire elsewhere too. What
counts is what the pattern matches around it and the check (a checksum, a range, a word
beside it) confirms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

from intramural.domain.findings import FindingKind
from intramural.intake.findings.identifiers import ANCHORS, ids_with_letters
from intramural.intake.findings.numbers import RUN, in_run
from intramural.intake.findings.spans import Span, word_before, words
from intramural.intake.findings.unwelcome import HIDDEN, HIDDEN_ANCHOR, INJECTION, INJECTION_ANCHORS


class Rule(NamedTuple):
    """How one kind of text is found."""

    name: str
    anchors: tuple[bytes, ...]
    """For hyperscan, over UTF-8: each fires with its end inside, or at the end of, what the pattern matches."""
    pattern: re.Pattern[str]
    confirm: Callable[[re.Match[str]], Iterable[Span]]
    back: int
    """How many characters before the anchor's end the match may begin,"""
    ahead: int = 128
    """and how many after it it may end."""


def _whole(kind: FindingKind, name: str) -> Callable[[re.Match[str]], Iterator[Span]]:
    def confirm(match: re.Match[str]) -> Iterator[Span]:
        yield Span(kind, name, match.start(), match.end())

    return confirm


_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_URL = re.compile(r"(?<!\w)(?:(?:https?|ftp|wss?)://|www\.(?=\w))[^\s<>\"'`\\^{|}\x00]{3,2048}", re.IGNORECASE)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_IPV4 = re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])")
_VERSION_WORDS = words("v version versions ver release build firmware oid section chapter software patch update upgrade")
_NETWORK_WORDS = words("ip ipv4 address addresses host hosts server dns ping subnet gateway router node network")
_WELL_KNOWN = {"1.1.1.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "4.4.4.4"}


def _url(match: re.Match[str]) -> Iterator[Span]:
    end = match.start() + len(match[0].rstrip(".,;:!?)]*"))
    if end - match.start() > 8:
        yield Span(FindingKind.URL, "url", match.start(), end)


def _iban(match: re.Match[str]) -> Iterator[Span]:
    """Yield the longest beginning of the match, up to a gap or its end, whose checksum holds."""
    from stdnum import iban  # noqa: PLC0415 - few texts hold such a number

    written = match[0]
    for end in [len(written), *(each.start() for each in reversed([*re.finditer("[ -]", written)]))]:
        if end >= 15 and iban.is_valid(written[:end].replace("-", "")):
            yield Span(FindingKind.IBAN, "iban", match.start(), match.start() + end)
            return


def _ipv4(match: re.Match[str]) -> Iterator[Span]:
    written, text, start = match[0], match.string, match.start()
    if word_before(text, start, _VERSION_WORDS, reach=12):
        return
    one_digit_each = len(written) == 7
    if one_digit_each and written not in _WELL_KNOWN and not word_before(text, start, _NETWORK_WORDS, reach=30):
        return
    yield Span(FindingKind.IP, "ipv4", start, match.end())


def _ipv6(match: re.Match[str]) -> Iterator[Span]:
    written = match[0]
    if sum(map(str.isalnum, written)) < 3:
        return
    try:
        IPv6Address(written)
    except AddressValueError:
        return
    yield Span(FindingKind.IP, "ipv6", match.start(), match.end())


def _injection(match: re.Match[str]) -> Iterator[Span]:
    yield Span(FindingKind.PROMPT_INJECTION, match.lastgroup or "phrase", match.start(), match.end())


def _with_letters(match: re.Match[str]) -> Iterator[Span]:
    yield from ids_with_letters(match.string, match.start(), match.end())


_PASSWORD = re.compile(
    r"(?<![A-Za-z])(?:pass(?:word|wd|phrase|code)?|pwd|secret|api[_ -]?key|access[_ -]?key)(?:\s+is)?[\"']?\s*(?:=|:=?|=>)\s*"
    r"(?:\"(?P<double>[^\"\s]{4,128})\"|'(?P<single>[^'\s]{4,128})'|(?P<bare>[^\s\"',;<>(){}\[\]$%]{6,128}))",
    re.IGNORECASE,
)


def _password(match: re.Match[str]) -> Iterator[Span]:
    """Yield the value that a word such as `password` is set to; a plain word without quotes is prose."""
    group = match.lastgroup or "bare"
    value = match[group].rstrip(".")
    mixed = sum((any(map(str.isdigit, value)), any(map(str.isupper, value)), not value.isalnum())) > 0 and not value.istitle()
    if (group != "bare" or mixed) and value.strip("*x.•_-"):
        yield Span(FindingKind.SECRET, "password", match.start(group), match.start(group) + len(value))


RULES = (
    Rule("email", (rb"@[A-Za-z0-9\x80-\xff]",), _EMAIL, _whole(FindingKind.EMAIL, "email"), 67, 400),
    Rule("url", (rb"(?i)[a-z]://[^\s]", rb"(?i)www\.[a-z0-9]"), _URL, _url, 12, 2100),
    Rule("number", (rb"[0-9](?:[ ().+/\-\x80-\xff]{0,4}[0-9]){6}",), RUN, in_run, 48, 320),
    Rule("iban", (rb"[A-Za-z]{2}[0-9]{2}[ \-]?[A-Za-z0-9]{4}[ \-]?[A-Za-z0-9]{4}",), _IBAN, _iban, 20),
    Rule("ipv4", (rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",), _IPV4, _ipv4, 16),
    Rule("ipv6", (rb"[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]", rb"::[0-9A-Fa-f]"), _IPV6, _ipv6, 46),
    Rule("national_id", ANCHORS, re.compile(r"(?<![\w.-])[A-Za-z0-9][A-Za-z0-9.+ -]{6,40}"), _with_letters, 28),
    Rule("password", (rb"(?i)(?:pass|pwd|secret|key)[a-z]{0,6}(?: is)?[\"']? ?[=:]",), _PASSWORD, _password, 40, 300),
    Rule("injection", INJECTION_ANCHORS, INJECTION, _injection, 80, 200),
    Rule("hidden", (HIDDEN_ANCHOR,), HIDDEN, _whole(FindingKind.HIDDEN_TEXT, "invisible"), 8, 4096),
)
