"""
The interview's numbers, computed from records of jobs.

Durations are in seconds, shares in percent, sizes in bytes; percentiles interpolate linearly
between the two nearest ranks (the default of numpy and pandas). What each figure counts is
documented in `docs/concepts/measuring.md`.
"""

from __future__ import annotations

from intramural.domain.answers import Window
from intramural.domain.cause import Cause
from intramural.domain.value import Value


class Percentiles(Value):
    """A distribution in five numbers; all none when nothing was counted."""

    counted: int
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    mean: float | None = None
    largest: float | None = None


class TypeFigures(Value):
    """The jobs of one type."""

    job_type: str
    """A job type of the profile, or a label of the rule file or of the source."""
    counts_as: str = "other"
    """The job type of the profile that the label counts as."""
    jobs: int
    share: float
    run_seconds: Percentiles
    """Of runs that ended, whatever their end."""
    queue_seconds: Percentiles
    gpus: Percentiles
    success: float | None
    """Completed over all jobs that ended; none when none ended."""
    gpu_hours: float


class ClassFigures(Value):
    """The jobs of one class: a partition, a quality of service or a job class."""

    name: str
    jobs: int
    queue_seconds: Percentiles
    run_seconds: Percentiles


class CauseFigures(Value):
    """The failed runs with one cause."""

    cause: Cause
    jobs: int
    share: float
    """Of the failed jobs."""
    lost_gpu_hours: float
    lost_share: float
    """Of the GPU-hours of failed jobs."""
    evidence: tuple[str, ...] = ()
    """What it was told from: `state OUT_OF_MEMORY`, `exit code 137`, a log pattern's name. Never content."""


class Pattern(Value):
    """Jobs that no rule has classified, by the shape of their name."""

    pattern: str
    """The name with its numbers replaced by `#`."""
    jobs: int


class Measurement(Value):
    """Everything that was computed from one or more sources."""

    sources: tuple[str, ...]
    """Their kinds: `sacct`, `kubernetes`, `mlflow`, … , never a path."""
    window: Window | None
    jobs: int
    states: dict[str, int]
    """Jobs by outcome: `completed`, `failed`, `cancelled`, `running`, `pending`, …"""
    running: int
    """Jobs without an end: their durations are right-censored. They count in the job mix, not in run times or success."""
    run_seconds: Percentiles
    queue_seconds: Percentiles
    by_type: tuple[TypeFigures, ...]
    by_profile_type: tuple[TypeFigures, ...] = ()
    """The same jobs by the profile's job types: labels that count as one type are taken together."""
    by_class: tuple[ClassFigures, ...]
    gpu_counts: dict[str, float]
    """Share of jobs by the number of GPUs they asked for."""
    multi_node: float | None
    """Share of the jobs whose number of nodes is known."""
    gpu_hours: float
    """Of runs that ended, whatever their end, with the earlier attempts of jobs that were requeued."""
    cancelled_gpu_hours: float = 0.0
    """Of cancelled jobs; these are no failures and stand in no cause."""
    success: float | None
    """Completed over all that ended; cancelled jobs count as ended and not completed."""
    success_without_cancelled: float | None
    causes: tuple[CauseFigures, ...]
    """By lost GPU time, most first."""
    resumed: float | None
    """Share of the runs that were requeued or resumed at least once; none when the source cannot tell."""
    checkpoint_interval_seconds: Percentiles | None = None
    checkpoint_bytes: Percentiles | None = None
    dataset_bytes: Percentiles | None = None
    dataset_samples: Percentiles | None = None
    sequence_tokens: Percentiles | None = None
    unclassified: tuple[Pattern, ...] = ()
    skipped_rows: int = 0
    notices: tuple[str, ...] = ()
    """What the reader of the figures must know: censoring, skipped rows, missing columns."""
