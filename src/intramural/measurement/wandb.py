"""
Exported runs of Weights & Biases, CSV or JSON, as job records; nothing is fetched.

The runs table's own export (`Name`, `State`, `Created`, `Runtime`, a column per parameter) and what a
script writes from the public API (`state`, `created_at`, `config`, `summary`) are read alike.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from intramural.measurement import run_parameters
from intramural.measurement.kubernetes_pods import instant
from intramural.measurement.reading import Row, from_rows, read_json, read_text, wrong_source
from intramural.measurement.records import Source, State

KIND = "wandb"
STATES: dict[str, State] = {
    "finished": State.COMPLETED,
    "failed": State.FAILED,
    "crashed": State.FAILED,
    "killed": State.CANCELLED,
    "preempted": State.PREEMPTED,
    "preempting": State.RUNNING,
    "running": State.RUNNING,
    "pending": State.PENDING,
}
NO_QUEUE = "W&B records no queue times."
CRASHED = "A W&B run that crashed stopped without a word: its cause is not known."
HINT = (
    "In the runs table choose Export, CSV, with the columns State, Created and Runtime; or write the public API's runs as JSON."
)
_STATE, _CREATED, _RUNTIME = ("state",), ("created", "created_at", "createdat", "_timestamp"), ("runtime", "_runtime")
_NAMES, _IDS = ("name", "display_name", "displayname", "id"), ("id", "run_id", "name")
_WORDS = ("tags", "job_type", "jobtype", "group", "sweep", "project")
_PROGRAM = ("command", "program", "codepath", "args")
_CLOCK = re.compile(r"(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:([\d.]+)s)?")


def read(path: Path) -> Source:
    """Return the runs of an export. Raises `InvalidInput` when it is another file, or holds no run."""
    text = read_text(path)
    runs = _of_json(read_json(path), path) if text.lstrip().startswith(("{", "[")) else _of_csv(text)
    flat = [_flat(each) for each in runs if each]
    if flat and not any(is_run(each) for each in flat):
        raise wrong_source(path, "an export of W&B runs: no column is called State, Runtime or _runtime", hint=HINT)
    rows = [_row(each) for each in flat if is_run(each)]
    crashed = any(_first(each, _STATE) == "crashed" for each in flat)
    notices = [NO_QUEUE, *([CRASHED] if crashed else [])]
    if rows and all(each["run_seconds"] is None for each in rows):
        notices.append("No W&B run has a runtime: export the column Runtime to have run times.")
    return from_rows(KIND, rows, name=path.name, empty=HINT, notices=notices, skipped_rows=len(flat) - len(rows))


def is_run(names: Iterable[str]) -> bool:
    """Tell whether columns or keys (in small letters) are those of a run."""
    known = set(names)
    return bool(known & set(_STATE) and known & {*_CREATED, *_RUNTIME}) or "_runtime" in known


def folded(name: str) -> str:
    """Return a heading as `is_run` and the allow-list know it."""
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _of_json(document: Any, path: Path) -> list[dict[str, Any]]:
    runs = document.get("runs", [document]) if isinstance(document, dict) else document
    if not isinstance(runs, list) or not all(isinstance(each, dict) for each in runs):
        raise wrong_source(path, "a list of W&B runs", hint=HINT)
    return runs


def _of_csv(text: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 24)  # a column of configurations can be long
    for row in csv.DictReader(io.StringIO(text, newline="")):
        yield {key: value for key, value in row.items() if key is not None and value not in (None, "")}


def _flat(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run's own fields and, below them, what its configuration and summary tell, by their last names."""
    flat: dict[str, Any] = {}
    for key, value in run.items():
        name = folded(key)
        if name in {"config", "summary", "summarymetrics", "summary_metrics", "metadata", "runinfo", "run_info", "_wandb"}:
            for inner, each in _flat(_opened(value)).items():
                flat.setdefault(inner, each)
        elif name in run_parameters.NAMES or name.rpartition(".")[2] in run_parameters.NAMES | {"_runtime"}:
            flat[name.rpartition(".")[2]] = value.get("value") if isinstance(value, dict) else value
        else:
            flat[name] = value
    return flat


def _opened(value: Any) -> dict[str, Any]:
    """Return a mapping that may have been written as text, in JSON or as Python prints it."""
    if isinstance(value, str):
        for read_one in (json.loads, ast.literal_eval):
            try:
                value = read_one(value)
                break
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    return value if isinstance(value, dict) else {}


def _row(run: dict[str, Any]) -> Row:
    state = STATES.get(str(_first(run, _STATE) or "").casefold(), State.UNKNOWN)
    created, seconds = _instant(_first(run, _CREATED)), _seconds(_first(run, _RUNTIME))
    if "created" not in run and created is not None and _first(run, _CREATED) is run.get("_timestamp"):
        created -= seconds or 0.0  # the summary's time is that of the last step
    has_ended = state not in {State.RUNNING, State.PENDING}
    return {
        "job": str(_first(run, _IDS) or ""),
        "name": str(_first(run, _NAMES) or ""),
        "command": " ".join(_words(run, _PROGRAM)),
        "tags": " ".join([*_words(run, _WORDS), run_parameters.kind_words(run)]).strip(),
        "job_class": run_parameters.class_of(run),
        "started": created,
        "ended": created + seconds if has_ended and created is not None and seconds is not None else None,
        "run_seconds": seconds if has_ended else None,
        "state": state.value,
        "reason": "crashed" if _first(run, _STATE) == "crashed" else None,
        **run_parameters.figures(run),
    }


def _first(run: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((run[name] for name in names if run.get(name) not in (None, "")), None)


def _words(run: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    found = (run.get(name) for name in names)
    return [str(part) for each in found if each for part in (each if isinstance(each, list) else [each])]


def _instant(given: Any) -> float | None:
    """Return seconds since the epoch of a date, or of a number of seconds or milliseconds."""
    if isinstance(given, str) and not re.fullmatch(r"[\d.]+", given):
        return instant(given if re.search(r"(Z|[+-]\d\d:?\d\d)$", given) else f"{given}Z")
    number = float(given) if given is not None else None
    return number / 1000 if number and number > 1e11 else number


def _seconds(given: Any) -> float | None:
    """Return the seconds of a number, or of `1h 2m 3s`."""
    try:
        return float(given)
    except (TypeError, ValueError):
        clock = _CLOCK.fullmatch(str(given or "").strip())
    if clock is None or not any(clock.groups()):
        return None
    days, hours, minutes, seconds = (float(each or 0) for each in clock.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds
