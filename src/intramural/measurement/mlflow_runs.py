"""
Runs of MLflow, as its client returned them, as job records.

MLflow knows when a run began and ended, and nothing of queues; GPUs are known where a parameter or
a tag tells them. A run that has nested runs is their frame: the nested runs count, it does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from intramural.measurement import run_parameters
from intramural.measurement.reading import Row, from_rows
from intramural.measurement.records import Source, State

KIND = "mlflow"
STATES: dict[str, State] = {
    "FINISHED": State.COMPLETED,
    "FAILED": State.FAILED,
    "KILLED": State.CANCELLED,
    "RUNNING": State.RUNNING,
    "SCHEDULED": State.PENDING,
}
PARENT = "mlflow.parentRunId"
SOURCE = ("mlflow.source.name", "mlflow.project.entryPoint")
TAGS: frozenset[str] = run_parameters.NAMES | {PARENT, *SOURCE}
"""The tags that are read."""
NO_QUEUE = "MLflow records no queue times."


def from_mlflow(runs: Iterable[dict[str, Any]], *, name: str = KIND) -> Source:
    """Return the records of *runs*: `run_id`, `name`, `experiment`, `status`, `start_ms`, `end_ms`, `tags`, `params`."""
    given = list(runs)
    parents = {each["tags"].get(PARENT) for each in given} - {None}
    rows = [_row(each) for each in given if each["run_id"] not in parents]
    notices = [NO_QUEUE]
    if len(rows) < len(given):
        notices.append(f"{len(given) - len(rows)} MLflow runs hold nested runs and were left out; the nested ones count.")
    if rows and all("gpus" not in each for each in rows):
        notices.append("No MLflow run names its GPUs: log `world_size` as a parameter to have GPU-hours.")
    return from_rows(KIND, rows, name=name, empty="No experiment there has a run.", notices=notices)


def _row(run: dict[str, Any]) -> Row:
    told = {**run["tags"], **run["params"]}
    started, ended = _seconds(run["start_ms"]), _seconds(run["end_ms"])
    return {
        "job": run["run_id"],
        "name": run["name"] or run["experiment"],
        "command": " ".join(str(run["tags"][each]) for each in SOURCE if run["tags"].get(each)),
        "tags": " ".join([str(run["experiment"] or ""), run_parameters.kind_words(told)]).strip(),
        "job_class": run_parameters.class_of(told),
        "started": started,
        "ended": ended if started is None or ended is None or ended >= started else None,
        "state": STATES.get(run["status"], State.UNKNOWN).value,
        **run_parameters.figures(told),
    }


def _seconds(milliseconds: int | None) -> float | None:
    return milliseconds / 1000 if milliseconds else None
