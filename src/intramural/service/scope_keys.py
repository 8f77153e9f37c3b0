"""
Scope keys for verbs: made, fetched and opened; what wraps them is the provider's.

Every data set has a key of its own, and so has what each job leaves. A key is made
before bytes are sealed with it and recorded in the transaction that names the bytes,
so a key without a record has sealed nothing that anybody knows; a sweep destroys it.
Two members who add the first version at once may leave two keys; both open, and both
are shredded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from intramural.domain.artifact import Artifact, ArtifactKind
from intramural.domain.dataset import DatasetVersion
from intramural.domain.keys import KeyState, ScopeKeyRecord, dataset_scope, job_scope
from intramural.domain.value import JobId, ProjectId
from intramural.errors import Conflict, IntegrityFailure, Unavailable
from intramural.sealing import Keyring, ScopeKey, SealContext, SealedFiles
from intramural.service.context import Context
from intramural.service.scratch import Note
from intramural.store import Transaction
from intramural.vault.providers import KeyChoice, KeyProvider, open_provider

TRAIN, HOLDOUT, INDEX = "train.jsonl", "holdout.jsonl", "index"
"""The names under which the files of a version are sealed."""
OUTPUT_FOLDERS = {ArtifactKind.ADAPTER: "adapter", ArtifactKind.MERGED_MODEL: "merged"}
"""Where a run writes what becomes an artifact; the names it seals them under begin so."""


@dataclass(frozen=True)
class ScopeFiles:
    """The files of a scope, and the record of their key while nobody has written it down."""

    files: SealedFiles
    new_record: ScopeKeyRecord | None = None
    note: Note | None = None
    """Held while this process may still record the key; a sweep looks after it then."""

    def write_down(self, tx: Transaction, project: ProjectId) -> None:
        """
        Record the key, if it is new; belongs into the transaction that names what it sealed.

        Raises `Conflict` when the key was destroyed meanwhile.
        """
        if self.new_record is not None:
            tx.scope_keys.add(self.new_record)
            return
        active = {each.id for each in tx.scope_keys.all(project, KeyState.ACTIVE)}
        if self.files.key_id not in active:
            raise Conflict("The key was destroyed while its data was being sealed.", hint="Do it again, with a fresh key.")


def dataset_files(ctx: Context, name: str) -> ScopeFiles:
    """
    Return the files of a data set for writing; its key is made where it has none.

    Raises `Unavailable`, and `Conflict` while a shredding is half done: completing it would take the new rows with it.
    """
    with ctx.read() as tx:
        check_not_half_shredded(each for each in tx.datasets.all(ctx.project) if each.name == name)
    place = SealContext(ctx.project, "dataset", name)
    return _files(ctx, ctx.project, dataset_scope(name), place, own=True)


def job_files(ctx: Context, project: ProjectId, job_id: JobId) -> ScopeFiles:
    """Return the files that a job leaves, for writing; its key is made where it has none. Raises `Unavailable`."""
    return _files(ctx, project, job_scope(job_id), SealContext(project, "output", job_id), own=False)


def files_of_dataset(ctx: Context, dataset: DatasetVersion, project: ProjectId | None = None) -> SealedFiles:
    """Return the files of a data set for reading. Raises `Conflict` when it was shredded, `Unavailable`."""
    check_readable(dataset)
    project = project or ctx.project
    keys = keys_of_scopes(ctx, project, [dataset_scope(dataset.name)])
    return SealedFiles(keys, SealContext(project, "dataset", dataset.name), key_id="")


def files_of_artifact(ctx: Context, artifact: Artifact) -> SealedFiles:
    """Return the files of an artifact for reading. Raises `Unavailable`."""
    keys = keys_of_scopes(ctx, ctx.project, [job_scope(artifact.job_id)])
    files = SealedFiles(keys, SealContext(ctx.project, "output", artifact.job_id), key_id="")
    return artifact_files(files, artifact.kind)


def artifact_files(files: SealedFiles, kind: ArtifactKind) -> SealedFiles:
    """Return a job's files as the files of one artifact, by their names in it."""
    folder = OUTPUT_FOLDERS.get(kind)
    return files.inside(folder) if folder else files


