"""
The proof that a shredding destroyed what it says: everything here can fail, and then there is no certificate.

What a key was is kept in this process until the proof is done: its wrapped form, which its provider must
not open any more and which must be in no byte of the database. For a call that completes one that was
killed, random bytes that the provider's own key had wrapped (the probe) stand in for it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from intramural.domain.dataset import DatasetVersion
from intramural.domain.keys import DestroyedKey, KeyState, ScopeKeyRecord, ShredCheck, ShreddedObject, WrappedKey
from intramural.domain.value import Digest
from intramural.errors import IntegrityFailure, Unavailable
from intramural.sealing import Keyring, ScopeKey, SealContext, is_sealed, key_id_of, open_sealed
from intramural.service.context import Context
from intramural.service.scope_keys import HOLDOUT, INDEX, TRAIN, open_key, place_of, provider_of
from intramural.vault.remains import found_in

DATABASE_FILES = ("intramural.db", "intramural.db-wal", "intramural.db-journal")
"""Of the home: the database and its logs."""
TAIL_LETTERS = 64
"""The end of a wrapped key, where the secret is; the beginning may be the same for every key of a provider."""
SECRET_BYTES = 32
UNWRAP = "its wrapped form, given to its provider"
PROBE = "random bytes that the same provider's key had wrapped, given to its provider"
SEARCH = "its wrapped form, looked for in every byte of the database and its log"
SHARED = "not provable here: the wrapping key is shared; what was destroyed is every wrapped copy in the database and its log"
REFUSED = "refused; it opened before"
REFUSED_BEFORE = "refused; it did not open before either"
NOT_AT_HAND = "not tried: an earlier call that was interrupted had erased it; the provider says that its key is gone"

SEARCHED_BY_NAME = "not there under the key's name; its bytes were not at hand any more"


@dataclass(frozen=True)
class Trial:
    """A key that was destroyed, with what it was before, as far as this process knows it."""

    record: ScopeKeyRecord
    """As it was before its end; in one that an earlier call destroyed, the wrapped body is empty."""
    probe: WrappedKey | None
    opened: bool
    """Its provider opened it just before."""


class Proof(NamedTuple):
    """What was tried, and what of it failed."""

    keys: tuple[DestroyedKey, ...]
    objects: tuple[ShreddedObject, ...]
    problems: tuple[str, ...]


def try_before(ctx: Context, record: ScopeKeyRecord) -> Trial:
    """
    See that an own key opens before its end, and have it wrap a probe.

    A provider that is away, or does not open it, does not hold up its end. Raises `IntegrityFailure` for a key of a
    provider that is not the one that is set.
    """
    if record.state is KeyState.DESTROYED or not record.wrapped.own:
        return Trial(record, record.probe, opened=False)
    provider = provider_of(ctx, record)
    try:
        open_key(ctx, record)
        if not provider.describe().own_keys or provider.own_key(record.id) != record.wrapped.key:
            return Trial(record, None, opened=True)  # asking it would make another key
        probe = provider.wrap(secrets.token_bytes(SECRET_BYTES), place_of(record), own=record.id)
        provider.unwrap(probe, place_of(record))
    except (IntegrityFailure, Unavailable):
        return Trial(record, None, opened=False)
    return Trial(record, probe, opened=True)


def tried_now(before: Trial | None, record: ScopeKeyRecord) -> Trial:
    """Return what is known of a key as its end finds it: it may have been wrapped anew, or made, since it was tried."""
    return Trial(record, None, opened=False) if before is None else replace(before, record=record)


def prove(ctx: Context, trials: Sequence[Trial], versions: Iterable[DatasetVersion]) -> Proof:
    """
    Destroy the providers' own keys and try everything that could still open the data.

    Raises `Unavailable` while the provider, the vault or the database's files are away; safe to repeat.
    """
    found = [_prove_key(ctx, each) for each in trials]
    keyring = Keyring(each for key in found for each in key.obtained)
    objects = [_prove_object(ctx, each, keyring, {each.record.id for each in trials}) for each in _objects(versions)]
    return Proof(
        keys=tuple(each.key for each in found),
        objects=tuple(shredded for shredded, _ in objects),
        problems=(*(problem for each in found for problem in each.problems), *(problem for _, problem in objects if problem)),
    )


class _KeyProof(NamedTuple):
    key: DestroyedKey
    problems: list[str]
    obtained: list[ScopeKey]
    """What could be unwrapped in spite of it all."""


def _prove_key(ctx: Context, trial: Trial) -> _KeyProof:
    record = trial.record
    gone = record.wrapped.own and provider_of(ctx, record).destroy(record.wrapped)
    checks, problems, obtained = _try_own(ctx, trial, gone) if record.wrapped.own else ([], [], [])
    if not record.wrapped.own:
        checks.append(ShredCheck(tried=UNWRAP, result=SHARED))
    left, result = _left_copies(ctx, record)
    checks.append(ShredCheck(tried=SEARCH, result=result))
    for each in left:
        problems.append(f"{each.name} still holds the wrapped form of key {record.id}")
        if each.wrapped is not None and (secret := _unwrapped(ctx, record, each.wrapped)) is not None:
            obtained.append(ScopeKey(record.id, secret))
    key = DestroyedKey(
        id=record.id,
        provider=record.wrapped.provider,
        provider_key=record.wrapped.key,
        version=record.wrapped.version,
        own=record.wrapped.own,
        provider_destroyed=gone,
        checks=tuple(checks),
    )
    return _KeyProof(key, problems, obtained)


def _try_own(ctx: Context, trial: Trial, gone: bool) -> tuple[list[ShredCheck], list[str], list[ScopeKey]]:
    """Give a provider that says it destroyed a key what that key had wrapped; return checks, problems and what opened."""
    record, wrapped = trial.record, trial.record.wrapped
    checks, problems, obtained = list[ShredCheck](), list[str](), list[ScopeKey]()
    if not gone:
        problems.append(f"the provider {wrapped.provider} still has {wrapped.key}, the own key of {record.id}")
    if not wrapped.body and trial.probe is None:
        checks.append(ShredCheck(tried=UNWRAP, result=NOT_AT_HAND))
    if wrapped.body:
        if (secret := _unwrapped(ctx, record, wrapped)) is not None:
            problems.append(f"the provider {wrapped.provider} still opens key {record.id}")
            obtained.append(ScopeKey(record.id, secret))
        checks.append(ShredCheck(tried=UNWRAP, result=REFUSED if trial.opened else REFUSED_BEFORE))
    if trial.probe is not None:
        if _unwrapped(ctx, record, trial.probe) is not None:
            problems.append(
                f"the provider {wrapped.provider} still opens what {wrapped.key}, the own key of {record.id}, wrapped"
            )
        checks.append(ShredCheck(tried=PROBE, result=REFUSED))
    return checks, problems, obtained


def _unwrapped(ctx: Context, record: ScopeKeyRecord, wrapped: WrappedKey) -> bytes | None:
    """Return what a provider still opens; none where it refuses. Raises `Unavailable` where it is away."""
    provider = provider_of(ctx, record)
    try:
        return provider.unwrap(wrapped, place_of(record))
    except IntegrityFailure:
        return None
    except Unavailable:
        if not provider.describe().available:
            raise  # silence proves nothing
        return None


class _Copy(NamedTuple):
    name: str
    """Of the file."""
    wrapped: WrappedKey | None
    """None where it is not whole."""


def _left_copies(ctx: Context, record: ScopeKeyRecord) -> tuple[list[_Copy], str]:
    """Return where the wrapped form of a key is left, and in words what was searched."""
    files = [path for path in (ctx.home / name for name in DATABASE_FILES) if path.is_file()]
    if not files:
        return [], "not tried: the database is no file of this home"
    patterns = [_document_of(record), *map(re.compile, _pieces_of(record.wrapped.body))]
    left = []
    for path in files:
        if found := found_in(path, patterns):
            match = found.get(patterns[0])
            left.append(_Copy(path.name, _wrapped_in(match[1]) if match is not None else None))
    return left, "not there" if record.wrapped.body else SEARCHED_BY_NAME


def _document_of(record: ScopeKeyRecord) -> re.Pattern[bytes]:
    """Return what finds the stored record of a key with its wrapped form in it."""
    before = rf'"id":\s*"{re.escape(record.id)}",\s*"project":\s*"[^"]*",\s*"scope":\s*"[^"]*",\s*"wrapped":\s*'
    return re.compile((before + r'(\{[^{}]{0,4096}?"body":\s*"[^"][^{}]{0,8192}?\})').encode())


def _pieces_of(body: str) -> list[bytes]:
    """Return what finds a wrapped form of which a part was written over: all of it, and the halves of its end."""
    tail = body[-TAIL_LETTERS:]
    pieces = {body, tail[: TAIL_LETTERS // 2], tail[TAIL_LETTERS // 2 :]} if len(tail) == TAIL_LETTERS else {body}
    return [re.escape(each).encode() for each in sorted(pieces) if each]


def _wrapped_in(document: bytes) -> WrappedKey | None:
    with suppress(ValueError):
        return WrappedKey.model_validate(json.loads(document))
    return None


class _Object(NamedTuple):
    dataset: DatasetVersion
    file: str
    digest: Digest
    sealed: Digest


def _objects(versions: Iterable[DatasetVersion]) -> list[_Object]:
    """Return what versions were sealed as; nothing that was never there."""
    sides = (
        (each, *side)
        for each in versions
        for side in (
            (TRAIN, each.train_digest, each.train_sealed),
            (HOLDOUT, each.holdout_digest, each.holdout_sealed),
            (INDEX, each.index_digest, each.index_sealed),
        )
    )
    return [_Object(each, name, digest, sealed) for each, name, digest, sealed in sides if digest and sealed]


def _prove_object(ctx: Context, found: _Object, keyring: Keyring, destroyed: set[str]) -> tuple[ShreddedObject, str | None]:
    """Try to open a stored object with every key that could still be had; return what came of it, and what is wrong."""
    what, problem, result = f"{found.file} of {found.dataset.label}", None, "does not open"
    place = SealContext(ctx.project, "dataset", found.dataset.name).of(found.file)
    try:
        with ctx.vault.open(found.sealed) as source:
            if not is_sealed(source.read(16)):
                problem = f"{what} lies in clear"
            source.seek(0)
            with suppress(IntegrityFailure):
                problem = _other_key(ctx, key_id_of(source), destroyed, what) or problem
            source.seek(0)
            with suppress(IntegrityFailure):
                open_sealed(source, keyring, place).close()
                problem = f"{what} still opens"
    except IntegrityFailure:
        result = "absent"
    shredded = ShreddedObject(
        dataset=found.dataset.label, file=found.file, digest=found.digest, sealed_digest=found.sealed, result=result
    )
    return shredded, problem


def _other_key(ctx: Context, key_id: str, destroyed: set[str], what: str) -> str | None:
    """Say that an object is sealed with a key that still opens; none where it was destroyed, or is none at all."""
    with ctx.read() as tx:
        is_active = key_id not in destroyed and bool(tx.scope_keys.active([key_id]))
    return f"{what} is sealed with key {key_id}, which was not destroyed" if is_active else None
