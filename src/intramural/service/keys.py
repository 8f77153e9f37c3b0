"""Keys: what there are, wrapped anew by a rotation, and a data set shredded with a certificate."""

from __future__ import annotations

from intramural.domain.access import Action
from intramural.domain.artifact import ArtifactKind
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import JobState
from intramural.domain.keys import KeysStatus, KeyState, Rotation, ScopeKeyRecord, ShredCertificate, dataset_scope
from intramural.domain.value import ArtifactId
from intramural.errors import Conflict, IntegrityFailure, NotFound
from intramural.service.audit import check_not_held
from intramural.service.context import Context
from intramural.service.models import nearest
from intramural.service.scope_keys import open_key, place_of, provider_of
from intramural.service.shred_proof import Proof, prove, tried_now, try_before
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
    provider is away, `IntegrityFailure` where the proof fails: there is no certificate then.
    """
    ctx.check(Action.DATASET_SHRED, target=name)
    with ctx.read() as tx:
        known = _uncertified(ctx, tx, name)
    before = {each.id: try_before(ctx, each) for each in known}
    with ctx.act(Action.DATASET_SHRED, target=name) as tx:
        versions = _versions(ctx, tx, name)
        check_not_held(ctx, tx, [(each.label, each.digest) for each in versions])
        _check_shreddable(ctx, tx, versions)
        trials = [tried_now(before.get(each.id), each) for each in _uncertified(ctx, tx, name)]
        trained = _trained_on(ctx, tx, versions)
        for each in trials:
            tx.scope_keys.save(each.record.destroyed(now=ctx.now(), probe=each.probe))
        for version in versions:
            if version.shredded_at is None:
                ended = {"shredded_at": ctx.now(), "shred_certified": False}
                tx.datasets.replace(ctx.project, version.model_copy(update=ended))
    ctx.store.forget_log()
    # From here on nothing opens; what follows is repeated by the next call if this one is killed or the provider is away.
    proof = prove(ctx, trials, versions)
    if proof.problems:
        raise _unproved(ctx, name, proof)
    is_own = all(each.provider_destroyed for each in proof.keys)
    certificate = ShredCertificate(
        id=ctx.new_id("shred"),
        project=ctx.project,
        dataset=name,
        at=ctx.now(),
        by=ctx.actor.subject,
        keys=proof.keys,
        objects=proof.objects,
        trained=trained,
        not_reached=(*NOT_REACHED, NOT_REACHED_KEYS if is_own else NOT_REACHED_SHARED),
    )
    with ctx.act(Action.DATASET_SHRED, target=f"{name} {certificate.id}") as tx:
        tx.certificates.add(certificate)
        for version in tx.datasets.all(ctx.project):
            if version.name == name and version.shredded_at is not None:
                tx.datasets.replace(ctx.project, version.model_copy(update={"shred_certified": True}))
    with ctx.vault.removing():
        for found in proof.objects:
            ctx.vault.remove(found.sealed_digest)
    return certificate


def _uncertified(ctx: Context, tx: Reading, name: str) -> list[ScopeKeyRecord]:
    """Return the keys of a data set whose end no certificate tells yet; all of them where each has one."""
    records = tx.scope_keys.of_scopes(ctx.project, [dataset_scope(name)])
    told = {key.id for each in tx.certificates.of_dataset(ctx.project, name) for key in each.keys}
    return [each for each in records if each.id not in told] or records


def _unproved(ctx: Context, name: str, proof: Proof) -> IntegrityFailure:
    """Record that a shredding is not proved; return what to raise."""
    problems = list(dict.fromkeys(proof.problems))
    with ctx.act(Action.DATASET_SHRED, target=name) as tx:
        tx.concerns["detail"] = {"proved": False, "problems": problems}
    return IntegrityFailure(
        f"The shredding of {name} is not proved, and there is no certificate: {'; '.join(problems)}.",
        hint="Destroy the key at its provider; end what works on this home; `VACUUM` the database. Then shred it again.",
        dataset=name,
        problems=problems,
    )


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
