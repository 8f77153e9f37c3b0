"""
Removals: jobs, artifacts and versions of data sets that nobody needs any more, and the disk that they took.

What something was made of goes last: a version stays while a job names it. What is in
quarantine or under a legal hold stays too. The trail keeps that all of it was there.
"""

from __future__ import annotations

import shutil

from intramural.domain.access import Action
from intramural.domain.artifact import Artifact
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import Job
from intramural.domain.keys import KeyState, ScopeKeyRecord, dataset_scope, job_scope
from intramural.domain.lineage import ObjectKind
from intramural.domain.removal import Removed
from intramural.domain.value import Digest
from intramural.errors import Conflict, InvalidInput, Refused
from intramural.service.artifacts import find_artifact
from intramural.service.audit import check_not_held
from intramural.service.context import Context
from intramural.service.datasets import find_dataset
from intramural.service.jobs import find_job
from intramural.service.scope_keys import check_not_half_shredded, provider_of
from intramural.service.scratch import Note, drop_note
from intramural.store import Reading, Transaction

Named = tuple[ObjectKind, str, Digest]


def remove_artifact(ctx: Context, ref: str) -> Removed:
    """Forget an artifact of a job that ended and remove its files. Raises `NotFound`, `Conflict`, `Refused`."""
    ctx.check(Action.ARTIFACT_REMOVE, target=ref)
    with ctx.vault.removing():
        with ctx.act(Action.ARTIFACT_REMOVE, target=ref) as tx:
            artifact = find_artifact(ctx, tx, ref)
            _check_ended(tx.jobs.get(artifact.job_id))
            _check_free(ctx, tx, [_artifact(artifact)])
            tx.artifacts.remove(artifact)
            tx.concerns.update(
                target=artifact.id, digest=artifact.digest, detail={"kind": artifact.kind, "job": artifact.job_id}
            )
            trees, files = _named(tx)
        ctx.vault.remove_tree(artifact.digest, trees=trees, files=files)
    return Removed(kind=ObjectKind.ARTIFACT, id=artifact.id, digest=artifact.digest, size_bytes=artifact.size_bytes)


def remove_job(ctx: Context, ref: str) -> Removed:
    """
    Forget a job that ended: its runs, checkpoints, log, artifacts and approvals; the key of what it left is destroyed.

    Raises `NotFound`, `Conflict` while the job may go on, `Refused` for what is in quarantine or under a hold.
    """
    ctx.check(Action.JOB_REMOVE, target=ref)
    with ctx.vault.removing():
        with ctx.act(Action.JOB_REMOVE, target=ref) as tx:
            job = find_job(ctx, tx, ref)
            _check_ended(job)
            artifacts, runs = tx.artifacts.all(ctx.project, job.id), tx.runs.of_job(job.id)
            _check_free(ctx, tx, [(ObjectKind.JOB, job.id, job.spec_digest), *map(_artifact, artifacts)])
            for each in artifacts:
                tx.artifacts.remove(each)
            keys = _destroy(ctx, tx, job_scope(job.id))
            tx.approvals.remove_of_job(job.id)
            tx.jobs.remove(job.id)
            detail = {"name": job.spec.name, "runs": [each.id for each in runs], "artifacts": [each.id for each in artifacts]}
            tx.concerns.update(target=job.id, digest=job.spec_digest, detail=detail)
            trees, files = _named(tx)
        for each in artifacts:
            ctx.vault.remove_tree(each.digest, trees=trees, files=files)
    for run in runs:
        shutil.rmtree(ctx.runs / run.id, ignore_errors=True)  # what is left of it, the next sweep takes
    ctx.store.forget_log()
    return Removed(
        kind=ObjectKind.JOB,
        id=job.id,
        digest=job.spec_digest,
        size_bytes=sum(each.size_bytes for each in artifacts),
        artifacts=tuple(each.id for each in artifacts),
        keys_destroyed=len(keys),
    )


