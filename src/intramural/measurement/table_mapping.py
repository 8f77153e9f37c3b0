"""
The mapping file of a table: which of its columns is what.

A column that needs nothing but its name is written as that name; one whose words or units are its
own says so. What may be left out and what units there are is documented in `docs/concepts/measuring.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from intramural.domain.strict_yaml import read
from intramural.domain.value import Value
from intramural.measurement.paths import text_of
from intramural.measurement.records import State

Unit = Literal[
    "ms", "s", "min", "h", "d", "clock", "us", "ns",
    "B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "milli", "percent", "k", "M",
]  # fmt: skip
SECONDS: dict[str, float] = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
BYTES: dict[str, float] = {
    "B": 1.0,
    **{f"{letter}B": 1000.0**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}iB": 1024.0**power for power, letter in enumerate("KMGT", 1)},
}
COUNTS: dict[str, float] = {"milli": 1e-3, "percent": 1e-2, "k": 1e3, "M": 1e6}
TIMES = ("submitted", "started", "ended")
DURATIONS = ("queue_seconds", "run_seconds", "checkpoint_seconds")
SIZES = ("checkpoint_bytes", "dataset_bytes")
NUMBERS = ("gpus", "gpu_share", "nodes", "exit_code", "signal", "restarts", "dataset_samples", "sequence_tokens")


class ColumnRule(Value):
    """One column of the table and how its values read."""

    column: Annotated[str, Field(min_length=1)]
    """Its name in the table's header."""
    values: dict[str, str] = {}
    """The table's words to ours; for `state` to our states."""
    otherwise: str | None = None
    """What any other word is; without it the word itself, or for `state` not known."""
    unit: Unit | None = None
    """Of durations, sizes, counts, and of times that are numbers; `clock` is `1-02:03:04` or `02:03:04`."""
    format: str | None = None
    """Of times that are text: `%d.%m.%Y %H:%M`. Without it ISO 8601 is read."""


Column = str | ColumnRule | None


class Columns(Value):
    """Columns of the normal form by the table's own."""

    job: Column = None
    name: Column = None
    command: Column = None
    tags: Column = None
    job_class: Column = None
    """A partition, queue, quality of service, namespace."""
    job_type: Column = None
    """Where the table knows it; else the rules tell it from name, command, tags and class."""
    submitted: Column = None
    started: Column = None
    ended: Column = None
    queue_seconds: Column = None
    """Without it the time from submission to start."""
    run_seconds: Column = None
    """Without it the time from start to end."""
    state: Column = None
    gpus: Column = None
    gpu_share: Column = None
    """Of each GPU, where they are shared: `{column: gpu_milli, unit: milli}`; without it each is whole."""
    nodes: Column = None
    exit_code: Column = None
    signal: Column = None
    reason: Column = None
    """What the table says about the end, or the last line of the log: read for its pattern, never shown."""
    restarts: Column = None
    checkpoint_seconds: Column = None
    checkpoint_bytes: Column = None
    dataset_bytes: Column = None
    dataset_samples: Column = None
    sequence_tokens: Column = None

    @model_validator(mode="after")
    def _are_right(self) -> Self:
        if not self.rules:
            raise ValueError("name at least one column")
        for name, rule in self.rules.items():
            _check(name, rule)
        return self

    @property
    def rules(self) -> dict[str, ColumnRule]:
        """The columns that are given, each with its rule."""
        given: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: ColumnRule(column=each) if isinstance(each, str) else each for name, each in given.items() if each is not None
        }


class TableMapping(Value):
    """A mapping file."""

    columns: Columns
    times: Literal["dates", "offsets"] = "dates"
    """`offsets`: times are seconds since the table's own start, so no day is known."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Without it the one that the header uses most: comma, semicolon, tab or bar."""


def load_mapping(path: Path) -> TableMapping:
    """Return the mapping of the file at *path*; raise `InvalidInput` that names its line."""
    return read(text_of(path), TableMapping, where=path.name)


def _check(name: str, rule: ColumnRule) -> None:
    """Raise `ValueError` where a rule does not suit its column."""
    units: dict[str, set[str]] = {name: {*SECONDS, "clock"} for name in DURATIONS}
    units |= {name: {*BYTES} for name in SIZES} | {name: {*SECONDS} for name in TIMES}
    allowed = units.get(name, {*COUNTS} if name in NUMBERS else set())
    if rule.unit and rule.unit not in allowed:
        raise ValueError(f"`{name}` takes " + (f"the units {', '.join(sorted(allowed))}" if allowed else "no unit"))
    if rule.format and name not in TIMES:
        raise ValueError(f"`{name}` takes no format: only times do")
    if name == "state":
        for word in (*rule.values.values(), *([rule.otherwise] if rule.otherwise else [])):
            if word not in {each.value for each in State}:
                raise ValueError(f"`state` is one of {', '.join(each.value for each in State)}")
