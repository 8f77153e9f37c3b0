"""
Slurm accounting as JSON: what `sacct --json` prints, of any version.

A number is a number or `{"set": …, "infinite": …, "number": …}`, a state is a word or a list of
words; both forms occur. The document is read whole: for millions of jobs, `sacct -P` is the format.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from intramural.errors import InvalidInput
from intramural.measurement.paths import opened, unreadable
from intramural.measurement.records import SCHEMA, Part, Source, State, normal
from intramural.measurement.slurm import state_word

_MOST_BYTES = 4 * 1024**3
_SIGNALS = {"SIGINT": 2, "SIGABRT": 6, "SIGBUS": 7, "SIGFPE": 8, "SIGKILL": 9, "SIGSEGV": 11, "SIGTERM": 15}


def looks_like_sacct_json(document: Any) -> bool:
    """Tell whether a JSON document is one of `sacct --json`."""
    jobs = document.get("jobs") if isinstance(document, dict) else None
    return isinstance(jobs, list) and (not jobs or (isinstance(jobs[0], dict) and "job_id" in jobs[0]))


def read(path: Path) -> Source:
    """Return the jobs of the document at *path*; raise `InvalidInput` when it is another."""
    document = _document(path)
    if not looks_like_sacct_json(document):
        raise InvalidInput(f"{path.name} is no document of `sacct --json`.", hint="Export with `sacct --json`.")
    records = [each for each in document["jobs"] if isinstance(each, dict) and "job_id" in each]
    rows = [_row(each) for each in records]
    _mark_attempts(rows)
    return Source(
        kind="sacct",
        name=path.name,
        frame=normal(pl.DataFrame(rows, schema=SCHEMA, strict=False)),
        skipped_rows=len(document["jobs"]) - len(records),
        restarts_if_seen=not any("restart_cnt" in each for each in records),
        empty="Its list of jobs is empty: widen the time range of the export.",
    )


def _document(path: Path) -> Any:
    try:
        with opened(path) as file:
            text = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError) as error:
        raise unreadable(path, error) from error
    if len(text) > _MOST_BYTES:
        raise InvalidInput(f"{path.name} is too large to read whole.", hint="Export with `sacct -P`, which is streamed.")
    try:
        return orjson.loads(text.decode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        where = f"{path.name}, line {error.lineno}"
        raise InvalidInput(f"{where}: this is not JSON.", hint="Export it again; it may be cut off.") from None


def _row(job: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of one record."""
    time, state = _mapping(job.get("time")), _state(job)
    started, ended = _moment(time.get("start")), _moment(time.get("end"))
    exit_code = _mapping(job.get("exit_code"))
    array, het = _mapping(job.get("array")), _mapping(job.get("het"))
    task, offset = _number(array.get("task_id")), _number(het.get("job_offset"))
    known = state is not None
    return {
        "job": f"{job['job_id']}_{task:g}" if task is not None and _number(array.get("job_id")) else str(job["job_id"]),
        "name": _text(job.get("name")),
        "command": _text(job.get("submit_line")),
        "tags": _text(job.get("qos")),
        "job_class": _text(job.get("partition")) or _text(job.get("qos")),
        "submitted": _moment(time.get("submission")),
        "started": started,
        "ended": ended if state not in (State.RUNNING, State.PENDING) else None,
        "run_seconds": _number(time.get("elapsed")) if started is not None else None,
        "state": state.value if state else None,
        "gpus": _gpus(job),
        "nodes": _number(job.get("allocation_nodes")) or None,
        "exit_code": _whole(exit_code.get("return_code")),
        "signal": _signal(exit_code.get("signal")),
        "reason": _text(_mapping(job.get("state")).get("reason")),
        "restarts": _whole(job.get("restart_cnt")),
        "part": Part.COMPONENT.value if offset and _number(het.get("job_id")) else None,
        "unreadable": not known,
    }


def _state(job: dict[str, Any]) -> State | None:
    """Return the state: the first word that is one; a step that ran out of memory tells it of its job."""
    given = job.get("state")
    words = given.get("current") if isinstance(given, dict) else given
    found = [state_word(each) for each in (words if isinstance(words, list) else [words]) if isinstance(each, str)]
    state = next((each for each in found if each is not None), None)
    if state is State.FAILED and any("OUT_OF_MEMORY" in str(_mapping(step).get("state")) for step in job.get("steps") or []):
        return State.OUT_OF_MEMORY
    return state


def _gpus(job: dict[str, Any]) -> float | None:
    """Return the GPUs of the trackable resources: the sum over types, or the total where that is on record."""
    tres = _mapping(job.get("tres"))
    for which in ("allocated", "requested"):
        if listed := [each for each in tres.get(which) or [] if isinstance(each, dict)]:
            gpus = [each for each in listed if each.get("type") == "gres" and str(each.get("name")).split(":")[0] == "gpu"]
            totals = [each for each in gpus if each.get("name") == "gpu"]
            return sum(_number(each.get("count")) or 0.0 for each in totals or gpus)
    return None


def _mark_attempts(rows: list[dict[str, Any]]) -> None:
    """Mark all but the newest record of each job, and count the others as its restarts."""
    times = Counter(row["job"] for row in rows)
    seen: Counter[str] = Counter()
    for row in sorted(rows, key=lambda each: each["submitted"] or 0):
        job = row["job"]
        seen[job] += 1
        if seen[job] == times[job]:
            row["restarts"] = (
                max(row["restarts"] or 0, times[job] - 1) if row["restarts"] is not None or times[job] > 1 else None
            )
        elif row["state"] != State.COMPLETED:
            row["part"] = Part.ATTEMPT.value


def _signal(given: Any) -> int | None:
    signal = _mapping(given)
    number = _whole(signal.get("id", signal.get("signal_id"))) if signal else _whole(given)
    name = str(signal.get("name") or "").upper()
    return number if number else _SIGNALS.get(name if name.startswith("SIG") else f"SIG{name}")


def _number(given: Any) -> float | None:
    """Return a number in either form; null when it is not set or infinite."""
    if isinstance(given, dict):
        given = given.get("number") if given.get("set", True) and not given.get("infinite") else None
    return float(given) if isinstance(given, int | float) and not isinstance(given, bool) else None


def _whole(given: Any) -> int | None:
    number = _number(given)
    return None if number is None else int(number)


def _moment(given: Any) -> float | None:
    """Return a time; Slurm writes 0 for one that has not come."""
    return _number(given) or None


def _text(given: Any) -> str | None:
    return given.strip() or None if isinstance(given, str) else None


def _mapping(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}
