"""
A job and the only ways it may change.

A job is one piece of work a member asked for; a run is one attempt at it. This
module holds every state and every arrow. Nothing else assigns a state.

    QUEUED ──started──► RUNNING ──ended──► SUCCEEDED │ FAILED │ CANCELLED │ PAUSED
      ▲                    │                                              │
      └── lost, tried again┘◄────────────── resumed ──────────────────────┘
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from intramural.domain.cause import Cause, Failure, is_lost
from intramural.domain.label import Label
from intramural.domain.receipt import WallsSummary
from intramural.domain.spec import JobSpec
from intramural.domain.value import Digest, Instant, JobId, ProjectId, RunId, Value
from intramural.errors import Conflict, StaleFence

MAX_FAILURES = 3
"""Attempts in a row that end without a new checkpoint, unasked and through no fault of the work, before a job fails."""


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing happens any more unless a person asks."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class Wish(StrEnum):
    """What a person wants of a job that is queued or running."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    """It was asked to stop, wrote a checkpoint and left."""


class Lease(Value):
    """The right of one scheduler to act on a run until *expires_at*."""

    holder: str
    fence: int
    """Proves the right; a write with an older fence is refused."""
    expires_at: Instant

    def check(self, fence: int) -> None:
        """Raise `StaleFence` unless *fence* is this lease's own."""
        if fence != self.fence:
            raise StaleFence(f"Another scheduler took the run over (fence {self.fence}, not {fence}).", hint="Nothing to do.")


class Waiting(Value):
    """What a run waits for that is not its own."""

    reason: str
    """What is away, in the platform's own words: no content and no credentials."""
    since: Instant


class Run(Value):
    """One attempt at a job."""

    id: RunId
    job_id: JobId
    attempt: int
    """Counts from 1."""
    lease: Lease
    accept_drift: bool = False
    started_at: Instant
    ended_at: Instant | None = None
    outcome: Outcome | None = None
    failure: Failure | None = None
    checkpoint_step: int = 0
    """The newest checkpoint this attempt wrote, or began from; 0 for none."""
    walls: WallsSummary | None = None
    """How it was confined; none in a run that did not begin, or from before there were walls."""
    region: str | None = None
    """Of the machine it began on, as its operator stated it then; none where nobody did."""
    waiting: Waiting | None = None
    """Why nothing happens with it now; none while it goes on, and in one that ended."""

    def renewed(self, *, holder: str, now: datetime, seconds: float) -> Self:
        """Keep the lease, or take over an expired one with a higher fence. Raise `StaleFence` when it is not ours."""
        if self.ended_at is not None:
            raise StaleFence(f"Run {self.id} ended already.", hint="Nothing to do.")
        if self.lease.holder == holder:
            fence = self.lease.fence
        elif self.lease.expires_at <= now:
            fence = self.lease.fence + 1
        else:
            raise StaleFence(f"{self.lease.holder} holds this run until {self.lease.expires_at:%H:%M:%S}.", hint="Let it work.")
        lease = Lease(holder=holder, fence=fence, expires_at=now + timedelta(seconds=seconds))
        return self.model_copy(update={"lease": lease})

    def kept_waiting(self, reason: str | None, *, now: datetime) -> Self:
        """Note what it waits for, or with none that it goes on; since when stays for as long as it waits."""
        since = self.waiting.since if self.waiting is not None else now
        return self.model_copy(update={"waiting": None if reason is None else Waiting(reason=reason, since=since)})

    def ended(self, outcome: Outcome, failure: Failure | None, *, fence: int, now: datetime) -> Self:
        """Close the attempt, once."""
        self.lease.check(fence)
        if self.ended_at is not None:
            raise Conflict(f"Run {self.id} ended already.")
        return self.model_copy(update={"outcome": outcome, "failure": failure, "ended_at": now, "waiting": None})


