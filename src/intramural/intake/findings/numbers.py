"""
What a run of digits is: a card, a social security number, a national id, a phone number, or none.

A run is digits with little between them. Its groups are tried as whole groups, so that a
card beside its security code, or an id beside a date, is still seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from intramural.domain.findings import FindingKind
from intramural.intake.findings.identifiers import numeric_id
from intramural.intake.findings.phones import phone
from intramural.intake.findings.spans import Span, word_before, words

_GAP = r"[ \u00a0.\-/()+\u2010-\u2013]{0,3}"
RUN = re.compile(rf"(?<![\w.])(?:\(?\+)?\(?\d(?:{_GAP}\d){{6,63}}(?:\s?(?:x|ext\.?)\s?\d{{1,6}})?(?!\w)")
_GROUP = re.compile(r"\d+")
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\2(?:19|20)\d\d)(?!\d)"
)
_SSN_WORDS = words("ssn social_security social")
_CARD_WORDS = words("cards? cc visa mastercard maestro amex pan")
MOST_GROUPS = 8


class Group(NamedTuple):
    """Digits without a separator between them."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many digits."""
        return self.end - self.start


def in_run(run: re.Match[str]) -> Iterator[Span]:
    """Yield what a run of digits holds; spans may overlap, `settled` decides."""
    text = run.string
    groups = [Group(*each.span()) for each in _GROUP.finditer(text, run.start(), run.end())]
    taken: list[tuple[int, int]] = []
    for first in range(len(groups)):
        for last in range(first, min(len(groups), first + MOST_GROUPS)):
            span = _identified(text, groups[first : last + 1])
            if span is not None:
                taken.append((span.start, span.end))
                yield span
    taken += [each.span() for each in _DATE.finditer(text, run.start(), run.end())]
    for start, end in _free(run.start(), run.end(), taken):
        found = phone(text, start, end)
        if found is not None:
            yield found


def _free(start: int, end: int, taken: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a run that nothing has claimed."""
    for low, high in sorted(taken):
        if low > start:
            yield start, low
        start = max(start, high)
    if start < end:
        yield start, end


def _identified(text: str, groups: list[Group]) -> Span | None:
    """Return what the groups together are."""
    start, end = groups[0].start, groups[-1].end
    digits = sum(each.size for each in groups)
    if digits < 8 or digits > 19 or (len(groups) > 1 and end - start - digits > 8):
        return None
    between = {text[left.end : right.start] for left, right in pairwise(groups)}
    if digits >= 12 and len(between) <= 1 and between <= {" ", "-", "\u00a0"} and _is_card(text, groups):
        return Span(FindingKind.CARD, "luhn", start, end)
    if digits == 9 and _is_ssn(text, groups, between):
        return Span(FindingKind.SSN, "us_ssn", start, end)
    return numeric_id(text, start, end)


_ISSUERS = (
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"30[0-5]|3095|3[689]"), {14, 15, 16, 17, 18, 19}),
    (re.compile(r"6011|64[4-9]|65"), {16, 17, 18, 19}),
    (re.compile(r"35"), {16, 17, 18, 19}),
    (re.compile(r"1800|2131"), {15}),
    (re.compile(r"62|81"), {16, 17, 18, 19}),
    (re.compile(r"50|5[6-9]|6[0-9]"), {12, 13, 14, 15, 16, 17, 18, 19}),
)
"""First digits and lengths: Visa, Mastercard, Amex, Diners, Discover, JCB (as test numbers have it), UnionPay, Maestro."""

_CARD_FORMS = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 5), (4, 4, 4, 1), (6, 13), (4, 4, 4, 3), (4, 4, 4)}


def _is_card(text: str, groups: list[Group]) -> bool:
    from stdnum import luhn  # noqa: PLC0415 - few texts hold such a number

    if len(groups) > 1 and tuple(each.size for each in groups) not in _CARD_FORMS:
        return False
    digits = re.sub(r"\D", "", text[groups[0].start : groups[-1].end])
    issued = any(start.match(digits) and len(digits) in sizes for start, sizes in _ISSUERS)
    return (issued or word_before(text, groups[0].start, _CARD_WORDS)) and bool(luhn.is_valid(digits))


def _is_ssn(text: str, groups: list[Group], between: set[str]) -> bool:
    sizes = tuple(each.size for each in groups)
    start, end = groups[0].start, groups[-1].end
    if sizes == (3, 2, 4) and between == {"-"}:
        if text[end : end + 1] == "-" or text[start - 1 : start] == "-":
            return False
    elif not ((sizes == (9,) or (sizes == (3, 2, 4) and len(between) == 1)) and word_before(text, start, _SSN_WORDS)):
        return False
    digits = re.sub(r"\D", "", text[start:end])
    return digits[:3] not in {"000", "666"} and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"
