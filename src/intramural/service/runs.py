"""What the scheduler does with runs: claims, leases, events, ends. Every write proves its fence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from intramural.domain.access import Action
from intramural.domain.artifact import Artifact, ArtifactKind, Lineage
from intramural.domain.cause import Failure
from intramural.domain.job import Job, JobState, Lease, Outcome, Run, Wish
from intramural.domain.spec import JobClass
from intramural.domain.value import ArtifactId, RunId, digest_of
from intramural.domain.views import Claim
from intramural.domain.workload import (
    CHECKPOINTS,
    EVENTS_FILE,
    INPUTS,
    LOG_FILE,
    OUTPUTS,
    SPEC_FILE,
    CheckpointEvent,
    Event,
    ResumeEvent,
    WorkloadSpec,
)
from intramural.errors import StaleFence
from intramural.service.context import Context
from intramural.vault import Tree

__all__ = [
    "Claim",
    "adopt_runs",
    "claim_run",
    "collect_artifacts",
    "end_run",
    "last_event",
    "queue_length",
    "record_events",
    "renew_lease",
    "stage_run",
    "wishes",
]

URGENCY = {JobClass.DEV: 0, JobClass.TRAINING: 1, JobClass.BATCH: 2}


def claim_run(ctx: Context, holder: str, lease_seconds: float) -> Claim | None:
    """Begin an attempt at the most urgent queued job, or return None: nothing waits, or every place is taken."""
    with ctx.read() as tx:
        if not tx.jobs.in_states([JobState.QUEUED]) or len(tx.runs.open()) >= ctx.parallel_runs:
            return None
    try:
        with ctx.act(Action.RUN_START, target=holder) as tx:
            queued = tx.jobs.in_states([JobState.QUEUED])
            if not queued or len(tx.runs.open()) >= ctx.parallel_runs:
                raise _NothingToDo
            job = min(queued, key=lambda each: (URGENCY[each.spec.job_class], each.submitted_at))
            accept_drift = job.accept_drift
            job = job.started(now=ctx.now())
            run = Run(
                id=RunId(ctx.new_id("run")),
                job_id=job.id,
                attempt=job.attempts,
                lease=Lease(holder=holder, fence=1, expires_at=ctx.now() + timedelta(seconds=lease_seconds)),
                accept_drift=accept_drift,
                started_at=ctx.now(),
                checkpoint_step=job.checkpoint_step,
            )
            tx.jobs.save(job)
            tx.runs.add(run)
            return Claim(job=job, run=run)
    except _NothingToDo:
        return None


class _NothingToDo(Exception):
    """Another scheduler was faster; the act is rolled back and leaves no entry."""


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


def wishes(ctx: Context, run_ids: Iterable[RunId]) -> dict[RunId, Wish]:
    """Return what members want of the jobs behind *run_ids*."""
    with ctx.read() as tx:
        return {each: tx.jobs.get(tx.runs.get(each).job_id).wish for each in run_ids}


def queue_length(ctx: Context) -> int:
    """Return how many jobs wait."""
    with ctx.read() as tx:
        return len(tx.jobs.in_states([JobState.QUEUED]))


def last_event(ctx: Context, run_id: RunId) -> int:
    """Return the number of the newest event that is recorded, 0 for none; an adopting scheduler goes on after it."""
    with ctx.read() as tx:
        return tx.events.last_seq(run_id)


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
    with ctx.act(Action.RUN_END, target=run_id) as tx:
        run = tx.runs.get(run_id)
        step = max(checkpoint_step, run.checkpoint_step)
        run = run.ended(outcome, failure, fence=fence, now=ctx.now()).model_copy(update={"checkpoint_step": step})
        job = tx.jobs.get(run.job_id).ended(outcome, now=ctx.now(), failure=failure, checkpoint_step=step)
        tx.runs.save(run)
        tx.jobs.save(job)
        runs = tx.runs.of_job(job.id)
    if job.state is JobState.SUCCEEDED:
        # What it was made of and what it left are in the vault; resumable states of a finished job serve nobody.
        for each in runs:
            for part in (INPUTS, CHECKPOINTS, OUTPUTS):
                shutil.rmtree(ctx.runs / each.id / part, ignore_errors=True)
    return job


def stage_run(ctx: Context, claim: Claim, run_folder: Path) -> None:
    """Fill a run's directory with its spec, its inputs and the checkpoints of the attempts before; safe to repeat."""
    job, run = claim.job, claim.run
    if (run_folder / SPEC_FILE).exists():
        return
    shutil.rmtree(run_folder, ignore_errors=True)
    inputs = run_folder / INPUTS
    inputs.mkdir(mode=0o700, parents=True)
    run_folder.chmod(0o700)
    with ctx.read() as tx:
        data = next(each for each in tx.datasets.all(job.project) if each.label == job.dataset_label)
        earlier = [each for each in tx.runs.of_job(job.id) if each.attempt < run.attempt]
    ctx.vault.stage_tree(job.base_digest, inputs / "model")
    ctx.vault.stage(data.train_digest, inputs / "train.jsonl")
    ctx.vault.stage(data.holdout_digest, inputs / "holdout.jsonl")
    for each in reversed(earlier):
        for folder in (ctx.runs / each.id / CHECKPOINTS, ctx.runs / each.id / INPUTS / CHECKPOINTS):
            _link_checkpoints(folder, inputs / CHECKPOINTS)
    spec = WorkloadSpec(
        run_id=run.id,
        attempt=run.attempt,
        job=job.spec,
        example_kind=data.kind,
        base_digest=job.base_digest,
        dataset_digest=job.dataset_digest,
        accept_drift=run.accept_drift,
        submitted_at=job.submitted_at.timestamp(),
        asked_at=(job.submitted_at if run.attempt == 1 else run.started_at).timestamp(),
    )
    # Written last: a directory with a spec is a whole one.
    partial = run_folder / f".{SPEC_FILE}"
    partial.write_text(spec.model_dump_json())
    partial.rename(run_folder / SPEC_FILE)