def remove_dataset(ctx: Context, label: str) -> Removed:
    """
    Forget one version of a data set and remove its files; with the last version goes the key.

    Raises `NotFound`, `InvalidInput` without a number, `Conflict` while a job names it or its shredding is half done,
    `Refused` for what is in quarantine or under a hold, `Unavailable` while the provider of its own key is away: a
    sweep completes it then.
    Unlike a shredding it proves nothing.
    """
    ctx.check(Action.DATASET_REMOVE, target=label)
    if "@" not in label:
        raise InvalidInput(f"{label} names every version.", hint=f"Name one, as {label}@1; `data shred` ends all of them.")
    with ctx.vault.removing():
        with ctx.act(Action.DATASET_REMOVE, target=label) as tx:
            dataset = find_dataset(ctx, tx, label)
            check_not_half_shredded([dataset])
            _check_unused(ctx, tx, dataset)
            _check_free(ctx, tx, [(ObjectKind.DATA, dataset.label, dataset.digest)])
            tx.datasets.remove(ctx.project, dataset)
            rest = [each for each in tx.datasets.all(ctx.project) if each.name == dataset.name and not each.shredded_at]
            keys = [] if rest else _destroy(ctx, tx, dataset_scope(dataset.name))
            notes = [Note(ctx.home, each.id, each.wrapped.provider) for each in keys if each.wrapped.own]
            tx.concerns.update(target=dataset.label, digest=dataset.digest)
            named = tx.datasets.digests()
        for sealed in {dataset.train_sealed, dataset.holdout_sealed, dataset.index_sealed} - named:
            if sealed is not None:
                ctx.vault.remove(sealed)
    ctx.store.forget_log()
    del notes  # from here on a sweep completes what is cut off
    for key in keys:
        if provider_of(ctx, key).destroy(key.wrapped) or not key.wrapped.own:
            drop_note(ctx.home, key.id)
    return Removed(
        kind=ObjectKind.DATA,
        id=dataset.label,
        digest=dataset.digest,
        size_bytes=dataset.size_bytes,
        keys_destroyed=len(keys),
    )


def _check_free(ctx: Context, tx: Transaction, objects: list[Named]) -> None:
    """Raise `Refused` where one of *objects* is in quarantine or under a hold."""
    quarantines = tx.quarantines.all(ctx.project)
    for kind, name, digest in objects:
        if any(each.covers(kind, name, None if kind is ObjectKind.JOB else digest) for each in quarantines):
            raise Refused(
                f"{kind}:{name} is in quarantine.", hint="`intramural quarantine release` ends that.", rule="quarantine"
            )
    check_not_held(ctx, tx, [(name, digest) for _, name, digest in objects])


def _check_ended(job: Job) -> None:
    if not job.state.is_final:
        raise Conflict(
            f"Job {job.spec.name} is {job.state}.", hint=f"Wait for its end, or `intramural cancel {job.id}`, first."
        )


def _check_unused(ctx: Context, tx: Transaction, dataset: DatasetVersion) -> None:
    users = [each for each in tx.jobs.all(ctx.project, limit=1_000_000) if each.dataset_label == dataset.label]
    if users:
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        raise Conflict(
            f"Job {users[0].spec.name}{more} was made from {dataset.label}.",
            hint=f"`intramural remove {users[0].id}` first, or keep both.",
        )


def _destroy(ctx: Context, tx: Transaction, scope: str) -> list[ScopeKeyRecord]:
    """Record the end of the keys of a scope; return them as they were."""
    keys = [each for each in tx.scope_keys.of_scopes(ctx.project, [scope]) if each.state is KeyState.ACTIVE]
    for each in keys:
        tx.scope_keys.save(each.destroyed(now=ctx.now()))
    return keys


def _artifact(artifact: Artifact) -> Named:
    return ObjectKind.ARTIFACT, artifact.id, artifact.digest


def _named(tx: Reading) -> tuple[set[Digest], set[Digest]]:
    """Return the folders and the files that rows name."""
    return tx.models.digests() | tx.artifacts.digests(), tx.datasets.digests()
