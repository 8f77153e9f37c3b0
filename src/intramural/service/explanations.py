"""Why a job stands where it stands, in words, with the next step that would change it."""

from __future__ import annotations

from datetime import datetime

from intramural.domain.job import Job, JobState, Waiting, Wish
from intramural.domain.keys import dataset_scope, job_scope
from intramural.domain.views import Explanation
from intramural.errors import Unavailable
from intramural.pages.words import duration
from intramural.service.context import Context
from intramural.service.policies import judge_start
from intramural.service.reports import progress_of
from intramural.service.scope_keys import keys_of_scopes
from intramural.store import Reading

GOES_ON = "Nothing to do but to bring that back: nothing is lost, and the job goes on by itself when it is there again."
WISHES = {Wish.PAUSE: "asked to pause", Wish.CANCEL: "being cancelled", Wish.RUN: "running"}


def explain(ctx: Context, tx: Reading, job: Job) -> Explanation:
    """Return the explanation of *job* as it stands."""
    match job.state:
        case JobState.QUEUED:
            return _queued(ctx, tx, job)
        case JobState.RUNNING:
            return _running(ctx, tx, job)
        case JobState.PAUSED:
            return _explanation(job, f"resting at step {job.checkpoint_step}", f"`intramural resume {job.id}` goes on.")
    if job.failure is None:
        return _explanation(job, "it did what was asked")
    return Explanation(
        job_id=job.id,
        state=job.state,
        summary=f"{job.failure.cause} in attempt {job.attempts}" if job.attempts else str(job.failure.cause),
        cause=job.failure.cause,
        evidence=job.failure.evidence,
        next_step=job.failure.remedy,
    )


def _queued(ctx: Context, tx: Reading, job: Job) -> Explanation:
    verdict = judge_start(ctx, tx, job)
    if not verdict.allowed:
        first = verdict.denials[0]
        if verdict.waits:
            return _explanation(job, f"waiting for approval: {first.reason}", first.change)
        return _explanation(job, f"refused by the rule `{first.rule}` when its turn comes: {first.reason}", first.change)
    summary, next_step = "waiting for the scheduler to start it", _starts_a_scheduler(job)
    running = tx.jobs.in_states([JobState.RUNNING])
    if len(running) >= ctx.parallel_runs:
        ahead = running[0]
        summary = f"waiting for {ahead.spec.name} to end ({len(running)} of {ctx.parallel_runs} places are taken)"
        next_step = f"`intramural watch {ahead.id}` shows how far the one ahead is."
        unheld, waiting = _unheld(tx, ahead, ctx.now()), _waiting(tx, ahead)
        if unheld is not None:
            summary, next_step = f"{summary}, which {unheld}", _starts_a_scheduler(ahead)
        elif waiting is not None:
            summary, next_step = f"{summary}, which is {_since(waiting)}", GOES_ON
    if job.failure is not None:
        lost = f"attempt {job.attempts} was lost ({job.failure.cause}); it goes on from step {job.checkpoint_step}"
        summary = f"{lost}; {summary}"
    return _explanation(job, summary, next_step)


def _running(ctx: Context, tx: Reading, job: Job) -> Explanation:
    standing = progress_of(tx, job)
    steps = f", step {standing.step} of {standing.total_steps}" if standing.total_steps else ""
    summary = f"{WISHES[job.wish]}: {standing.phase or 'starting'}{steps}"
    unheld = _unheld(tx, job, ctx.now())
    if unheld is not None:
        return _explanation(job, f"{summary} when it was last heard of; it {unheld}", _starts_a_scheduler(job))
    if (waiting := _waiting(tx, job)) is not None:
        what = _since(waiting) if standing.phase is None else f"it ran, and keeping what it made is {_since(waiting)}"
        return _explanation(job, what, GOES_ON).model_copy(update={"waiting_since": waiting.since})
    if standing.phase is None and (problem := _problem_with_keys(ctx, job)) is not None:
        return _explanation(job, f"waiting for its keys: {_clause(problem)}", "It starts by itself when the provider answers.")
    if standing.seconds_left is None:
        return _explanation(job, summary)
    summary = f"{summary}, about {duration(standing.seconds_left)} of training left"
    return Explanation(job_id=job.id, state=job.state, summary=summary, seconds_left=standing.seconds_left)


def _problem_with_keys(ctx: Context, job: Job) -> str | None:
    """Say why the keys of a job cannot be had now; none where they can."""
    try:
        keys_of_scopes(ctx, job.project, [dataset_scope(job.dataset_label.rpartition("@")[0]), job_scope(job.id)])
    except Unavailable as error:
        return error.message
    return ctx.key_provider.describe().problem


def _waiting(tx: Reading, job: Job) -> Waiting | None:
    """Return what a running job waits for, as its scheduler noted it."""
    return next((each.waiting for each in tx.runs.of_job(job.id) if each.ended_at is None), None)


def _since(waiting: Waiting) -> str:
    return f"waiting since {waiting.since:%Y-%m-%d %H:%M:%S} {waiting.since.tzname()}: {_clause(waiting.reason)}"


def _clause(words: str) -> str:
    """Return a sentence as the end of another one, which has its own full stop."""
    return words.removesuffix(".")


def _unheld(tx: Reading, job: Job, now: datetime) -> str | None:
    """Say since when no scheduler has looked after a running job; none where one does."""
    run = next((each for each in tx.runs.of_job(job.id) if each.ended_at is None), None)
    if run is None or run.lease.expires_at > now:
        return None
    since = duration((now - run.lease.expires_at).total_seconds())
    return f"has been without a scheduler for {since} (the lease of {run.lease.holder} is over)"


def _starts_a_scheduler(job: Job) -> str:
    return f"`intramural watch {job.id}` starts a scheduler where none works, and follows the job."


def _explanation(job: Job, summary: str, next_step: str | None = None) -> Explanation:
    return Explanation(job_id=job.id, state=job.state, summary=summary, next_step=next_step)
