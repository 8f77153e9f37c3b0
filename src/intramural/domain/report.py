"""The document of one job: what `show --json` prints and the run page draws."""

from __future__ import annotations

from typing import Any

from intramural.domain.artifact import Artifact
from intramural.domain.cause import Cause
from intramural.domain.dataset import DatasetVersion
from intramural.domain.evaluation import Evaluation
from intramural.domain.job import JobState, Outcome, Waiting
from intramural.domain.model import BaseModelVersion
from intramural.domain.receipt import WallsSummary
from intramural.domain.spec import JobSpec
from intramural.domain.value import Instant, Value


class CurvePoint(Value):
    """One optimizer step, as the charts need it."""

    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    tokens_per_second: float


class CheckpointLine(Value):
    """One checkpoint that was written."""

    step: int
    attempt: int
    at: Instant
    size_bytes: int
    blocked_seconds: float


class AttemptLine(Value):
    """One attempt, from start to end."""

    attempt: int
    started_at: Instant
    ended_at: Instant | None
    outcome: Outcome | None
    cause: Cause | None
    resumed_from_step: int | None
    evidence: str | None
    walls: WallsSummary | None = None
    """How it was confined and what it tried to reach; its sealed receipt is an artifact."""


class Measured(Value):
    """Before, after, and the simple baselines beside them."""

    before: Evaluation | None = None
    after: Evaluation | None = None
    baselines: tuple[Evaluation, ...] = ()


class JobReport(Value):
    """Everything a person asks about one job."""

    job_id: str
    name: str
    state: JobState
    spec: JobSpec
    spec_digest: str
    settings: dict[str, Any] = {}
    """What `auto` became."""
    base: BaseModelVersion | None
    data: DatasetVersion | None
    submitted_by: str
    submitted_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    duration_seconds: float | None
    """Of all attempts together; time in the queue or at rest does not count."""
    start_latency_seconds: float | None
    """From the submission to the first forward pass."""
    phase: str | None
    phase_seconds: dict[str, float] = {}
    step: int
    total_steps: int | None
    seconds_left: float | None
    """Predicted from the steps so far; none when not training."""
    metrics: Measured
    tokens_per_second: float | None
    peak_memory_bytes: int | None
    peak_gpu_memory_bytes: int | None = None
    curve: tuple[CurvePoint, ...] = ()
    checkpoints: tuple[CheckpointLine, ...] = ()
    attempts: tuple[AttemptLine, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    environment: dict[str, str] = {}
    notices: tuple[str, ...] = ()
    waiting: Waiting | None = None
    """What a running job waits for; none while it goes on."""
    cause: Cause | None = None
    evidence: str | None = None
    next_step: str | None = None
