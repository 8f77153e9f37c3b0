"""
Any table of jobs, CSV or Parquet, with a mapping of its columns.

Without a mapping the columns are told from their names, if those say it; what was taken for what
is a notice.
"""

from __future__ import annotations

import difflib
from functools import reduce
from pathlib import Path

import polars as pl

from intramural.errors import InvalidInput
from intramural.measurement.paths import head
from intramural.measurement.records import Source, State, normal
from intramural.measurement.slurm import number_of, seconds_of
from intramural.measurement.table_mapping import (
    BYTES,
    COUNTS,
    NUMBERS,
    SECONDS,
    SIZES,
    TIMES,
    ColumnRule,
    Columns,
    TableMapping,
)

_DELIMITERS = ",;\t|"
_PARQUET = b"PAR1"
_SHOWN_COLUMNS = 12
_KNOWN_AS = {
    "job": ("job_id", "jobid", "id"),
    "name": ("job_name", "jobname"),
    "job_class": ("partition", "queue", "qos", "namespace", "class"),
    "job_type": ("type",),
    "submitted": ("submit", "submit_time", "submitted_at", "created_at", "creation_time"),
    "started": ("start", "start_time", "started_at"),
    "ended": ("end", "end_time", "ended_at", "finished_at"),
    "queue_seconds": ("queue_s", "queue_time_s", "wait_s"),
    "run_seconds": ("run_s", "duration_s", "runtime_s", "elapsed_s", "run_time_s"),
    "state": ("status", "phase", "outcome"),
    "gpus": ("num_gpus", "num_gpu", "gpu_count", "gpu_num"),
    "nodes": ("num_nodes", "node_count", "node_num", "nnodes"),
}
_NEEDED = ("state", "run_seconds", "queue_seconds", "started", "ended")
"""A table with none of these tells nothing that is measured."""
_WORDS: dict[str, State] = {
    **dict.fromkeys(
        ("completed", "complete", "succeeded", "success", "finished", "passed", "pass", "done", "ok"), State.COMPLETED
    ),
    **dict.fromkeys(("failed", "failure", "error", "errored", "crashed", "unsuccessful"), State.FAILED),
    **dict.fromkeys(("cancelled", "canceled", "killed", "aborted", "stopped"), State.CANCELLED),
    **dict.fromkeys(("preempted", "evicted"), State.PREEMPTED),
    **dict.fromkeys(("timeout", "time_limit", "timed_out", "deadline"), State.TIME_LIMIT),
    **dict.fromkeys(("out_of_memory", "oom", "oomkilled"), State.OUT_OF_MEMORY),
    **dict.fromkeys(("node_fail", "node_failure", "node_failed", "boot_fail"), State.NODE_FAILURE),
    **dict.fromkeys(("running", "run"), State.RUNNING),
    **dict.fromkeys(("pending", "queued", "waiting"), State.PENDING),
    "requeued": State.REQUEUED,
    "unknown": State.UNKNOWN,
}
"""Common words for states, in lower case; a mapping's own come first."""


def read(path: Path, mapping: TableMapping | None = None) -> Source:
    """Return the jobs of the table at *path*; raise `InvalidInput` when its columns are not those of the mapping."""
    rows = scan(path, mapping.delimiter if mapping else None)
    names = rows.collect_schema()
    chosen = mapping or _guessed(path, list(names))
    rules = chosen.columns.rules
    for rule in rules.values():
        _check_there(path, rule.column, list(names))
    columns = {name: _column(name, rule, names[rule.column]) for name, rule in rules.items()}
    blank = pl.all_horizontal(pl.col(name).is_null() for name in columns)
    frame = rows.select(**columns).with_columns(unreadable=blank)
    told = ", ".join(f"`{rule.column}` as {name}" for name, rule in rules.items())
    return Source(
        kind="table",
        name=path.name,
        frame=normal(frame),
        notices=() if mapping else (f"table: read {told}.",),
        dated=chosen.times == "dates",
        empty="It has a header and no rows.",
    )


def looks_like_table(first: bytes) -> bool:
    """Tell whether a file that begins with *first* is delimited text with a header, or Parquet."""
    if first.startswith(_PARQUET):
        return True
    lines = first.decode("utf-8-sig", "replace").splitlines()[:2]
    if b"\0" in first or not lines or not lines[0].strip() or lines[0].lstrip()[:1] in "{[<":
        return False
    delimiter = delimiter_of(lines[0])
    return delimiter in lines[0] and (len(lines) < 2 or delimiter in lines[1])


