"""Jobs: submitted, listed, explained, and steered by a member."""

from __future__ import annotations

import codecs
import os
import shutil
from pathlib import Path

from intramural.domain.access import Action
from intramural.domain.dataset import Classification, DatasetVersion, ExampleKind
from intramural.domain.job import Job, JobState, Wish
from intramural.domain.model import BaseModelVersion
from intramural.domain.report import JobReport
from intramural.domain.spec import AUTO, JobSpec, Precision
from intramural.domain.value import JobId, digest_of
from intramural.domain.views import Explanation, JobEvent, JobLog, Resolution
from intramural.domain.workload import EVENT, LOG_FILE
from intramural.errors import DoesNotFit, InvalidInput, NotFound
from intramural.service.context import Context
from intramural.service.datasets import find_dataset
from intramural.service.models import find_model, nearest
from intramural.service.reports import Standing, build_report, progress_of
from intramural.store import Reading

LIBRARY_BYTES = 500_000_000
SPARE_BYTES = 200_000_000
"""Disk that must stay free beside what a job writes."""
ADAPTER_STATE_BYTES = 12
"""Per trainable parameter in a checkpoint: the value and two moments, fp32."""


def resolve_job(ctx: Context, spec: JobSpec) -> Resolution:
    """Tell what submitting *spec* now would use and what was checked; change nothing."""
    with ctx.read() as tx:
        base, data = find_model(ctx, tx, spec.base), find_dataset(ctx, tx, spec.data)
    return _resolution(ctx, spec, base, data)


def submit_job(ctx: Context, spec: JobSpec) -> Job:
    """Queue the work that *spec* describes. Raises `NotFound`, `InvalidInput`, `DoesNotFit`."""
    with ctx.act(Action.JOB_SUBMIT, target=spec.name) as tx:
        base, data = find_model(ctx, tx, spec.base), find_dataset(ctx, tx, spec.data)
        _resolution(ctx, spec, base, data)
        job = Job(
            id=JobId(ctx.new_id("job")),
            project=ctx.project,
            spec=spec,
            spec_digest=digest_of(spec.document()),
            base_digest=base.digest,
            dataset_label=data.label,
            dataset_digest=data.digest,
            submitted_by=ctx.actor.subject,
            submitted_at=ctx.now(),
        )
        tx.jobs.add(job)
        return job


def _resolution(ctx: Context, spec: JobSpec, base: BaseModelVersion, data: DatasetVersion) -> Resolution:
    """Check that the parts fit together and the machine has room."""
    if data.kind is not ExampleKind.CHAT:
        raise InvalidInput(
            f"{data.label} holds {data.kind} examples; method.kind sft trains on chat.", hint="Choose a chat data set."
        )
    if not data.train_examples:
        raise InvalidInput(f"{data.label} has no training example.", hint="Add a file with more rows.")
    order = list(Classification)
    if spec.classification is not None and order.index(spec.classification) < order.index(data.classification):
        raise InvalidInput(
            f"classification {spec.classification} is below the data's own, {data.classification}.",
            hint="Leave classification out, or give a stricter one.",
        )
    length = spec.train.sequence_length
    if length != AUTO and length > base.context_tokens:
        raise InvalidInput(
            f"train.sequence_length {length} is more than the {base.context_tokens} tokens of {base.name}.",
            hint="Lower it, or leave it at auto.",
        )
    fits = f"{base.name} ({base.parameters / 1e6:.0f} M parameters) and {data.label} ({data.train_examples} examples) fit."
    checks = (fits, _enough_disk(ctx, spec, base), _enough_memory(spec, base))
    return Resolution(
        spec=spec,
        base_digest=base.digest,
        dataset_label=data.label,
        dataset_digest=data.digest,
        kind=data.kind,
        checks=checks,
    )


def _enough_disk(ctx: Context, spec: JobSpec, base: BaseModelVersion) -> str:
    """Need: the kept checkpoints and one being written, the adapter twice (run and vault), a merged model if asked for."""
    # An all-linear adapter has about 2·r/width of the layers' weights; r/200 of all bounds it for widths from 400 up.
    adapter = base.parameters * spec.method.lora.rank // 200
    need = (spec.checkpoint.keep + 1) * adapter * ADAPTER_STATE_BYTES + 2 * 4 * adapter
    need += 2 * 4 * base.parameters if spec.method.merge else 0
    free = shutil.disk_usage(ctx.home).free
    if free < need + SPARE_BYTES:
        raise DoesNotFit(
            f"The job writes up to {need / 1e9:.1f} GB; {ctx.home} has {free / 1e9:.1f} GB free.",
            hint="Free disk space, lower checkpoint.keep, or set INTRAMURAL_HOME to a larger disk.",
            need_bytes=need,
            free_bytes=free,
        )
    return f"Disk: up to {need / 1e9:.2f} GB of {free / 1e9:.0f} GB free."


def _enough_memory(spec: JobSpec, base: BaseModelVersion) -> str:
    """Need at least the frozen weights in the format they are kept in, and what the libraries take."""
    import psutil  # noqa: PLC0415  reading a queue does not need it

    need = base.parameters * (4 if spec.train.precision is Precision.FP32 else 2) + LIBRARY_BYTES
    free = psutil.virtual_memory().available
    given = spec.resources.memory_gb
    if given != AUTO:
        free = min(free, int(given * 1e9))
    if free < need:
        raise DoesNotFit(
            f"{base.name} needs at least {need / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are free.",
            hint="Free memory, raise resources.memory_gb, or choose a smaller base model.",
            need_bytes=need,
            free_bytes=free,
        )
    return f"Memory: at least {need / 1e9:.1f} GB of {free / 1e9:.1f} GB free."


