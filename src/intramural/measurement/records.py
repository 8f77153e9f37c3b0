"""
The normal form of job records: one row a job, whatever it was read from.

Every reader is a module of this room with one function `read(...) -> Source`. What it returns
is lazy and is streamed once by `figures.measure`, so a reader builds expressions and keeps no
rows. A column that a source lacks is null; null always means "not on record", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import polars as pl


class State(StrEnum):
    """How a job ended, or that it has not."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    TIME_LIMIT = "time_limit"
    OUT_OF_MEMORY = "out_of_memory"
    NODE_FAILURE = "node_failure"
    REQUEUED = "requeued"
    """Ended only to be queued again."""
    RUNNING = "running"
    PENDING = "pending"
    UNKNOWN = "unknown"
    """Ended, or seen last, with no word on its success: its run time counts, its success does not."""


FAILURES = (State.FAILED, State.PREEMPTED, State.TIME_LIMIT, State.OUT_OF_MEMORY, State.NODE_FAILURE)
"""States of a job that ended by itself or by the machine's fault and did not complete."""
ENDED = (State.COMPLETED, State.CANCELLED, *FAILURES)
"""States that count in the success rate."""


class Part(StrEnum):
    """Why a row is no job of its own; its GPU time counts all the same."""

    ATTEMPT = "attempt"
    """An earlier attempt of a job whose newest record is another row."""
    COMPONENT = "component"
    """A further component of a heterogeneous job."""


SCHEMA: dict[str, pl.DataType] = {
    "job": pl.String(),  # its identifier in the source
    "name": pl.String(),
    "command": pl.String(),
    "tags": pl.String(),  # separated by spaces
    "job_class": pl.String(),  # a partition, a quality of service, a namespace, our own job class
    "job_type": pl.String(),  # where the source itself knows it; else the rules tell
    "submitted": pl.Float64(),  # epoch seconds, or seconds since the source's own start (`Source.dated` false)
    "started": pl.Float64(),
    "ended": pl.Float64(),
    "queue_seconds": pl.Float64(),  # filled from the times where null
    "run_seconds": pl.Float64(),  # filled from the times where null
    "state": pl.String(),  # a `State`
    "gpus": pl.Float64(),  # of the whole job
    "gpu_share": pl.Float64(),  # of each of them, where GPUs are shared; null where each is whole
    "nodes": pl.Float64(),
    "exit_code": pl.Int64(),
    "signal": pl.Int64(),
    "reason": pl.String(),  # what is on record about the end; read for its pattern, never shown
    "cause": pl.String(),  # a `Cause`, where the source itself knows it; else the rules tell
    "restarts": pl.Int64(),  # times it was requeued or resumed; null when the source cannot tell
    "part": pl.String(),  # a `Part`; null for a job
    "unreadable": pl.Boolean(),  # a row that holds no record; counted as skipped
    "checkpoint_seconds": pl.Float64(),  # between two checkpoints
    "checkpoint_bytes": pl.Float64(),
    "dataset_bytes": pl.Float64(),
    "dataset_samples": pl.Float64(),
    "sequence_tokens": pl.Float64(),
}
"""The columns of the normal form and their types; `normal` brings any subset of them into it."""


@dataclass(frozen=True)
class Source:
    """Records of one kind from one place, in the normal form."""

    kind: str
    """`sacct`, `kubernetes`, `mlflow`, `wandb`, `table`, `own`; never a path."""
    frame: pl.LazyFrame
    """What `normal` returned."""
    name: str = ""
    """The file, address or word that a person gave; for errors only."""
    skipped_rows: int = 0
    """Rows that the reader left out as unreadable, beside those marked `unreadable` in the frame."""
    notices: tuple[str, ...] = ()
    """What the reader of the figures must know; never content."""
    dated: bool = True
    """Whether the times are epoch seconds; if not they only tell how far rows are apart."""
    restarts_if_seen: bool = False
    """Whether restarts are known only if at least one is on record (the export may have left them out)."""
    empty: str = "It holds no job records."
    """What to say when the frame turns out to have no job: one sentence, as the error's hint."""


def normal(frame: pl.LazyFrame | pl.DataFrame) -> pl.LazyFrame:
    """Return *frame* with exactly the columns of `SCHEMA`: missing ones null, durations filled from the times."""
    lazy = frame.lazy()
    given = set(lazy.collect_schema().names())
    columns = [
        pl.col(name).cast(kind, strict=False) if name in given else pl.lit(None, dtype=kind).alias(name)
        for name, kind in SCHEMA.items()
    ]
    return lazy.select(columns).with_columns(
        state=pl.col("state").fill_null(State.UNKNOWN.value),
        queue_seconds=_or_between("queue_seconds", "submitted", "started"),
        run_seconds=_or_between("run_seconds", "started", "ended"),
    )


def _or_between(name: str, first: str, last: str) -> pl.Expr:
    """Return the duration, or what lies between two times; a negative one is a clock's fault and unknown."""
    between = pl.col(last) - pl.col(first)
    known = pl.coalesce(pl.col(name), between)
    return pl.when(known >= 0).then(known)