def _link_checkpoints(source: Path, target: Path) -> None:
    """Hard-link every checkpoint under *source* that *target* lacks; the run they come from has ended."""
    if not source.is_dir():
        return
    for checkpoint in sorted(source.glob("step-*")):
        mine = target / checkpoint.name
        if checkpoint.is_dir() and not mine.exists():
            mine.mkdir(mode=0o700, parents=True)
            for file in checkpoint.iterdir():
                _link(file, mine / file.name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def collect_artifacts(ctx: Context, run_id: RunId, fence: int, run_folder: Path) -> list[Artifact]:
    """Store what a run left, with its lineage; what was collected before is not collected again."""
    outputs = run_folder / OUTPUTS
    found: list[tuple[ArtifactKind, tuple[str, Tree]]] = []
    for kind, folder in ((ArtifactKind.ADAPTER, "adapter"), (ArtifactKind.MERGED_MODEL, "merged")):
        if (outputs / folder).is_dir():
            found.append((kind, ctx.vault.put_tree(outputs / folder)))
    for kind, path in (
        (ArtifactKind.EVALUATION, outputs / "evaluation.json"),
        (ArtifactKind.LOGS, run_folder / LOG_FILE),
        (ArtifactKind.METRICS, run_folder / EVENTS_FILE),
    ):
        if path.is_file():
            found.append((kind, ctx.vault.put_files({path.name: path})))
    with ctx.store.writing() as tx:
        run = tx.runs.get(run_id)
        run.lease.check(fence)
        job = tx.jobs.get(run.job_id)
        resolved = tx.events.newest(run_id, ["resolved"])
        lineage = Lineage(
            base_digest=job.base_digest,
            dataset_digest=job.dataset_digest,
            spec_digest=job.spec_digest,
            environment_digest=digest_of(resolved["environment"] if resolved else {}),
        )
        there = {each.kind for each in tx.artifacts.all(job.project, job.id) if each.run_id == run_id}
        made = []
        for kind, (digest, tree) in found:
            if kind in there:
                continue
            artifact = Artifact(
                id=ArtifactId(ctx.new_id("art")),
                kind=kind,
                job_id=job.id,
                run_id=run_id,
                job_name=job.spec.name,
                digest=digest,
                size_bytes=tree.size_bytes,
                files=len(tree.files),
                lineage=lineage,
                created_at=ctx.now(),
            )
            tx.artifacts.add(job.project, artifact)
            made.append(artifact)
        return made
