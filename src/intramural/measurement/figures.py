"""
Counts to figures: the interview's numbers, with what their reader must know.

What each figure counts is documented in `docs/concepts/measuring.md`; a test holds each
definition against rows worked out by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any

import polars as pl

from intramural.domain.answers import Window
from intramural.domain.cause import Cause
from intramural.domain.cause_rules import DEFAULT_RULES, CauseRule
from intramural.domain.measurement import CauseFigures, ClassFigures, Measurement, Pattern, Percentiles, TypeFigures
from intramural.errors import InvalidInput
from intramural.measurement.causes import told_from
from intramural.measurement.counting import SIZES, Counts, count, newest, total
from intramural.measurement.job_types import JobTypeRules, check_labels, default_rules
from intramural.measurement.notices import notices_of
from intramural.measurement.percentiles import percentiles
from intramural.measurement.records import ENDED, Source, State

_DAY = 86_400
_RECENT_DAYS = 2
"""A source whose newest record is older is historical: its own end is the window's end."""
_PATTERNS = 20
_EVIDENCE = 5
_NONE = pl.DataFrame(schema={"value": pl.Float64, "jobs": pl.UInt32})


def measure(
    sources: Sequence[Source],
    *,
    now: datetime,
    days: float | None = 90,
    rules: JobTypeRules | None = None,
    cause_rules: tuple[CauseRule, ...] = DEFAULT_RULES,
) -> Measurement:
    """Compute the interview's numbers from *sources*, for the last *days* (none: all that is on record)."""
    rules = rules or default_rules()
    check_labels(rules)
    since, historical = _since(sources, now, days)
    counts = count(sources, since, rules, cause_rules)
    _check_not_empty(sources, counts)
    kept = counts.jobs.filter(pl.col("inside"), ~pl.col("unreadable"))
    jobs = kept.filter(pl.col("part").is_null())
    found = Measurement(
        sources=tuple(dict.fromkeys(each.kind for each in sources)),
        window=_window(sources, kept, days),
        jobs=total(jobs),
        states=dict(_ranked(jobs, "state")),
        running=total(jobs, pl.col("state") == State.RUNNING.value),
        run_seconds=percentiles(counts.runs),
        queue_seconds=percentiles(counts.queues),
        by_type=_by_type(counts, kept, rules, lambda label: label),
        by_profile_type=_by_type(counts, kept, rules, rules.counts_as),
        by_class=_by_class(counts, jobs),
        gpu_counts=_gpu_counts(jobs),
        multi_node=_share(jobs, pl.col("multi_node"), of=pl.col("multi_node").is_not_null()),
        gpu_hours=float(kept["gpu_hours"].sum()),
        cancelled_gpu_hours=float(jobs.filter(pl.col("state") == State.CANCELLED.value)["gpu_hours"].sum()),
        success=_success(jobs, ENDED),
        success_without_cancelled=_success(jobs, [each for each in ENDED if each is not State.CANCELLED]),
        causes=_causes(counts.failures, cause_rules),
        resumed=_resumed(sources, jobs),
        unclassified=tuple(Pattern(pattern=shape, jobs=n) for shape, n in _ranked(counts.shapes, "shape")[:_PATTERNS]),
        skipped_rows=total(counts.jobs, pl.col("unreadable")) + sum(each.skipped_rows for each in sources),
        **_sizes(counts.sizes),
    )
    return found.model_copy(update={"notices": notices_of(sources, counts, found, historical=historical)})


def _since(sources: Sequence[Source], now: datetime, days: float | None) -> tuple[list[float | None], bool]:
    """Return from when on each source counts, and whether the window ends in the past."""
    if days is None or not sources:
        return [None] * len(sources), False
    last = newest(sources)
    dated = [time for source, time in zip(sources, last, strict=True) if source.dated and time is not None]
    end, historical = now.timestamp(), False
    if dated and max(dated) < end - _RECENT_DAYS * _DAY:
        end, historical = max(dated), True
    own = [end if source.dated else time for source, time in zip(sources, last, strict=True)]
    return [None if time is None else time - days * _DAY for time in own], historical


def _check_not_empty(sources: Sequence[Source], counts: Counts) -> None:
    """Raise `InvalidInput` for the first source without a readable job."""
    if not sources:
        raise InvalidInput("There is nothing to measure.", hint="Give a file of job records, or `own` for our own runs.")
    readable = counts.jobs.filter(~pl.col("unreadable"), pl.col("part").is_null())
    with_jobs = set(readable["source"].to_list())
    for number, source in enumerate(sources):
        if number not in with_jobs:
            unread = source.skipped_rows + total(counts.jobs, pl.col("unreadable") & (pl.col("source") == number))
            rows = f" ({unread} rows cannot be read)" if unread else ""
            raise InvalidInput(f"{source.name or source.kind} holds no job{rows}.", hint=source.empty)


def _window(sources: Sequence[Source], kept: pl.DataFrame, days: float | None) -> Window | None:
    """Return what the counted records span; without dates where the source has none."""
    timed = kept.filter(pl.col("timed"))
    if timed.is_empty():
        return None
    spans = timed.group_by("source").agg(pl.col("first").min(), pl.col("last").max()).rows()
    dated = [(first, last) for number, first, last in spans if sources[number].dated]
    if dated:
        first, last = min(each[0] for each in dated), max(each[1] for each in dated)
        span = (last - first) / _DAY
        ends = {"first": datetime.fromtimestamp(first, UTC).date(), "last": datetime.fromtimestamp(last, UTC).date()}
    else:
        span, ends = max(last - first for _, first, last in spans) / _DAY, {}
    covered = max(1, ceil(span))
    return Window(days=covered if days is None else min(days, covered), **ends)


