"""
What is done to a text: spans give way to masks, or to surrogates that are the same for the same value.

A surrogate is 32 bits of an HMAC of the value, written so that it cannot be taken for one.
Who has no key cannot tell which value it stands for, not even by trying all of them.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from intramural.domain.findings import FindingKind, Treatment
from intramural.intake.findings.spans import Span, clusters

_SEPARATORS = re.compile(r"[\s().\-+/\u2010-\u2013]")
_NUMBERS = {FindingKind.CARD, FindingKind.IBAN, FindingKind.SSN, FindingKind.NATIONAL_ID, FindingKind.PHONE}
CHANGES = {Treatment.MASK, Treatment.PSEUDONYMISE}


def surrogate(kind: FindingKind, value: str, key: bytes) -> str:
    """Return what stands for *value*: `<EMAIL_1a2b3c4d>`. However a number is grouped, it is the same number."""
    plain = _SEPARATORS.sub("", value).upper() if kind in _NUMBERS else value.casefold()
    mark = hmac.new(key, f"{kind}\0{plain}".encode("utf-8", "surrogatepass"), sha256).hexdigest()[:8]
    return f"<{kind.upper()}_{mark}>"


def redacted(
    text: str, spans: Iterable[Span], treatments: Mapping[FindingKind, Treatment], key: bytes
) -> tuple[str, list[Span]]:
    """Return *text* with the spans replaced that are to be changed, and those spans; where they overlap, the longest wins."""
    changing = (each for each in spans if treatments[each.kind] in CHANGES)
    chosen = [each for group in clusters(changing) for each in (_apart(group) if len(group) > 1 else group)]
    parts: list[str] = []
    at = 0
    for span in chosen:
        masks = treatments[span.kind] is Treatment.MASK
        value = text[span.start : span.end]
        parts += [text[at : span.start], f"<{span.kind.upper()}>" if masks else surrogate(span.kind, value, key)]
        at = span.end
    return "".join((*parts, text[at:])), chosen


def _apart(group: list[Span]) -> list[Span]:
    """Return spans that do not overlap and cover what *group* covers: the longest whole, of others what is left."""
    chosen: list[Span] = []
    for span in sorted(group, key=lambda each: (each.start - each.end, each.start)):
        start, end = span.start, span.end
        for other in chosen:
            if other.start <= start < other.end:
                start = other.end
            if other.start < end <= other.end:
                end = other.start
        if start < end:
            chosen.append(span._replace(start=start, end=end))
    return sorted(chosen, key=lambda each: each.start)
