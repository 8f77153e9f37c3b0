"""
Slurm's words for states, times, steps and resources, as expressions over columns of text.

Times without a zone are taken as they stand: only their differences and their days are used.
"""

from __future__ import annotations

import polars as pl

from intramural.measurement.records import Part, State

_STATES = {
    State.COMPLETED: ("COMPLETED",),
    State.FAILED: ("FAILED", "SPECIAL_EXIT", "LAUNCH_FAILED", "RECONFIG_FAIL"),
    State.CANCELLED: ("CANCELLED", "REVOKED"),
    State.PREEMPTED: ("PREEMPTED",),
    State.TIME_LIMIT: ("TIMEOUT", "DEADLINE"),
    State.OUT_OF_MEMORY: ("OUT_OF_MEMORY",),
    State.NODE_FAILURE: ("NODE_FAIL", "BOOT_FAIL"),
    State.REQUEUED: ("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
    State.RUNNING: (
        "RUNNING",
        "COMPLETING",
        "CONFIGURING",
        "SUSPENDED",
        "RESIZING",
        "SIGNALING",
        "STAGE_OUT",
        "STOPPED",
        "POWER_UP_NODE",
        "UPDATE_DB",
        "EXPEDITING",
    ),
    State.PENDING: ("PENDING", "RESV_DEL_HOLD", "SPECIAL_HOLD"),
}
_TELLING = 8
"""Letters that tell Slurm's states apart; longer ones are cut to it, so that `CANCELLED by 1000` and `OUT_OF_ME+` read."""
_BY_START = {word[:_TELLING]: state.value for state, words in _STATES.items() for word in words}
STEP_NAMES = ("batch", "extern", "interactive")
_NEVER = ["", "Unknown", "None", "N/A", "NONE"]
DAY = 86_400


def state_of(text: pl.Expr) -> pl.Expr:
    """Return the state in our words; null for a word that is none of Slurm's."""
    return text.str.slice(0, _TELLING).replace_strict(_BY_START, default=None, return_dtype=pl.String)


def time_of(text: pl.Expr) -> pl.Expr:
    """Return epoch seconds of `2023-03-01T00:09:01` or of a number; null for `Unknown`."""
    moment = text.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us", time_zone=None)
    return pl.coalesce(moment.dt.epoch("us") / 1e6, number_of(text))


def number_of(text: pl.Expr) -> pl.Expr:
    """Return text as a number; null for anything else."""
    return text.cast(pl.Float64, strict=False)


def seconds_of(text: pl.Expr) -> pl.Expr:
    """Return the seconds of `1-02:03:04`, `02:03:04`, `03:04` or `03:04.500`."""
    parts = text.str.extract_groups(r"^(?:(?<d>\d+)-)?(?:(?<h>\d+):)?(?<m>\d+):(?<s>\d+(?:\.\d+)?)$").struct
    days, hours = (number_of(parts.field(each)).fill_null(0) for each in "dh")
    return days * DAY + hours * 3600 + number_of(parts.field("m")) * 60 + number_of(parts.field("s"))


def is_step(job_id: pl.Expr) -> pl.Expr:
    """Tell whether an identifier is a step's: `123.batch`, `123_4.0`."""
    return job_id.str.contains(".", literal=True)


def part_of_job(job_id: pl.Expr) -> pl.Expr:
    """Mark the further components of a heterogeneous job: `123+1`."""
    return pl.when(job_id.str.contains(r"\+[1-9]")).then(pl.lit(Part.COMPONENT.value))


def gpus_of_tres(tres: pl.Expr) -> pl.Expr:
    """Return the GPUs of `gres/gpu=4` or `gres/gpu:a100=4,gres/gpu:v100=2`; 0 when only others are named, null when none is."""
    typed = [number_of(tres.str.extract(pattern)).fill_null(0) for pattern in (_TYPED, _SECOND_TYPED)]
    total = pl.coalesce(number_of(tres.str.extract(r"gres/gpu=(\d+)")), typed[0] + typed[1])
    return pl.when(tres.str.len_bytes() > 0).then(total)


_TYPED = r"gres/gpu:[^=,]+=(\d+)"
_SECOND_TYPED = rf"{_TYPED}.*{_TYPED}".replace(r"(\d+)", r"\d+", 1)


def gpus_of_gres(gres: pl.Expr) -> pl.Expr:
    """Return the GPUs of `gpu:4`, `gpu:a100:4` or `gpu`; 0 when others are named, null when none is."""
    named = number_of(gres.str.extract(r"(?:^|,)gpu(?::[^:,(]+)?:(\d+)(?:[(,]|$)"))
    bare = pl.when(gres.str.contains(r"(?:^|,)gpu(?:[(,]|$)")).then(1.0).otherwise(0.0)
    return pl.when(gres.str.len_bytes() > 0).then(pl.coalesce(named, bare))


def known(text: pl.Expr) -> pl.Expr:
    """Return text, or null where it says that nothing is known."""
    return pl.when(text.is_in(_NEVER).not_()).then(text)