def _by_type(counts: Counts, kept: pl.DataFrame, rules: JobTypeRules, name: Callable[[str], str]) -> tuple[TypeFigures, ...]:
    """Return the figures of each type, most jobs first, the types named by *name*."""
    labels = {label: name(label) for label in {*kept["type"], *counts.runs["type"], *counts.queues["type"]}}
    by = pl.col("type").replace_strict(labels, return_dtype=pl.String).alias("label")
    jobs = kept.filter(pl.col("part").is_null()).with_columns(by)
    runs, queues = _split(counts.runs.with_columns(by), "label"), _split(counts.queues.with_columns(by), "label")
    hours = dict(kept.with_columns(by).group_by("label").agg(pl.col("gpu_hours").sum()).iter_rows())
    whole, groups = total(jobs), _split(jobs, "label")
    return tuple(
        TypeFigures(
            job_type=label,
            counts_as=rules.counts_as(label),
            jobs=n,
            share=100 * n / whole,
            run_seconds=percentiles(runs.get(label, _NONE)),
            queue_seconds=percentiles(queues.get(label, _NONE)),
            gpus=percentiles(groups[label].filter(pl.col("gpus").is_not_null()).select(pl.col("gpus").alias("value"), "jobs")),
            success=_success(groups[label], ENDED),
            gpu_hours=float(hours[label]),
        )
        for label, n in _ranked(jobs, "label")
    )


def _by_class(counts: Counts, jobs: pl.DataFrame) -> tuple[ClassFigures, ...]:
    runs, queues = _split(counts.runs, "job_class"), _split(counts.queues, "job_class")
    return tuple(
        ClassFigures(
            name=name,
            jobs=n,
            queue_seconds=percentiles(queues.get(name, _NONE)),
            run_seconds=percentiles(runs.get(name, _NONE)),
        )
        for name, n in _ranked(jobs.filter(pl.col("job_class").is_not_null()), "job_class")
    )


def _causes(failures: pl.DataFrame, rules: tuple[CauseRule, ...]) -> tuple[CauseFigures, ...]:
    """Return the causes by lost GPU time, most first, each with what it was told from most often."""
    told = [(*told_from(rules, row), row["jobs"], row["gpu_hours"]) for row in failures.iter_rows(named=True)]
    if not told:
        return ()
    frame = pl.DataFrame(told, schema=["cause", "evidence", "jobs", "hours"], orient="row").with_columns(
        pl.col("cause").cast(str)
    )
    whole, lost = int(frame["jobs"].sum()), float(frame["hours"].sum())
    causes = frame.group_by("cause").agg(pl.col("jobs").sum(), pl.col("hours").sum())
    return tuple(
        CauseFigures(
            cause=Cause(cause),
            jobs=jobs,
            share=100 * jobs / whole,
            lost_gpu_hours=hours,
            lost_share=100 * hours / lost if lost else 0.0,
            evidence=tuple(each for each, _ in _ranked(frame.filter(pl.col("cause") == cause), "evidence")[:_EVIDENCE]),
        )
        for cause, jobs, hours in causes.sort(["hours", "jobs", "cause"], descending=[True, True, False]).iter_rows()
    )


def _gpu_counts(jobs: pl.DataFrame) -> dict[str, float]:
    known = jobs.filter(pl.col("gpus").is_not_null()).with_columns(pl.col("gpus").round(2))
    whole = total(known)
    return {f"{gpus:g}": 100 * n / whole for gpus, n in _ranked(known, "gpus")}


def _resumed(sources: Sequence[Source], jobs: pl.DataFrame) -> float | None:
    """Return the share of started jobs that were restarted, over the sources that can tell."""
    started = jobs.filter(pl.col("state") != State.PENDING.value, pl.col("restarted").is_not_null())
    restarted = set(started.filter(pl.col("restarted"))["source"].to_list())
    telling = [n for n, source in enumerate(sources) if not source.restarts_if_seen or n in restarted]
    return _share(started, pl.col("restarted"), of=pl.col("source").is_in(telling))


def _success(jobs: pl.DataFrame, of: Iterable[State]) -> float | None:
    return _share(jobs, pl.col("state") == State.COMPLETED.value, of=pl.col("state").is_in([each.value for each in of]))


def _sizes(sizes: pl.DataFrame) -> dict[str, Percentiles | None]:
    columns = {"checkpoint_interval_seconds": "checkpoint_seconds"} | {name: name for name in SIZES[1:]}
    known = {
        name: sizes.filter(pl.col(column).is_not_null()).select(value=column, jobs="jobs") for name, column in columns.items()
    }
    return {name: percentiles(each) if each.height else None for name, each in known.items()}


def _share(jobs: pl.DataFrame, part: pl.Expr, *, of: pl.Expr) -> float | None:
    whole = total(jobs, of)
    return 100 * total(jobs, of & part) / whole if whole else None


def _ranked(frame: pl.DataFrame, column: str) -> list[tuple[Any, int]]:
    """Return each value of *column* with its jobs, most first."""
    counted = frame.group_by(column).agg(pl.col("jobs").sum().cast(pl.Int64))
    return counted.sort("jobs", column, descending=[True, False]).rows()


def _split(frame: pl.DataFrame, column: str) -> dict[Any, pl.DataFrame]:
    return {key[0]: part for key, part in frame.partition_by(column, as_dict=True).items()}
