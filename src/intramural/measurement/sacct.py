"""
Slurm accounting as text: what `sacct -P` prints, with any columns in any order.

Steps (`123.batch`) are no jobs; a step that ran out of memory tells it of its job. Records of one
job that follow each other (`sacct --duplicates`) are its attempts: the newest is the job. All of
this looks only at neighbouring rows, so one pass in bounded memory is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from intramural.errors import InvalidInput
from intramural.measurement import slurm
from intramural.measurement.paths import head
from intramural.measurement.records import Part, Source, State, normal
from intramural.measurement.text_rows import MORE, scan_text

EXPORT = (
    "sacct -P --allusers --duplicates -S now-90days "
    "-o JobID,JobName,Partition,State,ExitCode,Submit,Start,End,ElapsedRaw,NNodes,AllocTRES"
)
"""The command whose output has everything."""
_DELIMITERS = "|^;\t"
_IDS = ("jobid", "jobidraw")
_TELLING = {"state", "elapsed", "elapsedraw", "submit", "start", "end", "exitcode", "alloctres", "jobname", "nnodes"}
_CLOCK = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
"""What times look like unless SLURM_TIME_FORMAT made them seconds."""
_STARVED = "a step ran out of memory"
_STEPS_SEEN = 3
"""How many steps after a job are looked at for one that ran out of memory."""


def looks_like_sacct(first: bytes) -> bool:
    """Tell whether a file that begins with *first* is text of `sacct -P`."""
    columns = set(_header(first)[0])
    return bool(columns & set(_IDS)) and bool(columns & _TELLING)


def looks_padded(first: bytes) -> bool:
    """Tell whether it is text of `sacct` in padded columns, which cannot be read reliably."""
    lines = first.decode("utf-8", "replace").splitlines()[:2]
    return len(lines) == 2 and "JobID" in lines[0] and set(lines[1].strip()) == {"-", " "}


def read(path: Path) -> Source:
    """Return the jobs of the text at *path*; raise `InvalidInput` when its header is none of sacct's."""
    first = head(path)
    columns, delimiter = _header(first)
    if not set(columns) & set(_IDS):
        raise InvalidInput(
            f"{path.name} has no header line of sacct.", hint=f"Export with the header: {EXPORT}", file=path.name
        )
    rows = scan_text(path, columns, delimiter)
    jobs = _Jobs(columns, clock=_CLOCK.search(first) is not None)
    return Source(
        kind="sacct",
        name=path.name,
        frame=normal(jobs.of(rows)),
        notices=jobs.notices(),
        restarts_if_seen="restarts" not in columns,
        empty=f"It holds only steps (like 123.batch), or no rows below its header. Export with: {EXPORT}",
    )


def _header(first: bytes) -> tuple[list[str], str]:
    """Return the columns of the first line, in lower case and each once, and the delimiter."""
    line = first.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip("\r\n")
    delimiter = max(_DELIMITERS, key=line.count)
    columns: list[str] = []
    for place, word in enumerate(line.split(delimiter)):
        name = word.strip().casefold()
        columns.append(name if name and name not in columns else f"column {place + 1}")
    return columns, delimiter