def show_job(ctx: Context, ref: str) -> JobReport:
    """Return everything a person asks about one job."""
    with ctx.read() as tx:
        return build_report(ctx, tx, find_job(ctx, tx, ref))


def list_jobs(ctx: Context) -> list[Job]:
    """Return jobs, newest first."""
    with ctx.read() as tx:
        return tx.jobs.all(ctx.project)


def find_job(ctx: Context, tx: Reading, ref: str) -> Job:
    """Return a job by id, the newest by name, or by the unique beginning of an id. Raises `NotFound`, `InvalidInput`."""
    found = tx.jobs.matching(ctx.project, ref) if ref else []
    if not found:
        known = sorted({each.spec.name for each in tx.jobs.all(ctx.project)})
        raise NotFound(f"There is no job {ref}.", hint=nearest(ref, known, "intramural run tune.yaml"))
    if len(found) > 1:
        raise InvalidInput(f"{ref} begins the id of more than one job.", hint="Type a few more letters.")
    return found[0]


def cancel_job(ctx: Context, ref: str) -> Job:
    """Ask for the end; a job that is not running ends at once."""
    with ctx.act(Action.JOB_CANCEL, target=ref) as tx:
        job = find_job(ctx, tx, ref).cancelled(now=ctx.now())
        tx.jobs.save(job)
        return job


def pause_job(ctx: Context, ref: str) -> Job:
    """Ask for a checkpoint and a rest."""
    with ctx.act(Action.JOB_PAUSE, target=ref) as tx:
        job = find_job(ctx, tx, ref).paused()
        tx.jobs.save(job)
        return job


def resume_job(ctx: Context, ref: str, *, accept_drift: bool = False) -> Job:
    """Queue it again from its newest verified checkpoint."""
    with ctx.act(Action.JOB_RESUME, target=ref) as tx:
        job = find_job(ctx, tx, ref).resumed(accept_drift=accept_drift)
        tx.jobs.save(job)
        return job


def explain_job(ctx: Context, ref: str) -> Explanation:
    """Tell why a job stands where it stands, and what would change it."""
    with ctx.read() as tx:
        job = find_job(ctx, tx, ref)
        match job.state:
            case JobState.QUEUED:
                return _explain_queued(ctx, job, tx.jobs.in_states([JobState.RUNNING]))
            case JobState.RUNNING:
                return _explain_running(job, progress_of(tx, job))
            case JobState.PAUSED:
                summary, next_step = f"resting at step {job.checkpoint_step}", f"`intramural resume {job.id}` goes on."
                return Explanation(job_id=job.id, state=job.state, summary=summary, next_step=next_step)
    if job.failure is None:
        return Explanation(job_id=job.id, state=job.state, summary="it did what was asked")
    return Explanation(
        job_id=job.id,
        state=job.state,
        summary=f"{job.failure.cause} in attempt {job.attempts}" if job.attempts else str(job.failure.cause),
        cause=job.failure.cause,
        evidence=job.failure.evidence,
        next_step=job.failure.remedy,
    )


def _explain_queued(ctx: Context, job: Job, running: list[Job]) -> Explanation:
    summary = "waiting for the scheduler to start it"
    if len(running) >= ctx.parallel_runs:
        summary = f"waiting for {running[0].spec.name} to end ({len(running)} of {ctx.parallel_runs} places are taken)"
    if job.failure is not None:
        summary = (
            f"attempt {job.attempts} was lost ({job.failure.cause}); it goes on from step {job.checkpoint_step}; {summary}"
        )
    look = f"`intramural watch {running[0].id}` shows how far the one ahead is." if running else None
    return Explanation(job_id=job.id, state=job.state, summary=summary, next_step=look)


def _explain_running(job: Job, standing: Standing) -> Explanation:
    left = f", about {standing.seconds_left:.0f} s of training left" if standing.seconds_left is not None else ""
    steps = f", step {standing.step} of {standing.total_steps}" if standing.total_steps else ""
    wish = {Wish.PAUSE: "asked to pause", Wish.CANCEL: "being cancelled", Wish.RUN: "running"}[job.wish]
    summary = f"{wish}: {standing.phase or 'starting'}{steps}{left}"
    return Explanation(job_id=job.id, state=job.state, summary=summary, seconds_left=standing.seconds_left)


def job_events(ctx: Context, ref: str, *, after: int = 0, limit: int = 1000) -> list[JobEvent]:
    """Return a job's events after the place *after*, over all its attempts."""
    with ctx.read() as tx:
        runs = {each.id: each for each in tx.runs.of_job(find_job(ctx, tx, ref).id)}
        rows = tx.events.of_runs(list(runs), after=after, limit=limit)
    return [JobEvent(seq=seq, attempt=runs[run_id].attempt, event=EVENT.validate_python(body)) for seq, run_id, body in rows]


def job_log(ctx: Context, ref: str, *, offset: int = 0, limit: int = 1 << 20) -> JobLog:
    """Return at most *limit* bytes of the logs of a job's attempts, one after the other, from *offset* on."""
    with ctx.read() as tx:
        runs = tx.runs.of_job(find_job(ctx, tx, ref).id)
    body, skip = b"", offset
    for run in runs:
        size = _size(ctx.runs / run.id / LOG_FILE)
        if skip < size and len(body) < limit:
            with open(ctx.runs / run.id / LOG_FILE, "rb") as file:
                file.seek(skip)
                body += file.read(limit - len(body))
        skip = max(0, skip - size)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(body)
    # A letter that is cut in two waits for its other half.
    return JobLog(text=text, offset=offset + len(body) - len(decoder.getstate()[0]))


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
