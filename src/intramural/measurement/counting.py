"""
Records to counts: the only part that sees every row, streamed in bounded memory.

Rows are reduced to how often each combination of values occurs: durations in whole seconds take
few values however many jobs there are, and percentiles of counted values are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from intramural.domain.cause_rules import CauseRule
from intramural.measurement.causes import rule_number
from intramural.measurement.job_types import OTHER, JobTypeRules, shape
from intramural.measurement.records import FAILURES, Part, Source, State

SIZES = ("checkpoint_seconds", "checkpoint_bytes", "dataset_bytes", "dataset_samples", "sequence_tokens")
_OPEN = [State.RUNNING.value, State.PENDING.value, State.REQUEUED.value]
"""States of a job whose run time is not known yet."""
_NO_NAME = "(no name)"


@dataclass(frozen=True)
class Counts:
    """How often each combination of values occurs among the records in the window."""

    jobs: pl.DataFrame
    """By source, type, class, state, GPUs, nodes, restarts, part; also what is unreadable or outside the window."""
    runs: pl.DataFrame
    """`type, job_class, value, jobs`: run times of jobs that ended."""
    queues: pl.DataFrame
    """The same for queue times."""
    failures: pl.DataFrame
    """By what tells the cause: `cause, rule, state, exit_code, signal, jobs, gpu_hours`."""
    shapes: pl.DataFrame
    """`shape, jobs`: names that no rule has classified."""
    sizes: pl.DataFrame
    """`SIZES` and `jobs`, where any is known."""


def newest(sources: Sequence[Source]) -> list[float | None]:
    """Return the time of the newest readable record of each source, reading nothing but its times."""
    frames = [each.frame.filter(_readable()).select(_time().max().alias("newest")) for each in sources]
    return [frame.item() for frame in pl.collect_all(frames, engine="streaming")]


def count(
    sources: Sequence[Source], since: Sequence[float | None], rules: JobTypeRules, causes: tuple[CauseRule, ...]
) -> Counts:
    """Count the records of all *sources* that are not older than their own *since*, in one pass."""
    rows = pl.concat([_rows(*each, rules) for each in zip(range(len(sources)), sources, since, strict=True)])
    counted = rows.filter(pl.col("inside"), _readable())
    whole = counted.filter(pl.col("part").is_null())
    found = pl.collect_all(
        [
            _jobs(rows),
            _values(whole.filter(~pl.col("state").is_in(_OPEN)), "run_seconds"),
            _values(whole, "queue_seconds"),
            _failures(counted, causes),
            _shapes(whole),
            _sizes(whole),
        ],
        engine="streaming",
    )
    return Counts(*found)


def total(frame: pl.DataFrame, where: pl.Expr | None = None) -> int:
    """Return how many jobs stand in the rows of *frame* that *where* holds for."""
    rows = frame if where is None else frame.filter(where)
    return int(rows["jobs"].sum())


def _time() -> pl.Expr:
    return pl.coalesce("submitted", "started", "ended")


def _readable() -> pl.Expr:
    return ~pl.col("unreadable").fill_null(False)


def _rows(number: int, source: Source, since: float | None, rules: JobTypeRules) -> pl.LazyFrame:
    """Return the rows of one source with what they are grouped by."""
    time = _time()
    inside = pl.lit(True) if since is None else (time >= since).fill_null(True)
    ended = ~pl.col("state").is_in(_OPEN) | (pl.col("part") == Part.ATTEMPT.value).fill_null(False)
    hours = pl.when(ended).then(pl.col("gpus") * pl.col("run_seconds") / 3600)
    return source.frame.with_columns(
        source=pl.lit(number, dtype=pl.UInt32),
        type=rules.job_type(),
        time=time,
        inside=inside,
        gpu_hours=hours,
    )


def _jobs(rows: pl.LazyFrame) -> pl.LazyFrame:
    restarted = pl.col("restarts") > 0
    keys: list[str | pl.Expr] = [
        "source",
        pl.col("type").fill_null(OTHER),
        "job_class",
        "state",
        "gpus",
        (pl.col("nodes") > 1).alias("multi_node"),
        restarted.alias("restarted"),
        "part",
        "unreadable",
        "inside",
        pl.col("time").is_not_null().alias("timed"),
    ]
    return rows.group_by(*keys).agg(
        pl.len().alias("jobs"),
        pl.col("gpu_hours").sum(),
        pl.col("time").min().alias("first"),
        pl.col("time").max().alias("last"),
    )


def _values(rows: pl.LazyFrame, column: str) -> pl.LazyFrame:
    value = pl.col(column).alias("value")
    known = rows.filter(pl.col(column).is_not_null())
    return known.group_by(pl.col("type").fill_null(OTHER), "job_class", value).agg(pl.len().alias("jobs"))


def _failures(rows: pl.LazyFrame, causes: tuple[CauseRule, ...]) -> pl.LazyFrame:
    failed = pl.col("part").is_null() & pl.col("state").is_in([each.value for each in FAILURES])
    lost = (pl.col("part") == Part.ATTEMPT.value).fill_null(False)
    by: list[str | pl.Expr] = ["cause", rule_number(causes).alias("rule"), "state", "exit_code", "signal"]
    return rows.filter(failed | lost).group_by(*by).agg(pl.len().alias("jobs"), pl.col("gpu_hours").sum())


def _shapes(rows: pl.LazyFrame) -> pl.LazyFrame:
    named = rows.filter(pl.col("type").is_null())
    return named.group_by(shape(pl.col("name")).fill_null(_NO_NAME).alias("shape")).agg(pl.len().alias("jobs"))


def _sizes(rows: pl.LazyFrame) -> pl.LazyFrame:
    known = rows.filter(pl.any_horizontal(pl.col(each).is_not_null() for each in SIZES))
    return known.group_by(*SIZES).agg(pl.len().alias("jobs"))