class _Jobs:
    """The expressions from sacct's columns, those that are there, to the normal form."""

    def __init__(self, columns: list[str], *, clock: bool) -> None:
        self._columns = set(columns)
        self._time_of = slurm.time_of if clock else slurm.number_of
        self._id = next(each for each in _IDS if each in columns)

    def of(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the jobs, their attempts and components among *rows*."""
        job, state = pl.col(self._id), pl.col("state") if "state" in self._columns else None
        step = slurm.is_step(job).fill_null(False)
        header = job.is_in(["JobID", "JobIDRaw"]).fill_null(False)  # between two exports in one file
        blank = job.is_null() & (state.is_null() if state is not None else True)
        starved = _step_out_of_memory(step, state) if state is not None else pl.lit(False)
        marked = rows.with_columns(starved.alias(_STARVED)).filter(~step, ~header, ~blank)
        fields = self._fields()
        jobs = marked.select(*(each.alias(name) for name, each in fields.items()), *self._states(job))
        return jobs.with_columns(_attempts(fields))

    def _states(self, job: pl.Expr) -> list[pl.Expr]:
        unreadable = job.is_null() | pl.col(MORE).is_not_null().and_(pl.col(MORE).str.len_bytes() > 0)
        if "state" not in self._columns:
            return [job.alias("job"), pl.lit(State.UNKNOWN.value).alias("state"), unreadable.alias("unreadable")]
        state = slurm.state_of(pl.col("state"))
        failed = pl.when((state == State.FAILED.value) & pl.col(_STARVED)).then(pl.lit(State.OUT_OF_MEMORY.value))
        return [job.alias("job"), failed.otherwise(state).alias("state"), (unreadable | state.is_null()).alias("unreadable")]

    def _fields(self) -> dict[str, pl.Expr]:
        fields = {
            "name": self._text("jobname"),
            "command": self._text("submitline"),
            "tags": self._text("qos"),
            "job_class": self._text("partition", "qos"),
            "submitted": self._time("submit"),
            "started": self._time("start"),
            "ended": self._time("end") if self._needs_end() else None,
            "queue_seconds": self._duration("planned", "reserved"),
            "run_seconds": self._run_seconds(),
            "gpus": self._gpus(),
            "nodes": self._number("nnodes", "allocnodes"),
            "exit_code": self._code("exitcode", 0),
            "signal": self._code("exitcode", 1),
            "reason": self._text("reason"),
            "restarts": self._number("restarts"),
        }
        return {name: expression for name, expression in fields.items() if expression is not None}

    def notices(self) -> tuple[str, ...]:
        """Say which figures the missing columns cost."""
        needs = {
            "states, success and causes": ("state",),
            "queue times": ("submit", "planned", "reserved"),
            "run times": ("elapsedraw", "elapsed", "end"),
            "GPUs and GPU-hours": ("alloctres", "reqtres", "allocgres", "reqgres"),
            "job types": ("jobname", "submitline"),
            "nodes": ("nnodes", "allocnodes"),
        }
        missing = [figure for figure, columns in needs.items() if not self._columns & set(columns)]
        return (f"sacct: no column for {', '.join(missing)}.",) if missing else ()

    def _first(self, *names: str) -> list[pl.Expr]:
        return [pl.col(name) for name in names if name in self._columns]

    def _text(self, *names: str) -> pl.Expr | None:
        found = self._first(*names)
        return pl.coalesce(found) if found else None

    def _number(self, *names: str) -> pl.Expr | None:
        found = self._first(*names)
        return pl.coalesce(slurm.number_of(each) for each in found) if found else None

    def _time(self, name: str) -> pl.Expr | None:
        return self._time_of(pl.col(name)) if name in self._columns else None

    def _duration(self, *names: str) -> pl.Expr | None:
        """Return a duration that is only needed where no two times give it."""
        found = self._first(*names)
        if not found or {"submit", "start"} <= self._columns:
            return None
        return pl.coalesce(slurm.seconds_of(each) for each in found)

    def _needs_end(self) -> bool:
        """Tell whether nothing but the end gives the run time or the record's place in the window."""
        return not self._columns & {"elapsed", "elapsedraw"} or not self._columns & {"submit", "start"}

    def _run_seconds(self) -> pl.Expr | None:
        ways = [*(slurm.number_of(each) for each in self._first("elapsedraw"))]
        if not ways:  # parsing `Elapsed` costs more and says the same
            ways = [slurm.seconds_of(each) for each in self._first("elapsed")]
        if not ways:
            return None
        if "start" not in self._columns:
            return ways[0]
        started = pl.col("start").str.len_bytes() > len("Unknown")  # what never started has no run time, not one of 0 s
        return pl.when(started).then(ways[0])

    def _gpus(self) -> pl.Expr | None:
        ways = [slurm.gpus_of_tres(each) for each in self._first("alloctres")]
        ways += [slurm.gpus_of_gres(each) for each in self._first("allocgres")]
        ways += [slurm.gpus_of_tres(each) for each in self._first("reqtres")]
        nodes = self._number("nnodes", "allocnodes", "reqnodes")
        if nodes is not None:
            ways += [slurm.gpus_of_gres(each) * nodes for each in self._first("reqgres")]  # asked for on each node
        return pl.coalesce(ways) if ways else None

    def _code(self, name: str, part: int) -> pl.Expr | None:
        return slurm.exit_code(pl.col(name), part) if name in self._columns else None


def _step_out_of_memory(step: pl.Expr, state: pl.Expr) -> pl.Expr:
    """Tell whether one of the steps that follow a job ran out of memory."""
    out = state.str.starts_with("OUT_OF_ME").fill_null(False)
    found = pl.lit(False)
    for ahead in range(_STEPS_SEEN, 0, -1):
        found = step.shift(-ahead, fill_value=False) & (out.shift(-ahead, fill_value=False) | found)
    return found


def _attempts(columns: Iterable[str]) -> list[pl.Expr]:
    """Mark all but the newest of neighbouring records of one job, and count a restart for that one."""
    job, when = pl.col("job"), [pl.col(each) for each in ("submitted", "started", "ended") if each in columns]
    time = pl.coalesce(when) if when else pl.lit(None, dtype=pl.Float64)
    before, after = job == job.shift(1), job == job.shift(-1)
    newer_before, newer_after = time.shift(1) > time, (time.shift(-1) >= time).fill_null(True)
    earlier = ((before & newer_before) | (after & newer_after)).fill_null(False)
    attempt = pl.when(earlier, pl.col("state") != State.COMPLETED.value).then(pl.lit(Part.ATTEMPT.value))
    seen = pl.when(~earlier & (before | after).fill_null(False)).then(1).otherwise(0)
    given = pl.col("restarts") if "restarts" in columns else pl.lit(0)
    return [
        pl.coalesce(attempt, slurm.part_of_job(job)).alias("part"),
        pl.max_horizontal(given, seen).alias("restarts"),
    ]
