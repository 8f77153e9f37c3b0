"""
The platform's own jobs as job records.

A record is one job, not one attempt: its run time is that of all its attempts together, its time in
the queue ends at the first attempt, and each attempt after the first is a restart.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from intramural.domain.cause import Cause
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import Job, JobState, Run
from intramural.measurement.reading import Row, from_rows
from intramural.measurement.records import Source, State

KIND = "own"
_STATES: dict[JobState, State] = {
    JobState.QUEUED: State.PENDING,
    JobState.RUNNING: State.RUNNING,
    JobState.PAUSED: State.PENDING,
    JobState.SUCCEEDED: State.COMPLETED,
    JobState.FAILED: State.FAILED,
    JobState.CANCELLED: State.CANCELLED,
}
_FAILED: dict[Cause, State] = {
    Cause.GPU_MEMORY: State.OUT_OF_MEMORY,
    Cause.HOST_MEMORY: State.OUT_OF_MEMORY,
    Cause.TIME_LIMIT: State.TIME_LIMIT,
    Cause.PREEMPTED: State.PREEMPTED,
    Cause.NODE_FAILURE: State.NODE_FAILURE,
}


class Checkpoint(NamedTuple):
    """A checkpoint that an attempt wrote."""

    attempt: int
    at: float
    size_bytes: int


class OwnJob(NamedTuple):
    """A job with everything on record about it that the figures need."""

    job: Job
    runs: tuple[Run, ...]
    checkpoints: tuple[Checkpoint, ...]
    data: DatasetVersion | None
    sequence_tokens: int | None
    gpus: int | None
    """None where no attempt got as far as telling."""


def from_own(jobs: Iterable[OwnJob], *, now: datetime) -> Source:
    """Return the records of the platform's jobs."""
    empty = "`intramural run tune.yaml` starts one; or name a file of job records."
    return from_rows(KIND, (_row(each, now) for each in jobs), name="The platform", empty=empty)


def _row(own: OwnJob, now: datetime) -> Row:
    job = own.job
    state = _STATES[job.state]
    if state is State.FAILED and job.failure:
        state = _FAILED.get(job.failure.cause, state)
    is_open = state in {State.PENDING, State.RUNNING}
    started = own.runs[0].started_at if own.runs else None
    return {
        "job": job.id,
        "name": job.spec.name,
        "job_class": job.spec.job_class.value,
        "job_type": "sft_lora",  # the one kind of job there is
        "submitted": job.submitted_at.timestamp(),
        "started": started.timestamp() if started else None,
        "ended": None if is_open or job.ended_at is None else job.ended_at.timestamp(),
        "run_seconds": None if is_open or not own.runs else _run_seconds(own.runs, now),
        "state": state.value,
        "gpus": own.gpus,
        "nodes": 1.0 if own.runs else None,
        "cause": job.failure.cause.value if job.failure and not is_open else None,
        "restarts": max(0, len(own.runs) - 1),
        "checkpoint_seconds": _interval(own.checkpoints),
        "checkpoint_bytes": statistics.median(each.size_bytes for each in own.checkpoints) if own.checkpoints else None,
        "dataset_bytes": own.data.size_bytes if own.data else None,
        "dataset_samples": own.data.train_examples + own.data.holdout_examples if own.data else None,
        "sequence_tokens": own.sequence_tokens,
    }


def _run_seconds(runs: tuple[Run, ...], now: datetime) -> float:
    """Sum the time of the attempts; what a job waited or rested between them does not count."""
    return sum(((each.ended_at or now) - each.started_at).total_seconds() for each in runs)


def _interval(checkpoints: tuple[Checkpoint, ...]) -> float | None:
    """Return the median time between two checkpoints of one attempt."""
    gaps = [after.at - before.at for before, after in pairwise(checkpoints) if before.attempt == after.attempt]
    return statistics.median(gaps) if gaps else None
