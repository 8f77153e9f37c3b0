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
_SHORT = {state: dict.fromkeys(word[:_TELLING] for word in words) for state, words in _STATES.items()}
_PLACES = {word: place for place, word in enumerate(word for words in _SHORT.values() for word in words)}
DAY = 86_400


def state_of(text: pl.Expr) -> pl.Expr:
    """Return the state in our words; null for a word that is none of Slurm's."""
    word = text.str.slice(0, _TELLING).cast(pl.Enum([*_PLACES]), strict=False).to_physical()
    number = pl.lit(None, dtype=pl.UInt8)
    for place, state in enumerate(_STATES):  # numbers: comparing text, or `replace_strict`, costs several times as much
        places = [at for each, at in _PLACES.items() if each in _SHORT[state]]
        number = pl.when(word.is_between(min(places), max(places))).then(pl.lit(place, dtype=pl.UInt8)).otherwise(number)
    return number.cat.to(pl.Enum([each.value for each in _STATES])).cast(pl.String)


def state_word(text: str) -> State | None:
    """Return the state of one word of Slurm's."""
    return next((state for state, words in _SHORT.items() if text[:_TELLING] in words), None)


def time_of(text: pl.Expr) -> pl.Expr:
    """Return epoch seconds of `2023-03-01T00:09:01`; null for `Unknown`."""
    return text.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, cache=False).dt.epoch("us") / 1e6


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
    first, second = number_of(tres.str.extract(r"gres/gpu(?::[^=,]+)?=(\d+)")), number_of(tres.str.extract(_SECOND_TYPE))
    untold = ~tres.str.contains("gres/gpu=", literal=True)  # no sum of the types, which would come first
    return pl.when(tres.str.len_bytes() > 0).then(first.fill_null(0) + pl.when(untold).then(second).fill_null(0))


_SECOND_TYPE = r"gres/gpu:[^=,]+=\d+.*gres/gpu:[^=,]+=(\d+)"


def gpus_of_gres(gres: pl.Expr) -> pl.Expr:
    """Return the GPUs of `gpu:4`, `gpu:a100:4` or `gpu`; 0 when others are named, null when none is."""
    named = number_of(gres.str.extract(r"(?:^|,)gpu(?::[^:,(]+)?:(\d+)(?:[(,]|$)"))
    bare = pl.when(gres.str.contains(r"(?:^|,)gpu(?:[(,]|$)")).then(1.0).otherwise(0.0)
    return pl.when(gres.str.len_bytes() > 0).then(pl.coalesce(named, bare))


def exit_code(code: pl.Expr, part: int) -> pl.Expr:
    """Return the code (part 0) or the signal (part 1) of `1:0`."""
    return code.str.split_exact(":", 1).struct.field(f"field_{part}").cast(pl.Int64, strict=False)
