"""What the scheduler does with runs: claims, leases, events, ends. Every write proves its fence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from intramural.domain.access import Action
from intramural.domain.artifact import Artifact, ArtifactKind, Lineage
from intramural.domain.audit import Decision
from intramural.domain.cause import Failure
from intramural.domain.job import Job, JobState, Lease, Outcome, Run, Wish
from intramural.domain.spec import JobClass
from intramural.domain.value import ArtifactId, Digest, RunId, digest_of
from intramural.domain.views import Claim
from intramural.domain.workload import (
    EVENTS_FILE,
    LOG_FILE,
    OUTPUTS,
    CheckpointEvent,
    Event,
    ResumeEvent,
    Sealing,
)
from intramural.errors import StaleFence
from intramural.sealing import Keyring, SealedFiles
from intramural.service.context import Context
from intramural.service.policies import failure_of, judge_start
from intramural.service.present_policy import PolicyMoved, adopt_policy
from intramural.service.receipts import clear_receipt, receipt_file, walls_summary
from intramural.service.run_directories import check_left, clear_runs, dataset_of, stage_run, sweep_runs
from intramural.service.scope_keys import ScopeFiles, artifact_files, files_of_dataset, job_files
from intramural.store import Reading
from intramural.vault import Tree

__all__ = [
    "Claim",
    "adopt_runs",
    "claim_run",
    "collect_artifacts",
    "end_run",
    "last_event",
    "note_waiting",
    "prepare_run",
    "queue_length",
    "record_events",
    "renew_lease",
    "stage_run",
    "sweep_runs",
    "wishes",
]

URGENCY = {JobClass.DEV: 0, JobClass.TRAINING: 1, JobClass.BATCH: 2}


def claim_run(ctx: Context, holder: str, lease_seconds: float) -> Claim | None:
    """
    Begin an attempt at the most urgent queued job, or return None: nothing waits, or every place is taken.

    A job that the policy refuses by now fails instead, and the next one's turn comes.
    """
    while True:
        with ctx.read() as tx:
            queued = _most_urgent(ctx, tx)
            if queued is None:
                return None
            judge_start(ctx, tx, queued)  # finds out what the machine can do, which is slow the first time
        adopt_policy(ctx, queued.project)
        with suppress(_QueueMoved, PolicyMoved):
            claim = _begin(ctx, queued, holder, lease_seconds)
            if claim is not None:
                return claim


def _begin(ctx: Context, queued: Job, holder: str, lease_seconds: float) -> Claim | None:
    """Begin an attempt at the job whose turn it is; return None where the policy refuses it. Raises `_QueueMoved`."""
    run_id = RunId(ctx.new_id("run"))
    with ctx.act(Action.RUN_START, queued.project, target=run_id) as tx:
        if _most_urgent(ctx, tx) != queued:
            raise _QueueMoved
        verdict = judge_start(ctx, tx, queued)
        if not verdict.allowed:
            tx.jobs.save(queued.refused(failure_of(verdict), now=ctx.now()))
            tx.concerns.update(target=queued.id, decision=Decision.REFUSED, rule=verdict.denials[0].rule)
            return None
        job = queued.started(now=ctx.now())
        run = Run(
            id=run_id,
            job_id=job.id,
            attempt=job.attempts,
            lease=Lease(holder=holder, fence=1, expires_at=ctx.now() + timedelta(seconds=lease_seconds)),
            accept_drift=job.accept_drift,
            started_at=ctx.now(),
            checkpoint_step=job.checkpoint_step,
            region=ctx.region,
        )
        tx.jobs.save(job)
        tx.runs.add(run)
        if run.region is not None:
            tx.concerns.update(detail={"region": run.region})
        return Claim(job=job, run=run)


def _most_urgent(ctx: Context, tx: Reading) -> Job | None:
    """Return the job whose turn it is, while there is a place for it; one that waits for approvals has no turn."""
    queued = tx.jobs.in_states([JobState.QUEUED])
    if not queued or len(tx.runs.open()) >= ctx.parallel_runs:
        return None
    queued.sort(key=lambda each: (URGENCY[each.spec.job_class], each.submitted_at))
    return next((each for each in queued if not judge_start(ctx, tx, each).waits), None)


class _QueueMoved(Exception):
    """Somebody was faster; the act is rolled back and leaves no entry."""


def adopt_runs(ctx: Context, holder: str, lease_seconds: float) -> list[Claim]:
    """Return the open runs that *holder* holds or whose lease is over, the latter with a new fence."""
    claims = []
    with ctx.store.writing() as tx:
        for run in tx.runs.open():
            try:
                mine = run.renewed(holder=holder, now=ctx.now(), seconds=lease_seconds)
            except StaleFence:
                continue
            tx.runs.save(mine)
            claims.append(Claim(job=tx.jobs.get(run.job_id), run=mine))
    return claims


def renew_lease(ctx: Context, run_id: RunId, holder: str, lease_seconds: float) -> Run:
    """Keep a run. Raises `StaleFence` when another scheduler holds it."""
    with ctx.store.writing() as tx:
        run = tx.runs.get(run_id).renewed(holder=holder, now=ctx.now(), seconds=lease_seconds)
        tx.runs.save(run)
        return run


def note_waiting(ctx: Context, run_id: RunId, fence: int, reason: str | None) -> Run:
    """Keep what a run waits for, or with none that it goes on, for members who ask. Raises `StaleFence`."""
    with ctx.store.writing() as tx:
        run = tx.runs.get(run_id)
        run.lease.check(fence)
        run = run.kept_waiting(reason, now=ctx.now())
        tx.runs.save(run)
        return run


def wishes(ctx: Context, run_ids: Iterable[RunId]) -> dict[RunId, Wish]:
    """Return what members want of the jobs behind *run_ids*, as far as the store knows them."""
    with ctx.read() as tx:
        known = [run for each in run_ids if (run := tx.runs.find(each)) is not None]
        return {run.id: tx.jobs.get(run.job_id).wish for run in known}


def queue_length(ctx: Context) -> int:
    """Return how many jobs wait for a run; one that waits for approvals does not."""
    with ctx.read() as tx:
        return sum(not judge_start(ctx, tx, each).waits for each in tx.jobs.in_states([JobState.QUEUED]))


def last_event(ctx: Context, run_id: RunId) -> int:
    """Return the number of the newest event that is recorded, 0 for none; an adopting scheduler goes on after it."""
    with ctx.read() as tx:
        return tx.events.last_seq(run_id)


def prepare_run(ctx: Context, claim: Claim, run_folder: Path) -> Keyring:
    """
    Fill a run's directory, and return the keys its process needs; safe to repeat.

    Raises `Unavailable` while the key provider or the disk is away, and what `stage_run` raises.
    """
    project, job_id = claim.job.project, claim.job.id
    left = job_files(ctx, project, job_id)
    with ctx.read() as tx:
        data = dataset_of(tx, claim.job)
    rows = files_of_dataset(ctx, data, project)
    if left.new_record is not None:
        add_job_key(ctx, claim.run.id, claim.run.lease.fence, left)
    key_id = left.files.key_id
    stage_run(ctx, claim, run_folder, Sealing(project=project, dataset=data.name, job_id=job_id, key_id=key_id))
    return rows.keys | left.files.keys


def add_job_key(ctx: Context, run_id: RunId, fence: int, left: ScopeFiles) -> None:
    """Record the key of what a job leaves."""
    with ctx.store.writing() as tx:
        run = tx.runs.get(run_id)
        run.lease.check(fence)
        left.write_down(tx, tx.jobs.get(run.job_id).project)


def record_events(ctx: Context, run_id: RunId, fence: int, first_seq: int, events: Sequence[Event]) -> None:
    """Store events of a run, numbered from *first_seq* (1 is its first); what is there already is left as it is."""
    with ctx.store.writing() as tx:
        run = tx.runs.get(run_id)
        run.lease.check(fence)
        tx.events.append(run_id, first_seq, [each.document() for each in events])
        newest = max((each.step for each in events if isinstance(each, CheckpointEvent | ResumeEvent)), default=0)
        if newest > run.checkpoint_step:
            tx.runs.save(run.model_copy(update={"checkpoint_step": newest}))


def end_run(
    ctx: Context, run_id: RunId, fence: int, outcome: Outcome, failure: Failure | None, checkpoint_step: int = 0
) -> Job:
    """Close an attempt and draw the consequence for its job. Raises `StaleFence`, or `Conflict` when it ended already."""
    with ctx.read() as tx:
        project = tx.jobs.get(tx.runs.get(run_id).job_id).project
    with ctx.act(Action.RUN_END, project, target=run_id) as tx:
        run = tx.runs.get(run_id)
        step = max(checkpoint_step, run.checkpoint_step)
        known = {"checkpoint_step": step, "walls": walls_summary(ctx, run_id)}
        run = run.ended(outcome, failure, fence=fence, now=ctx.now()).model_copy(update=known)
        job = tx.jobs.get(run.job_id).ended(outcome, now=ctx.now(), failure=failure, checkpoint_step=step)
        tx.runs.save(run)
        tx.jobs.save(job)
        ended = tx.runs.of_job(job.id)
    clear_runs(ctx, ended, job.state)
    clear_receipt(ctx, run_id)
    return job


def collect_artifacts(ctx: Context, run_id: RunId, fence: int, run_folder: Path) -> list[Artifact]:
    """Store what a run left, with its lineage; what was collected before is not collected again."""
    with ctx.read() as tx:
        job = tx.jobs.get(tx.runs.get(run_id).job_id)
    left = job_files(ctx, job.project, job.id)
    with ctx.vault.adding():
        found = _put_outputs(ctx, run_folder, left.files, receipt_file(ctx, run_id))
        with ctx.store.writing() as tx:
            run = tx.runs.get(run_id)
            run.lease.check(fence)
            left.write_down(tx, job.project)
            there = {each.kind for each in tx.artifacts.all(job.project, job.id) if each.run_id == run_id}
            lineage = _lineage(job, tx.events.newest(run_id, ["resolved"]))
            made = [_artifact(ctx, job, run_id, kind, *stored, lineage) for kind, stored in found.items() if kind not in there]
            for each in made:
                tx.artifacts.add(job.project, each)
            return made


def _put_outputs(
    ctx: Context, run_folder: Path, sealed: SealedFiles, receipt: Path | None
) -> dict[ArtifactKind, tuple[Digest, Tree]]:
    outputs = run_folder / OUTPUTS
    folders = {ArtifactKind.ADAPTER: outputs / "adapter", ArtifactKind.MERGED_MODEL: outputs / "merged"}
    files = {
        ArtifactKind.EVALUATION: outputs / "evaluation.json",
        ArtifactKind.LOGS: run_folder / LOG_FILE,
        ArtifactKind.METRICS: run_folder / EVENTS_FILE,
    }
    for path in (outputs, *folders.values(), *files.values()):
        check_left(path)
    if receipt is not None:
        files[ArtifactKind.RECEIPT] = receipt
    return {
        **{
            kind: ctx.vault.put_sealed_tree(folder, artifact_files(sealed, kind))
            for kind, folder in folders.items()
            if folder.is_dir()
        },
        **{
            kind: ctx.vault.put_sealed_files({path.name: path}, artifact_files(sealed, kind))
            for kind, path in files.items()
            if path.is_file()
        },
    }


def _lineage(job: Job, resolved: dict[str, Any] | None) -> Lineage:
    return Lineage(
        base_digest=job.base_digest,
        dataset_digest=job.dataset_digest,
        spec_digest=job.spec_digest,
        environment_digest=digest_of(resolved["environment"] if resolved else {}),
    )


def _artifact(
    ctx: Context, job: Job, run_id: RunId, kind: ArtifactKind, digest: Digest, tree: Tree, lineage: Lineage
) -> Artifact:
    return Artifact(
        id=ArtifactId(ctx.new_id("art")),
        kind=kind,
        job_id=job.id,
        run_id=run_id,
        job_name=job.spec.name,
        digest=digest,
        size_bytes=tree.size_bytes,
        files=len(tree.files),
        lineage=lineage,
        label=job.label,
        created_at=ctx.now(),
    )
