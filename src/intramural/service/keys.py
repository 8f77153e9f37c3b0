"""Keys: what there are, wrapped anew by a rotation, and a data set shredded with a certificate."""

from __future__ import annotations

from intramural.domain.access import Action
from intramural.domain.artifact import ArtifactKind
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import JobState
from intramural.domain.keys import (
    DestroyedKey,
    KeysStatus,
    KeyState,
    Rotation,
    ScopeKeyRecord,
    ShredCertificate,
    ShreddedObject,
    dataset_scope,
)
from intramural.domain.value import ArtifactId
from intramural.errors import Conflict, IntegrityFailure, NotFound, Unavailable
from intramural.sealing import SealContext, SealedFiles
from intramural.service.audit import check_not_held
from intramural.service.context import Context
from intramural.service.models import nearest
from intramural.service.scope_keys import HOLDOUT, INDEX, TRAIN, keys_of_scopes, open_key, place_of, provider_of
from intramural.store import Reading, Transaction

NOT_REACHED = (
    "Models that were trained on it: adapters and merged models keep what they learned.",
    "Copies that left: exported files, samples that were printed, the source file itself.",
    "A process that read it before now and still runs.",
)
NOT_REACHED_SHARED = "Backups of the database from before now, while the provider's key exists: they hold the wrapped key."
NOT_REACHED_KEYS = "Backups of the provider's keys together with backups of the database, both from before now."


def keys_status(ctx: Context) -> KeysStatus:
    """Return who holds the customer's key, whether it answers, and how many keys it wraps."""
    description = ctx.key_provider.describe()
    with ctx.read() as tx:
        every = tx.scope_keys.all(ctx.project)
    active = [each for each in every if each.state is KeyState.ACTIVE]
    shared = [each for each in active if not each.wrapped.own]
    behind = [each for each in active if each.wrapped.provider != description.provider] + [
        each for each in shared if each.wrapped.provider == description.provider and each.wrapped.version != description.version
    ]
    return KeysStatus(
        provider=description,
        active=len(active),
        destroyed=len(every) - len(active),
        dataset_keys=sum(each.scope.startswith("dataset:") for each in active),
        job_keys=sum(each.scope.startswith("job:") for each in active),
        behind=len(behind) if description.available else 0,
    )


def rotate_keys(ctx: Context) -> Rotation:
    """
    Make a new version of the customer's key and wrap every scope key with it; sealed data stays as it is.

    A rotation that is killed has lost nothing: older versions still unwrap, and the next one goes over all keys again.
    """
    ctx.check(Action.KEYS_ROTATE)
    with ctx.read() as tx:
        active = tx.scope_keys.all(ctx.project, KeyState.ACTIVE)
    secrets = [(record, open_key(ctx, record).secret) for record in active]  # all, before anything changes
    version = ctx.key_provider.rotate()
    anew = [_wrapped_anew(ctx, record, secret) for record, secret in secrets]
    with ctx.act(Action.KEYS_ROTATE, target=f"{ctx.key_provider.describe().provider} {version}") as tx:
        still = {each.id for each in tx.scope_keys.all(ctx.project, KeyState.ACTIVE)}
        for each in anew:
            if each.id in still:
                tx.scope_keys.save(each)
    return Rotation(provider=ctx.key_provider.describe().provider, version=version, rewrapped=len(anew))


def _wrapped_anew(ctx: Context, record: ScopeKeyRecord, secret: bytes) -> ScopeKeyRecord:
    is_own, same = record.wrapped.own, provider_of(ctx, record) is ctx.key_provider
    if is_own and same:
        ctx.key_provider.rotate(record.wrapped.key)
    own = record.id if record.scope.startswith("dataset:") else None
    return record.rewrapped(ctx.key_provider.wrap(secret, place_of(record), own=own), now=ctx.now())


def shred_dataset(ctx: Context, name: str) -> ShredCertificate:
    """
    Destroy the keys of every version of a data set, prove that nothing opens, and certify it; safe to repeat.

    Raises `NotFound`, `Conflict` while a job needs the data, `Refused` under a legal hold, `Unavailable` while the
    provider is away.
    """
    with ctx.act(Action.DATASET_SHRED, target=name) as tx:
        versions = _versions(ctx, tx, name)
        check_not_held(ctx, tx, [(each.label, each.digest) for each in versions])
        _check_shreddable(ctx, tx, versions)
        records = tx.scope_keys.of_scopes(ctx.project, [dataset_scope(name)])
        trained = _trained_on(ctx, tx, versions)
        for record in records:
            tx.scope_keys.save(record.destroyed(now=ctx.now()))
        for version in versions:
            if version.shredded_at is None:
                tx.datasets.replace(ctx.project, version.model_copy(update={"shredded_at": ctx.now()}))
    ctx.store.forget_log()
    # From here on nothing opens; what follows is repeated by the next call if this one is killed or the provider is away.
    destroyed = tuple(_destroyed(ctx, each) for each in records)
    objects = tuple(found for each in versions for found in _proof(ctx, each))
    is_own = all(each.provider_destroyed for each in destroyed)
    certificate = ShredCertificate(
        id=ctx.new_id("shred"),
        project=ctx.project,
        dataset=name,
        at=ctx.now(),
        by=ctx.actor.subject,
        keys=destroyed,
        objects=objects,
        trained=trained,
        not_reached=(*NOT_REACHED, NOT_REACHED_KEYS if is_own else NOT_REACHED_SHARED),
    )
    with ctx.act(Action.DATASET_SHRED, target=f"{name} {certificate.id}") as tx:
        tx.certificates.add(certificate)
    with ctx.vault.removing():
        for found in objects:
            ctx.vault.remove(found.sealed_digest)
    return certificate


