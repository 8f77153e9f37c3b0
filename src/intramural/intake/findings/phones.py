"""
Phone numbers: a number in a form that only phones have, or a plainer one beside a word that says so.

There is no checksum. `+` and the country's code, the North American 3-3-4 and a leading
zero with groups stand by themselves; other numbers of seven to twelve digits need a word.
"""

from __future__ import annotations

import re

from intramural.domain.findings import FindingKind
from intramural.intake.findings.spans import Span, words

_INTERNATIONAL = re.compile(r"\(?\+|00(?!0)[1-9]")
_NORTH_AMERICAN = re.compile(r"(?:1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}")
_EXTENSION = re.compile(r"\s?(?:x|ext\.?)\s?\d{1,6}$")
_BESIDE = words(
    "phones? telephone tel call(?:ed|ing)? mobile cell(?:phone)? fax whatsapp dial contact reach ring sms text hotline "
    "landline office handy telefon telefono téléphone móvil cellulare rufnummer extension desk"
)
_PERHAPS = words("number nummer numéro número numero nr no")
"""Says so only where no other word says what kind of number it is."""
_NOT_BESIDE = words(
    "order invoice ticket case account tracking reference ref id isbn card zip postcode postal year serial model version "
    "meter policy po claim flight booking customer contract member licen[cs]e passport driver box amount total price usd eur"
)
_GROUPS = re.compile(r"\d+")


def phone(text: str, start: int, end: int) -> Span | None:
    """Return the phone number that the run from *start* to *end* is."""
    while start < end and not (text[start].isdigit() or text[start] in "+("):
        start += 1
    while end > start and not text[end - 1].isdigit():
        end -= 1
    written = text[start:end]
    if written.count("(") != written.count(")"):
        start += len(written) - len(written.lstrip("("))
        written = text[start:end]
    body = _EXTENSION.sub("", written)
    digits = sum(map(str.isdigit, body))
    if not 7 <= digits <= 15:
        return None
    rule = _rule(text, start, body, digits)
    return Span(FindingKind.PHONE, rule, start, end) if rule else None


def _rule(text: str, start: int, body: str, digits: int) -> str | None:
    if _INTERNATIONAL.match(body) and digits >= 8:
        return "international"
    if _NORTH_AMERICAN.fullmatch(body):
        return "north_american"
    groups = [len(each) for each in _GROUPS.findall(body)]
    plausible = digits <= 12 and max(groups) <= 10 and not _is_address(body)
    if not plausible:
        return None
    before = text[max(0, start - 40) : start]
    said = max((each.end() for each in _BESIDE.finditer(before)), default=-1)
    denied = max((each.end() for each in _NOT_BESIDE.finditer(before)), default=-1)
    if said > denied or (denied < 0 and _PERHAPS.search(before)):
        return "beside_word"
    leading_zero = body.lstrip("(").startswith("0") and len(groups) > 1 and digits >= 9 and min(groups) >= 2
    return "national" if leading_zero and denied < 0 else None


def _is_address(body: str) -> bool:
    """Tell whether it is four numbers with points, as an IP address is written."""
    parts = body.split(".")
    return len(parts) == 4 and all(each.isdigit() and int(each) < 256 for each in parts)
