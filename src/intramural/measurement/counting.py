"""
Records to counts: the only part that sees every row, streamed in bounded memory.

Rows are reduced to how often each combination of values occurs: durations in whole seconds take
few values however many jobs there are, and percentiles of counted values are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain

import polars as pl

from intramural.domain.cause_rules import CauseRule
from intramural.measurement.causes import rule_number
from intramural.measurement.job_types import OTHER, JobTypeRules, shape
from intramural.measurement.records import FAILURES, Part, Source, State

SIZES = ("checkpoint_seconds", "checkpoint_bytes", "dataset_bytes", "dataset_samples", "sequence_tokens")
OPEN = [State.RUNNING.value, State.PENDING.value, State.REQUEUED.value]
"""States of a job whose run time is not known yet."""
_TYPE = ("job_type", "type_rule")
_TIMES = ("submitted", "started", "ended")
"""What a record's place in the window is told from: the first that is known."""
_NO_NAME = "(no name)"
BATCH_ROWS = 200_000
_JOBS = pl.len().alias("jobs")
_SUMS = {
    "jobs": pl.col("jobs").sum(),
    "gpu_hours": pl.col("gpu_hours").sum(),
    "first": pl.col("first").min(),
    "last": pl.col("last").max(),
}
"""How the counts of two batches become one."""


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
    """Return the time of the newest record of each source, reading nothing but one column of times."""
    return [_newest(each.frame) for each in sources]


def _newest(frame: pl.LazyFrame) -> float | None:
    for column in _TIMES:
        if (found := frame.select(pl.col(column).max()).collect(engine="streaming").item()) is not None:
            return float(found)
    return None


def count(
    sources: Sequence[Source], since: Sequence[float | None], rules: JobTypeRules, causes: tuple[CauseRule, ...]
) -> Counts:
    """Count the records of all *sources* that are not older than their own *since*, in one pass."""
    by = _Reduction(rules, causes)
    tallies = {each.name: _Tally() for each in fields(Counts)}
    for number, (source, start) in enumerate(zip(sources, since, strict=True)):
        rows = _rows(number, source, start, rules)
        empty = pl.DataFrame(schema=rows.collect_schema())
        batches = rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=False, engine="streaming")
        for batch in chain((empty,), batches):
            for name, part in by.counts(batch).items():
                tallies[name].add(part)
    return Counts(**{name: tally.total() for name, tally in tallies.items()})


class _Tally:
    """Counts of batches, merged before they grow."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._merged = 0

    def add(self, part: pl.DataFrame) -> None:
        """Take in the counts of one batch."""
        self._parts.append(part)
        if sum(each.height for each in self._parts) > 2 * self._merged + BATCH_ROWS:
            self._parts = [self.total()]
            self._merged = self._parts[0].height

    def total(self) -> pl.DataFrame:
        """Return the counts of all batches."""
        whole = pl.concat(self._parts)
        sums = [sum_ for name, sum_ in _SUMS.items() if name in whole.columns]
        merged = whole.group_by([each for each in whole.columns if each not in _SUMS]).agg(sums)
        return merged.select(whole.columns)  # as the parts are, so that more can be added


def total(frame: pl.DataFrame, where: pl.Expr | None = None) -> int:
    """Return how many jobs stand in the rows of *frame* that *where* holds for."""
    rows = frame if where is None else frame.filter(where)
    return int(rows["jobs"].sum())


def _time() -> pl.Expr:
    return pl.coalesce(_TIMES)


def _rows(number: int, source: Source, since: float | None, rules: JobTypeRules) -> pl.LazyFrame:
    """Return the rows of one source with what they are grouped by."""
    time = _time()
    inside = pl.lit(True) if since is None else (time >= since).fill_null(True)
    ended = ~pl.col("state").is_in(OPEN) | _is_attempt()
    return source.frame.with_columns(
        unreadable=pl.col("unreadable").fill_null(False),
        source=pl.lit(number, dtype=pl.UInt32),
        type_rule=rules.number(),
        time=time,
        inside=inside,
        gpu_hours=pl.when(ended).then(pl.col("gpus") * pl.col("gpu_share").fill_null(1) * pl.col("run_seconds") / 3600),
    )


class _Reduction:
    """One batch of rows to its counts."""

    def __init__(self, rules: JobTypeRules, causes: tuple[CauseRule, ...]) -> None:
        self._labels = {number: rule.type for number, rule in enumerate(rules.rules)}
        self._cause = rule_number(causes).alias("rule")

    def counts(self, rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """Return the parts of `Counts` by their names."""
        counted = rows.filter(pl.col("inside"), ~pl.col("unreadable"))
        whole = counted.filter(pl.col("part").is_null())
        return {
            "jobs": self._jobs(rows),
            "runs": self._values(whole.filter(~pl.col("state").is_in(OPEN)), "run_seconds"),
            "queues": self._values(whole, "queue_seconds"),
            "failures": self._failures(counted),
            "shapes": _shapes(whole),
            "sizes": _sizes(whole),
        }

    def _jobs(self, rows: pl.DataFrame) -> pl.DataFrame:
        keys: list[str | pl.Expr] = [
            "source",
            *_TYPE,
            "job_class",
            "state",
            "gpus",
            (pl.col("nodes") > 1).alias("multi_node"),
            (pl.col("restarts") > 0).alias("restarted"),
            "part",
            "unreadable",
            "inside",
            pl.col("time").is_not_null().alias("timed"),
        ]
        first, last = pl.col("time").min().alias("first"), pl.col("time").max().alias("last")
        return self._named(rows.group_by(keys).agg(_JOBS, pl.col("gpu_hours").sum(), first, last))

    def _values(self, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        known = rows.filter(pl.col(column).is_not_null())
        return self._named(known.group_by([*_TYPE, "job_class", pl.col(column).alias("value")]).agg(_JOBS))

    def _failures(self, rows: pl.DataFrame) -> pl.DataFrame:
        failed = pl.col("part").is_null() & pl.col("state").is_in([each.value for each in FAILURES])
        lost = rows.filter(failed | _is_attempt())
        by: list[str | pl.Expr] = ["cause", self._cause, "state", "exit_code", "signal"]
        return lost.group_by(by).agg(_JOBS, pl.col("gpu_hours").sum())

    def _named(self, counts: pl.DataFrame) -> pl.DataFrame:
        """Name the type: the source's own word, the rule's, or `other`."""
        ruled = pl.col("type_rule").replace_strict(self._labels, default=OTHER, return_dtype=pl.String)
        return counts.with_columns(pl.coalesce("job_type", ruled).alias("type")).drop(_TYPE)


def _is_attempt() -> pl.Expr:
    return (pl.col("part") == Part.ATTEMPT.value).fill_null(False)


def _shapes(rows: pl.DataFrame) -> pl.DataFrame:
    unknown = rows.filter(pl.col("job_type").is_null(), pl.col("type_rule").is_null())
    return unknown.group_by(shape(pl.col("name")).fill_null(_NO_NAME).alias("shape")).agg(_JOBS)


def _sizes(rows: pl.DataFrame) -> pl.DataFrame:
    known = rows.filter(pl.any_horizontal(pl.col(each).is_not_null() for each in SIZES))
    return known.group_by(SIZES).agg(_JOBS)