def list_certificates(ctx: Context, name: str) -> list[ShredCertificate]:
    """Return the certificates of a data set, oldest first."""
    with ctx.read() as tx:
        return tx.certificates.of_dataset(ctx.project, name)


def _versions(ctx: Context, tx: Reading, name: str) -> list[DatasetVersion]:
    every = tx.datasets.all(ctx.project)
    found = [each for each in every if each.name == name]
    if not found:
        known = sorted({each.name for each in every})
        raise NotFound(f"There is no data set {name}.", hint=nearest(name, known, "intramural data add FILE --name NAME"))
    return found


def _check_shreddable(ctx: Context, tx: Transaction, versions: list[DatasetVersion]) -> None:
    plain = next((each for each in versions if each.train_sealed is None), None)
    if plain is not None:
        raise Conflict(
            f"{plain.label} was stored before data was sealed: no key protects it, and destroying one would prove nothing.",
            hint="Move what is needed to a new home, then remove the old one.",
        )
    labels = {each.label for each in versions}
    unfinished = tx.jobs.in_states(each for each in JobState if not each.is_final)
    busy = [each for each in unfinished if each.project == ctx.project and each.dataset_label in labels]
    if busy:
        raise Conflict(
            f"Job {busy[0].spec.name} needs {busy[0].dataset_label}.",
            hint=f"Wait for it, or `intramural cancel {busy[0].id}`.",
        )


def _trained_on(ctx: Context, tx: Reading, versions: list[DatasetVersion]) -> tuple[ArtifactId, ...]:
    digests = {each.digest for each in versions}
    kinds = {ArtifactKind.ADAPTER, ArtifactKind.MERGED_MODEL}
    return tuple(
        each.id for each in tx.artifacts.all(ctx.project) if each.kind in kinds and each.lineage.dataset_digest in digests
    )


def _destroyed(ctx: Context, record: ScopeKeyRecord) -> DestroyedKey:
    """Destroy the provider's own key of a scope key, and see that it no longer opens. Raises `IntegrityFailure` if it does."""
    provider = provider_of(ctx, record)
    gone = provider.destroy(record.wrapped)
    if gone and record.wrapped.body:
        try:
            provider.unwrap(record.wrapped, place_of(record))
        except (IntegrityFailure, Unavailable):
            pass
        else:
            raise IntegrityFailure(f"The provider still opens key {record.id}.", hint="Destroy the key at the provider itself.")
    return DestroyedKey(
        id=record.id,
        provider=record.wrapped.provider,
        provider_key=record.wrapped.key,
        version=record.wrapped.version,
        own=record.wrapped.own,
        provider_destroyed=gone,
    )


def _proof(ctx: Context, dataset: DatasetVersion) -> list[ShreddedObject]:
    """Try to open the files of a version with every key of its scope. Raises `IntegrityFailure` if one opens."""
    keys = keys_of_scopes(ctx, ctx.project, [dataset_scope(dataset.name)])
    files = SealedFiles(keys, SealContext(ctx.project, "dataset", dataset.name), "")
    found = []
    for file, digest, sealed in (
        (TRAIN, dataset.train_digest, dataset.train_sealed),
        (HOLDOUT, dataset.holdout_digest, dataset.holdout_sealed),
        (INDEX, dataset.index_digest, dataset.index_sealed),
    ):
        if sealed is None or digest is None:
            continue  # refused before anything was destroyed; or there never was an index
        result = "absent"
        if ctx.vault.has(sealed):
            try:
                ctx.vault.open_sealed(sealed, files, file).close()
            except IntegrityFailure:
                result = "does not open"
            else:
                raise IntegrityFailure(f"{dataset.label} still opens.", hint="Report this: the certificate was refused.")
        found.append(ShreddedObject(dataset=dataset.label, file=file, digest=digest, sealed_digest=sealed, result=result))
    return found
