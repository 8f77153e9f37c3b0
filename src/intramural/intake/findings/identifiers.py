"""
National ids by their own checksums, which python-stdnum knows.

A scheme whose checksum and form are strong stands by itself. One that a tenth or a
hundredth of all numbers would pass needs a word beside it that names it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from intramural.domain.findings import FindingKind
from intramural.intake.findings.spans import Span, word_before, words

WORD_REACH = 60


class Scheme(NamedTuple):
    """One country's id."""

    name: str
    form: re.Pattern[str]
    """Of the number as it is written, separators included."""
    module: str
    """Of python-stdnum, which checks it."""
    beside: re.Pattern[str] | None
    """Words of which one must stand before it; none where the checksum is enough."""


def _scheme(module: str, form: str, beside: str = "") -> Scheme:
    return Scheme(module.replace(".", "_").replace("in__", "in_"), re.compile(form), module, words(beside) if beside else None)


NUMERIC = (
    _scheme("fr.nir", r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d\d ?\d{3} ?\d{3} ?\d\d"),
    _scheme("be.nn", r"\d\d\.?[0-4]\d\.?[0-3]\d-?\d{3}\.?\d\d"),
    _scheme("br.cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d"),
    _scheme("br.cpf", r"\d{11}", "cpf"),
    _scheme("br.cnpj", r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d\d"),
    _scheme("ch.ssn", r"756\.?\d{4}\.?\d{4}\.?\d\d"),
    _scheme("cn.ric", r"[1-8]\d{5}(?:19|20)\d\d[01]\d[0-3]\d{4}[\dX]?"),
    _scheme("kr.rrn", r"\d{6}-[1-8]\d{6}"),
    _scheme("ro.cnp", r"[1-9]\d\d[01]\d[0-3]\d{7}"),
    _scheme("si.emso", r"[0-3]\d[01]\d[09]\d{8}"),
    _scheme("no.fodselsnummer", r"[0-7]\d[014-9]\d\d\d ?\d{5}"),
    _scheme("cz.rc", r"\d\d[0-8]\d[0-3]\d/\d{3,4}"),
    _scheme("za.idnr", r"\d\d[01]\d[0-3]\d ?\d{4} ?[01]\d\d", "id_number identity id said"),
    _scheme("se.personnummer", r"(?:19|20)?\d\d[01]\d[0-9]\d[-+]\d{4}"),
    _scheme("us.itin", r"9\d\d-[5-9]\d-\d{4}", "itin taxpayer tax"),
    _scheme("in_.aadhaar", r"[2-9]\d{3} ?\d{4} ?\d{4}", "aadhaar aadhar uidai uid"),
    _scheme("ca.sin", r"\d{3}[ -]?\d{3}[ -]?\d{3}", "sin social_insurance nas"),
    _scheme("au.tfn", r"\d{3} ?\d{3} ?\d{2,3}", "tfn tax_file"),
    _scheme("nl.bsn", r"\d{4}\.?\d{2}\.?\d{3}", "bsn burgerservicenummer sofi"),
    _scheme("de.idnr", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}", "steuer_?id steueridentifikationsnummer idnr tin"),
    _scheme("gb.nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", "nhs"),
    _scheme("pl.pesel", r"\d{11}", "pesel"),
    _scheme("tr.tckimlik", r"[1-9]\d{10}", "tc kimlik tckn"),
    _scheme("dk.cpr", r"[0-3]\d[01]\d\d\d-?\d{4}", "cpr personnummer"),
    _scheme("bg.egn", r"\d{10}", "egn егн"),
    _scheme("ee.ik", r"[1-8]\d{10}", "isikukood ik personal_code"),
    _scheme("lt.asmens", r"[1-9]\d{10}", "asmens_kodas personal_code"),
    _scheme("lv.pk", r"\d{6}-?\d{5}", "personas_kods"),
    _scheme("hr.oib", r"\d{11}", "oib"),
    _scheme("il.idnr", r"\d{9}", "teudat_zehut israeli_id"),
)

_NINO = r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"

WITH_LETTERS = (
    _scheme("es.dni", r"\d{8}-?[A-HJ-NP-TV-Z]"),
    _scheme("es.nie", r"[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]"),
    _scheme("it.codicefiscale", r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]"),
    _scheme("mx.curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z\d]\d"),
    _scheme("fi.hetu", r"[0-3]\d[01]\d{3}[-+A]\d{3}[0-9A-Y]"),
    _scheme("ie.pps", r"\d{7}[A-W][AHW]?", "pps ppsn"),
    _scheme("in_.pan", r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]", "pan permanent_account"),
    _scheme("cl.rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dK]"),
    Scheme("gb_nino", re.compile(_NINO), "", None),
)
"""The last has no checksum; its letters make it rare enough."""

ANCHORS = (
    rb"[0-9]{7}-?[A-Za-z]",
    rb"[A-Za-z]{4}[0-9]{2}[A-Za-z0-9]{2}[0-9A-Za-z]",
    rb"[0-9]{6}[-+A][0-9]{3}[0-9A-Y]",
    rb"[A-Z]{5}[0-9]{4}[A-Z]",
    rb"[0-9]\.[0-9]{3}\.[0-9]{3}-[0-9K]",
    rb"[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
)
"""What every id with letters holds; `Rule.anchor` says what for."""

_TOKEN = re.compile(r"(?<![\w.-])(?:[A-Z]{2}(?: ?\d\d){3} ?[A-D]|[A-Za-z0-9]+(?:[.+-][A-Za-z0-9]+){0,4})(?!\w)")


def is_valid(scheme: Scheme, number: str) -> bool:
    """Tell whether the checksum of *scheme* holds."""
    if not scheme.module:
        return number[:2] not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}
    return bool(importlib.import_module(f"stdnum.{scheme.module}").is_valid(number))


def numeric_id(text: str, start: int, end: int) -> Span | None:
    """Return the id that the digits from *start* to *end* are, separators included."""
    number = text[start:end]
    for scheme in NUMERIC:
        if not scheme.form.fullmatch(number):
            continue
        if scheme.beside is not None and not word_before(text, start, scheme.beside, WORD_REACH):
            continue
        if is_valid(scheme, number):
            return Span(FindingKind.NATIONAL_ID, scheme.name, start, end)
    return None


def ids_with_letters(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the ids with letters that begin between *start* and *end*."""
    for token in _TOKEN.finditer(text, start, end):
        written = token[0].upper()
        for scheme in WITH_LETTERS:
            if not scheme.form.fullmatch(written):
                continue
            beside = scheme.beside
            if (beside is None or word_before(text, token.start(), beside, WORD_REACH)) and is_valid(scheme, written):
                yield Span(FindingKind.NATIONAL_ID, scheme.name, token.start(), token.end())
                break