def check_not_half_shredded(versions: Iterable[DatasetVersion]) -> None:
    """Raise `Conflict` where the shredding of one of *versions* has no certificate yet."""
    half = next((each for each in versions if each.is_half_shredded), None)
    if half is not None:
        raise Conflict(
            f"The shredding of {half.name} was interrupted, or its proof failed.",
            hint=f"`intramural data shred {half.name}` again completes it; do that first.",
        )


def check_readable(dataset: DatasetVersion) -> None:
    """Raise `Conflict` for a data set that was shredded, or stored before data was sealed."""
    if dataset.shredded_at is not None:
        raise Conflict(f"{dataset.label} was shredded on {dataset.shredded_at:%Y-%m-%d}.", hint="Add the data again.")
    if dataset.train_sealed is None:
        raise Conflict(f"{dataset.label} was stored before data was sealed.", hint="Add the file again; it is sealed then.")


def keys_of_scopes(ctx: Context, project: ProjectId, scopes: Sequence[str]) -> Keyring:
    """Return the active keys of *scopes*, unwrapped. Raises `Unavailable` with the provider's name."""
    with ctx.read() as tx:
        records = tx.scope_keys.of_scopes(project, scopes)
    return Keyring(opened(ctx, records))


def opened(ctx: Context, records: Iterable[ScopeKeyRecord]) -> list[ScopeKey]:
    """Unwrap those of *records* that are active."""
    return [open_key(ctx, each) for each in records if each.state is KeyState.ACTIVE]


def open_key(ctx: Context, record: ScopeKeyRecord) -> ScopeKey:
    """Return the key of *record*. Raises `Unavailable`, `IntegrityFailure`."""
    return ScopeKey(record.id, provider_of(ctx, record).unwrap(record.wrapped, place_of(record)))


def provider_of(ctx: Context, record: ScopeKeyRecord) -> KeyProvider:
    """Return who wrapped a key: the present provider, or the local one that was there before it."""
    present = ctx.keys.provider if ctx.keys is not None else "local"
    if record.wrapped.provider == present:
        return ctx.key_provider
    if record.wrapped.provider == "local":
        return open_provider(KeyChoice(folder=ctx.home / "keys"))
    raise IntegrityFailure(
        f"Key {record.id} is wrapped by {record.wrapped.provider}; the provider now is {present}.",
        hint=f"Set keys_provider to {record.wrapped.provider} again.",
    )


def place_of(record: ScopeKeyRecord) -> SealContext:
    """Return the context a scope key is wrapped in."""
    return SealContext(record.project, "key", f"{record.scope} {record.id}")


def _files(ctx: Context, project: ProjectId, scope: str, place: SealContext, *, own: bool) -> ScopeFiles:
    with ctx.read() as tx:
        active = [each for each in tx.scope_keys.of_scopes(project, [scope]) if each.state is KeyState.ACTIVE]
    if active:
        keys = opened(ctx, active)
        return ScopeFiles(SealedFiles(Keyring(keys), place, keys[-1].id))
    _check_not_lost(ctx, project)
    key = ScopeKey.new(ctx.new_id("key"))
    note = None
    if own and ctx.key_provider.own_key(key.id) is not None:
        note = Note(ctx.home, key.id, ctx.keys.provider if ctx.keys is not None else "local")
    context = SealContext(project, "key", f"{scope} {key.id}")
    wrapped = ctx.key_provider.wrap(key.secret, context, own=key.id if own else None)
    record = ScopeKeyRecord(id=key.id, project=project, scope=scope, wrapped=wrapped, created_at=ctx.now())
    return ScopeFiles(SealedFiles(Keyring([key]), place, key.id), record, note)


def _check_not_lost(ctx: Context, project: ProjectId) -> None:
    """Raise `Unavailable` where the customer's key is gone that wraps others: a new one must not take its name in silence."""
    found = ctx.key_provider.describe()
    if not found.available or found.version is not None:
        return
    with ctx.read() as tx:
        active = tx.scope_keys.all(project, KeyState.ACTIVE)
    wrapped = [each for each in active if (each.wrapped.provider, each.wrapped.key) == (found.provider, found.key)]
    if wrapped:
        raise Unavailable(
            f"The key {found.key} at {found.where}, which wraps {len(wrapped)} others, is not there.",
            hint="Put it back from a copy; what it wraps opens with it alone.",
        )
