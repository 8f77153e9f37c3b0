"""What is done about each kind of finding: what was said, else what the data's class does."""

from __future__ import annotations

from collections.abc import Mapping

from intramural.domain.dataset import Classification
from intramural.domain.findings import IN_TEXT, WHOLE_ROW, FindingKind, Treatment
from intramural.errors import InvalidInput

Treatments = Mapping[FindingKind, Treatment]

_PUBLIC, _INTERNAL = Classification.PUBLIC, Classification.INTERNAL
_CONFIDENTIAL, _RESTRICTED = Classification.CONFIDENTIAL, Classification.RESTRICTED
_CREDENTIALS = {
    _PUBLIC: Treatment.REFUSE,
    _INTERNAL: Treatment.REFUSE,
    _CONFIDENTIAL: Treatment.MASK,
    _RESTRICTED: Treatment.MASK,
}
_NUMBERS_OF_PEOPLE = {
    _PUBLIC: Treatment.REFUSE,
    _INTERNAL: Treatment.MASK,
    _CONFIDENTIAL: Treatment.PSEUDONYMISE,
    _RESTRICTED: Treatment.PSEUDONYMISE,
}
_CONTACTS = {_PUBLIC: Treatment.MASK, _INTERNAL: Treatment.PSEUDONYMISE}
_DEFAULTS: dict[FindingKind, Mapping[Classification, Treatment]] = {
    FindingKind.SECRET: _CREDENTIALS,
    FindingKind.DENIED_TERM: _CREDENTIALS,
    **dict.fromkeys((FindingKind.CARD, FindingKind.IBAN, FindingKind.SSN, FindingKind.NATIONAL_ID), _NUMBERS_OF_PEOPLE),
    **dict.fromkeys((FindingKind.EMAIL, FindingKind.PHONE, FindingKind.IP, FindingKind.PERSON, FindingKind.ADDRESS), _CONTACTS),
}


def treatments_for(classification: Classification, said: Treatments | None = None) -> dict[FindingKind, Treatment]:
    """Return what is done about every kind: what was said, else what the class does. Raises `InvalidInput`."""
    chosen = {kind: _DEFAULTS.get(kind, {}).get(classification, Treatment.KEEP) for kind in FindingKind}
    for kind, treatment in (said or {}).items():
        if treatment not in possible(kind):
            raise InvalidInput(
                f"Findings of the kind {kind} cannot be met with {treatment}.", hint=f"One of {', '.join(possible(kind))}."
            )
        chosen[kind] = treatment
    return chosen


def least_that_takes(kind: FindingKind) -> Treatment:
    """Return what takes rows with findings of *kind* and changes them as little as can be without leaving those in."""
    return next((each for each in (Treatment.MASK, Treatment.DROP) if each in possible(kind)), Treatment.KEEP)


def possible(kind: FindingKind) -> tuple[Treatment, ...]:
    """Return what can be done about *kind*."""
    if kind in IN_TEXT:
        return tuple(Treatment)
    if kind in WHOLE_ROW:
        return (Treatment.KEEP, Treatment.DROP, Treatment.REFUSE)
    return (Treatment.KEEP, Treatment.REFUSE)