def scan(path: Path, delimiter: str | None = None) -> pl.LazyFrame:
    """Return the rows of *path*: text as it stands, Parquet with its own types."""
    first = head(path)
    try:
        if first.startswith(_PARQUET):
            rows = pl.scan_parquet(path, glob=False)
        else:
            line = first.split(b"\n", 1)[0].decode("utf-8-sig", "replace")
            rows = pl.scan_csv(
                path,
                separator=delimiter or delimiter_of(line),
                infer_schema=False,
                encoding="utf8-lossy",
                truncate_ragged_lines=True,
                missing_columns="insert",
                glob=False,
            )
        rows.collect_schema()
    except pl.exceptions.PolarsError:
        raise InvalidInput(f"{path.name} is no table that can be read.", hint="Give CSV with a header, or Parquet.") from None
    return rows


def delimiter_of(line: str) -> str:
    """Return the delimiter that a header uses most."""
    return max(_DELIMITERS, key=line.count)


def _guessed(path: Path, names: list[str]) -> TableMapping:
    """Return the mapping that the columns' names tell; raise `InvalidInput` when they tell too little."""
    plain = {name.strip().casefold().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    found = {
        ours: plain[word]
        for ours in Columns.model_fields
        for word in [next((each for each in (ours, *_KNOWN_AS.get(ours, ())) if each in plain), None)]
        if word is not None
    }
    if not set(found) & set(_NEEDED):
        raise InvalidInput(
            f"{path.name} is a table, and its columns do not say what they are: {_listed(names)}.",
            hint="Give a file that says it with --mapping, for example `columns: {run_seconds: COLUMN, state: COLUMN}`.",
            file=path.name,
        )
    return TableMapping(columns=Columns(**found))


def _check_there(path: Path, column: str, names: list[str]) -> None:
    if column not in names:
        near = difflib.get_close_matches(column, names, n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"Its columns: {_listed(names)}."
        raise InvalidInput(f"{path.name} has no column `{column}`, which the mapping names.", hint=hint, file=path.name)


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN_COLUMNS
    return ", ".join(f"`{each}`" for each in names[:_SHOWN_COLUMNS]) + (f" and {more} more" if more > 0 else "")


def _column(name: str, rule: ColumnRule, kind: pl.DataType) -> pl.Expr:
    """Return the expression from a column of the table to one of the normal form."""
    text = pl.col(rule.column).cast(pl.String, strict=False).str.strip_chars()
    text = pl.when(text.str.len_bytes() > 0).then(text)
    if name == "state":
        return _state(text, rule)
    if name in TIMES:
        return _time(rule, kind, text)
    if name in SIZES:
        return number_of(text) * BYTES[rule.unit or "B"]
    if name.endswith("_seconds"):
        return seconds_of(text) if rule.unit == "clock" else _seconds(rule, kind, text)
    if name in NUMBERS:
        return number_of(text) * COUNTS.get(rule.unit or "", 1.0)
    return _mapped(text, rule.values, pl.lit(rule.otherwise) if rule.otherwise else text)


def _state(text: pl.Expr, rule: ColumnRule) -> pl.Expr:
    """Return our word: the mapping's own words first, then common ones, then what the mapping says of others."""
    word = text.str.to_lowercase().str.extract(r"^([a-z_]+)")
    common = _mapped(word, {each: state.value for each, state in _WORDS.items()}, pl.lit(rule.otherwise, dtype=pl.String))
    return _mapped(text, rule.values, common)


def _mapped(text: pl.Expr, words: dict[str, str], otherwise: pl.Expr) -> pl.Expr:
    """Return what each word stands for; `replace` would keep the whole column in memory."""
    by_meaning: dict[str, list[str]] = {}
    for word, meaning in words.items():
        by_meaning.setdefault(meaning, []).append(word)
    return reduce(
        lambda rest, each: pl.when(text.is_in(each[1])).then(pl.lit(each[0])).otherwise(rest), by_meaning.items(), otherwise
    )


def _seconds(rule: ColumnRule, kind: pl.DataType, text: pl.Expr) -> pl.Expr:
    if isinstance(kind, pl.Duration):
        return pl.col(rule.column).dt.total_microseconds() / 1e6
    return number_of(text) * SECONDS[rule.unit or "s"]


def _time(rule: ColumnRule, kind: pl.DataType, text: pl.Expr) -> pl.Expr:
    """Return seconds since the epoch, or since the table's own start."""
    if isinstance(kind, pl.Datetime | pl.Date):
        return pl.col(rule.column).cast(pl.Datetime("us", getattr(kind, "time_zone", None))).dt.epoch("us") / 1e6
    if rule.format:
        return text.str.to_datetime(rule.format, strict=False, time_unit="us", cache=False).dt.epoch("us") / 1e6
    plain = text.str.replace("T", " ", literal=True).str.replace(r"(?i) ?(Z|UTC)$", "")
    ways = [number_of(text) * SECONDS[rule.unit or "s"]]
    for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f%z"):
        ways.append(plain.str.to_datetime(form, strict=False, time_unit="us", cache=False).dt.epoch("us") / 1e6)
    ways.append(plain.str.to_date("%Y-%m-%d", strict=False, cache=False).dt.epoch("us") / 1e6)
    return pl.coalesce(ways)