class Job(Value):
    """A piece of work: its frozen spec, the digests it was accepted with, and where it stands."""

    id: JobId
    project: ProjectId
    spec: JobSpec
    spec_digest: Digest
    base_digest: Digest
    dataset_label: str
    dataset_digest: Digest
    policy_digest: Digest | None = None
    """Of the policy it was accepted under; none in a job from before there were policies."""
    label: Label | None = None
    """How private its data is, and so everything it makes."""
    submitted_by: str
    submitted_at: Instant
    start_approvals: int = 0
    """How many it needed when it was submitted; what is asked when its turn comes is the policy."""
    state: JobState = JobState.QUEUED
    wish: Wish = Wish.RUN
    attempts: int = 0
    failures: int = 0
    """Attempts in a row that were lost, or stopped unasked, since the last progress."""
    checkpoint_step: int = 0
    accept_drift: bool = False
    """Attempts may continue in a changed environment, until one has written a checkpoint in it."""
    started_at: Instant | None = None
    ended_at: Instant | None = None
    failure: Failure | None = None

    def started(self, *, now: datetime) -> Self:
        """Begin an attempt."""
        self._expect(JobState.QUEUED, act="start")
        return self._with(
            state=JobState.RUNNING, attempts=self.attempts + 1, started_at=self.started_at or now, ended_at=None, failure=None
        )

    def refused(self, failure: Failure, *, now: datetime) -> Self:
        """Fail without an attempt: what it was accepted under does not hold any more."""
        self._expect(JobState.QUEUED, act="refuse")
        return self._with(state=JobState.FAILED, ended_at=now, failure=failure)

    def ended(self, outcome: Outcome, *, now: datetime, failure: Failure | None = None, checkpoint_step: int = 0) -> Self:
        """Draw the consequence of an attempt's end: a final state, a pause, or the queue again."""
        self._expect(JobState.RUNNING, act="end")
        progressed = checkpoint_step > self.checkpoint_step
        job = self._progressed(checkpoint_step) if progressed else self
        match outcome, self.wish:
            case Outcome.SUCCEEDED, _:
                return job._with(state=JobState.SUCCEEDED, ended_at=now, failures=0, failure=None)
            case _, Wish.CANCEL:
                return job._with(state=JobState.CANCELLED, ended_at=now, failure=_on_request())
            case Outcome.FAILED, _:
                return job._failed(failure or Failure(cause=Cause.UNKNOWN, evidence="no cause was recorded"), now)
            case _, Wish.PAUSE:
                return job._with(state=JobState.PAUSED)
        return job._with(state=JobState.QUEUED) if progressed else job._failed(_unasked(), now)

    def _progressed(self, checkpoint_step: int) -> Self:
        """Take note of a new checkpoint: what went wrong before it does not count any more."""
        return self._with(checkpoint_step=checkpoint_step, accept_drift=False, failures=0)

    def _failed(self, failure: Failure, now: datetime) -> Self:
        """Try a lost attempt again, while there is hope; fail otherwise."""
        job = self._with(failures=self.failures + 1, failure=failure)
        if is_lost(failure.cause) and self.wish is Wish.PAUSE:
            return job._with(state=JobState.PAUSED)
        if is_lost(failure.cause) and job.failures < MAX_FAILURES:
            return job._with(state=JobState.QUEUED)
        return job._with(state=JobState.FAILED, ended_at=now)

    def cancelled(self, *, now: datetime) -> Self:
        """Ask for the end; a job that is not running ends at once."""
        if self.state.is_final:
            raise Conflict(
                f"Job {self.spec.name} is {self.state} already.",
                hint="`intramural show` tells how it ended.",
                state=self.state.value,
            )
        if self.state is JobState.RUNNING:
            return self._with(wish=Wish.CANCEL)
        return self._with(state=JobState.CANCELLED, wish=Wish.CANCEL, ended_at=now, failure=_on_request())

    def paused(self) -> Self:
        """Ask for a checkpoint and a rest; a queued job rests at once."""
        if self.state not in {JobState.QUEUED, JobState.RUNNING}:
            raise Conflict(
                f"Job {self.spec.name} is {self.state}; only a queued or running job can be paused.",
                hint="`intramural ps` shows which are.",
                state=self.state.value,
            )
        if self.wish is Wish.CANCEL:
            raise Conflict(f"Job {self.spec.name} is being cancelled.", hint="`intramural resume` continues it afterwards.")
        state = JobState.PAUSED if self.state is JobState.QUEUED else self.state
        return self._with(wish=Wish.PAUSE, state=state)

    def resumed(self, *, accept_drift: bool = False) -> Self:
        """Queue it again, from its newest verified checkpoint; a pause that is not reached yet is taken back."""
        if self.state is JobState.RUNNING and self.wish is Wish.PAUSE:
            return self._with(wish=Wish.RUN)
        if self.state not in {JobState.PAUSED, JobState.FAILED, JobState.CANCELLED}:
            raise Conflict(
                f"Job {self.spec.name} is {self.state}; only a paused, failed or cancelled job can be resumed.",
                hint="`intramural watch` follows one that runs; `intramural run` starts another.",
                state=self.state.value,
            )
        return self._with(
            state=JobState.QUEUED, wish=Wish.RUN, failures=0, ended_at=None, failure=None, accept_drift=accept_drift
        )

    def _expect(self, state: JobState, *, act: str) -> None:
        if self.state is not state:
            raise Conflict(f"Cannot {act} job {self.spec.name}: it is {self.state}, not {state}.", state=self.state.value)

    def _with(self, **changes: object) -> Self:
        return self.model_copy(update=changes)


def _on_request() -> Failure:
    return Failure(cause=Cause.CANCELLED, evidence="cancelled on request")


def _unasked() -> Failure:
    return Failure(cause=Cause.KILLED, evidence="it stopped though nobody here asked it to, and left no new checkpoint")
