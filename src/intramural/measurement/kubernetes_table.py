"""
Tables that kubectl prints for people, as far as they carry figures.

`kubectl get jobs` tells state, duration and age; `kubectl get pods` tells state and restarts, but
neither run time nor GPUs. A table of `-o custom-columns` with our own headings tells everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from intramural.measurement.kubernetes_pods import REASONS, instant, reason_word
from intramural.measurement.reading import Row, read_text, wrong_source
from intramural.measurement.records import State

COMMAND = "kubectl get jobs,pods -A -o json > jobs.json"
_JOBS = frozenset({"NAME", "COMPLETIONS", "DURATION"})
_PODS = frozenset({"NAME", "READY", "STATUS", "RESTARTS"})
_OWN = frozenset({"NAME", "CREATED", "PHASE"})
_STATES: dict[str, State] = {
    **dict.fromkeys(("Complete", "Completed", "Succeeded"), State.COMPLETED),
    **dict.fromkeys(("Failed", "Error"), State.FAILED),
    **dict.fromkeys(("Running", "CrashLoopBackOff", "Terminating"), State.RUNNING),
    **dict.fromkeys(("Pending", "ContainerCreating", "Suspended", "ImagePullBackOff", "ErrImagePull"), State.PENDING),
    "Evicted": State.PREEMPTED,
    **REASONS,
}
_OPEN = frozenset({State.RUNNING, State.PENDING})
_NO_FIGURES = (
    "kubectl's table of pods has neither run times, queue times nor GPUs: only types, states and restarts are counted."
)
_ROUNDED = "kubectl's table of jobs rounds durations, and has neither queue times nor GPUs."
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "y": 31536000.0}


def is_table(heading: str) -> bool:
    """Tell whether *heading* is the first line of such a table."""
    names = set(heading.split())
    return any(each <= names for each in (_JOBS, _PODS, _OWN))


def table_rows(path: Path) -> tuple[list[Row], list[str], int]:
    """Return the records, notices and the number of lines that could not be read. Raises `InvalidInput`."""
    lines = read_text(path).splitlines()
    if not lines or not is_table(lines[0]):
        raise wrong_source(path, "a table of jobs or pods that kubectl printed", hint=f"Better: {COMMAND}")
    headings = lines[0].split()
    rows: list[Row] = []
    skipped = 0
    for cells in _cells(lines[0], lines[1:]):
        row = _row(dict(zip(headings, cells, strict=True))) if cells else None
        skipped += row is None
        rows += [row] if row else []
    names = set(headings)
    notices = [_NO_FIGURES] if names >= _PODS else [_ROUNDED] if names >= _JOBS else []
    return rows, [f"{each} Better: kubectl get jobs,pods -A -o json." for each in notices], skipped


def _cells(heading: str, lines: list[str]) -> Iterator[list[str] | None]:
    """Cut each line where the headings begin: kubectl pads its columns, and a cell may hold spaces."""
    starts = [match.start() for match in re.finditer(r"\S+", heading)]
    ends = [*starts[1:], None]
    for line in lines:
        if not line.strip():
            continue
        cells = [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        whole = all(start == 0 or line[start - 1 : start] in ("", " ") for start in starts)
        yield cells if whole and cells[0] else None


def _row(cells: dict[str, str]) -> Row | None:
    status = cells.get("STATUS") or cells.get("PHASE") or _of_completions(cells.get("COMPLETIONS", ""))
    state = _STATES.get(status.removeprefix("Init:"))
    if state is None:
        return None
    reason = reason_word(cells.get("REASON")) or (status if status in REASONS else None)
    if state is State.FAILED and reason is not None:
        state = _STATES.get(reason, state)
    return {
        "job": f"{cells.get('NAMESPACE', 'default')}/{cells['NAME']}",
        "name": cells["NAME"],
        "job_class": _given(cells.get("CLASS")) or cells.get("NAMESPACE"),
        "submitted": instant(cells.get("CREATED")),
        "started": instant(cells.get("SCHEDULED")) or instant(cells.get("STARTED")),
        "ended": instant(_last(cells.get("FINISHED", ""))),
        "run_seconds": _duration(cells.get("DURATION", "")) if state not in _OPEN else None,
        "state": state.value,
        "gpus": _sum(cells["GPUS"]) if "GPUS" in cells else None,
        "nodes": 1.0 if _given(cells.get("NODE")) else None,
        "exit_code": int(code) if (code := _last(cells.get("EXIT", ""))).isdigit() else None,
        "reason": reason,
        "restarts": _restarts(cells["RESTARTS"]) if "RESTARTS" in cells else None,
    }


def _of_completions(cell: str) -> str:
    """Return the state that `1/1` tells in the tables of older versions, which have no status."""
    done, _, wanted = cell.partition("/")
    return "Complete" if done and done == wanted else "Running"


def _given(cell: str | None) -> str | None:
    return None if cell in (None, "", "<none>") else cell


def _last(cell: str) -> str:
    """Return the last of the values that custom columns join by commas."""
    return cell.rpartition(",")[2]


def _sum(cell: str) -> float:
    return sum(float(each) for each in cell.split(",") if re.fullmatch(r"\d+(\.\d+)?", each))


def _restarts(cell: str) -> int:
    """Return the number of `2 (3h ago)`, or the sum of `1,2`."""
    return int(sum(float(each) for each in re.findall(r"\d+", cell.partition("(")[0])))


def _duration(cell: str) -> float | None:
    """Return the seconds of `5m32s` or `3d4h`."""
    if not re.fullmatch(r"(\d+[ydhms])+", cell):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([ydhms])", cell))
