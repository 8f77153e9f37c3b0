"""
The sweep: what killed processes left that no row names, removed.

Nothing is guessed from an age. Whoever stores something holds the vault until a row names
it, and whoever makes a key holds a note of it, so what nobody holds and no row names is
nobody's.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from intramural.domain.access import Action
from intramural.domain.audit import AuditFilter
from intramural.domain.keys import WrappedKey
from intramural.domain.removal import Swept
from intramural.domain.value import RunId
from intramural.errors import IntegrityFailure, InvalidInput, Unavailable
from intramural.service.context import Context
from intramural.service.run_directories import sweep_runs
from intramural.service.scratch import drop_note, notes_of_the_gone, sweep_scratch
from intramural.store import Reading
from intramural.vault.providers import KeyChoice, KeyProvider, open_provider

MOST_REMOVALS = 1_000_000


def sweep_home(ctx: Context, *, dry_run: bool = False) -> Swept:
    """
    Remove sealed files, keys and directories of runs that belong to nothing; with *dry_run* only tell of them.

    Raises `Conflict` while something is being stored, `IntegrityFailure` where a damaged folder does not tell what
    belongs to it, or the database is older than the home: what it does not know yet is not nobody's.
    """
    ctx.check(Action.HOME_SWEEP)
    with ctx.read() as tx:
        _check_not_older(ctx, tx)
    if not dry_run:
        sweep_scratch(ctx.home)
        sweep_runs(ctx)
    notes = notes_of_the_gone(ctx.home)
    with ctx.vault.removing(wait=False):
        with ctx.read() as tx:
            _check_not_older(ctx, tx)
            files = tx.datasets.digests(shredded=False)
            blobs = ctx.vault.unnamed(trees=tx.models.digests() | tx.artifacts.digests(), files=files)
            needed = tx.scope_keys.active(notes)
            runs = _removed_runs(ctx, tx)
            unfinished = _unfinished(ctx, tx)
        keys = {name: provider for name, provider in notes.items() if name not in needed}
        found = Swept(blobs=len(blobs), size_bytes=sum(blobs.values()), keys=len(keys), runs=len(runs), unfinished=unfinished)
        if dry_run:
            return found
        if not found.is_empty:
            with ctx.act(Action.HOME_SWEEP) as tx:
                tx.concerns["detail"] = {"blobs": found.blobs, "keys": sorted(keys), "runs": sorted(map(str, runs))}
        for digest in blobs:
            ctx.vault.remove(digest)
    for folder in runs.values():
        shutil.rmtree(folder, ignore_errors=True)
    for name in needed:
        drop_note(ctx.home, name)
    left = sum(not _destroyed(ctx, name, provider) for name, provider in keys.items())
    return found.model_copy(update={"keys": found.keys - left, "keys_left": left})


def _check_not_older(ctx: Context, tx: Reading) -> None:
    known, written = tx.audit.end().size, ctx.audit_key.witnessed() if ctx.audit_key is not None else 0
    if known < written:
        raise IntegrityFailure(
            f"The database has {known} entries of a trail of {written}: it was put back from an older backup.",
            hint="Restore a newer one, or answer for it with `intramural audit verify --accept`; nothing was removed.",
            fault="cut",
        )


def _destroyed(ctx: Context, name: str, provider_name: str) -> bool:
    """Destroy an own key that opens nothing which a row names; False where its provider is away, or not the one that is set."""
    provider = _provider(ctx, provider_name)
    own = provider.own_key(name) if provider is not None else None
    try:
        if provider is None or own is None:
            return False
        if not provider.destroy(WrappedKey(provider=provider_name, key=own, version="", body="", own=True)):
            return False
    except (Unavailable, InvalidInput):
        return False
    drop_note(ctx.home, name)
    return True


def _provider(ctx: Context, name: str) -> KeyProvider | None:
    if name == (ctx.keys.provider if ctx.keys is not None else "local"):
        return ctx.key_provider
    return open_provider(KeyChoice(folder=ctx.home / "keys")) if name == "local" else None


def _removed_runs(ctx: Context, tx: Reading) -> dict[RunId, Path]:
    """Return the directories of runs whose job was removed; a run that the store merely forgot keeps its checkpoints."""
    folders = {RunId(each.name): each for each in ctx.runs.iterdir() if each.is_dir()} if ctx.runs.is_dir() else {}
    unknown = {run: folder for run, folder in folders.items() if tx.runs.find(run) is None}
    if not unknown:
        return {}
    acts = tx.audit.search(ctx.project, AuditFilter(action=Action.JOB_REMOVE, limit=MOST_REMOVALS))
    removed = {run for each in acts for run in each.detail.get("runs", ())}
    return {run: folder for run, folder in unknown.items() if run in removed}


def _unfinished(ctx: Context, tx: Reading) -> tuple[str, ...]:
    """Return the data sets that were shredded and have no certificate since."""
    newest: dict[str, datetime] = {}
    for each in tx.datasets.all(ctx.project):
        if each.shredded_at is not None:
            newest[each.name] = max(each.shredded_at, newest.get(each.name, each.shredded_at))
    certified = {name: [each.at for each in tx.certificates.of_dataset(ctx.project, name)] for name in newest}
    return tuple(
        sorted(name for name, at in newest.items() if max(certified[name], default=datetime.min.replace(tzinfo=UTC)) < at)
    )
