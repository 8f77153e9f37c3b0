"""
What rows say about where they are from and who may use them: counted, and of licences named when SPDX lists them.

A licence that SPDX does not list may be somebody's text, so it is counted only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from intramural.domain.findings import Provenance

LICENCE_FIELDS = frozenset({"license", "licence", "license_id", "license_name", "spdx"})
ORIGIN_FIELDS = frozenset(
    {"source", "source_url", "url", "uri", "doi", "origin", "provenance", "dataset", "data_source"}
    | {"author", "authors", "creator", "publisher", "copyright", "attribution"}
)
OTHER_FIELDS = frozenset(
    {"id", "uuid", "index", "idx", "title", "name", "path", "file", "filename"}
    | {"date", "timestamp", "created_at", "lang", "language"}
)
"""They name a row without being a part of it."""
META_FIELDS = ("meta", "metadata")
"""Objects in which the fields above are looked for as well."""
MOST_LICENCES = 40
LONGEST_LICENCE = 120

_CREATIVE_COMMONS = re.compile(r"https?://(?:www\.)?creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)(?:/.*)?", re.IGNORECASE)
_WORDS = re.compile(r"\b(?:the|licen[sc]e|version)\b,?", re.IGNORECASE)


def is_about(name: str) -> bool:
    """Tell whether a field of that name tells about a row rather than being its content."""
    return name.lower() in LICENCE_FIELDS | ORIGIN_FIELDS | OTHER_FIELDS | {*META_FIELDS}


@lru_cache(maxsize=4096)
def licence_of(written: str, *, own: bool = False) -> str | None:
    """Return the SPDX expression that *written* is, or None; *own* lets `LicenseRef-NAME` pass, whose name is free text."""
    from packaging.licenses import (  # noqa: PLC0415 - few rows name a licence
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    if len(written) > LONGEST_LICENCE:
        return None
    if commons := _CREATIVE_COMMONS.fullmatch(written.strip()):
        written = f"CC-{commons[1]}-{commons[2]}"
    loose = "-".join(_WORDS.sub(" ", written).replace("_", " ").split())
    for each in (written.strip(), loose):
        try:
            found = canonicalize_license_expression(each)
        except InvalidLicenseExpression:
            continue
        if own or "licenseref" not in found.lower():
            return found
    return None


class Origins:
    """Adds up what rows say; several of them add up too."""

    def __init__(self) -> None:
        self._fields: Counter[str] = Counter()
        self._licences: Counter[str] = Counter()
        self._rows = 0
        self._known_shapes: dict[tuple[str, ...], tuple[str, ...]] = {}

    def note(self, row: Mapping[str, Any]) -> None:
        """Count one row of a source."""
        self._rows += 1
        shape = tuple(row)
        told = self._known_shapes.get(shape)
        if told is None:
            told = tuple(name for name in shape if name.lower() in LICENCE_FIELDS | ORIGIN_FIELDS or name in META_FIELDS)
            if len(self._known_shapes) < _MOST_SHAPES:
                self._known_shapes[shape] = told
        if told:
            self._count(row, told)

    def _count(self, row: Mapping[str, Any], told: Iterable[str]) -> None:
        licences = []
        for name in told:
            value = row[name]
            if name in META_FIELDS:
                inner = value if type(value) is dict else {}
                pairs = [(f"{name}.{key.lower()}", key.lower(), held) for key, held in inner.items()]
            else:
                pairs = [(name.lower(), name.lower(), value)]
            for shown, plain, held in pairs:
                if held in (None, "", [], {}) or plain not in LICENCE_FIELDS | ORIGIN_FIELDS:
                    continue
                self._fields[shown] += 1
                if plain in LICENCE_FIELDS:
                    licences.append(held)
        if licences:
            first = licences[0]
            known = licence_of(first) if type(first) is str else None
            self._licences[known if known and (known in self._licences or len(self._licences) < MOST_LICENCES) else ""] += 1

    def add(self, told: Provenance, rows: int) -> None:
        """Add what another part of the rows says."""
        self._rows += rows
        self._fields.update(told.fields)
        self._licences.update(told.licences)
        self._licences[""] += told.unknown_licences

    def provenance(self) -> Provenance:
        """Return the counts."""
        named = Counter({name: count for name, count in self._licences.items() if name})
        unknown = self._licences[""]
        told = named.total() + unknown
        return Provenance(
            fields=dict(sorted(self._fields.items())),
            licences=dict(named.most_common()),
            unknown_licences=unknown,
            without_licence=self._rows - told if told else 0,
        )


_MOST_SHAPES = 1000
