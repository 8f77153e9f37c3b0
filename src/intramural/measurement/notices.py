"""What the reader of the figures must know: what was censored, left out, assumed or missing. Never content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from intramural.domain.cause import Cause
from intramural.domain.measurement import Measurement
from intramural.measurement.counting import OPEN, Counts, total
from intramural.measurement.records import Part, Source, State

_SHARE_WORTH_SAYING = 5.0
"""Percent of the failures that only an exit code explains."""


def notices_of(sources: Sequence[Source], counts: Counts, found: Measurement, *, historical: bool) -> tuple[str, ...]:
    """Return the notices, those of the sources first, each once."""
    own = [notice for source in sources for notice in source.notices]
    return tuple(dict.fromkeys([*own, *_of_window(counts.jobs, found, historical), *_of_jobs(sources, counts, found)]))


def _of_window(rows: pl.DataFrame, found: Measurement, historical: bool) -> Iterator[str]:
    readable = rows.filter(~pl.col("unreadable"))
    if historical and found.window:
        yield f"The newest record is of {found.window.last}: the window ends there, not today."
    if older := total(readable, ~pl.col("inside") & pl.col("part").is_null()):
        yield f"{_n(older, 'job')} older than the window {_are(older)} left out."
    if untimed := total(readable, ~pl.col("timed")):
        yield f"{_n(untimed, 'job')} without any time on record {_are(untimed)} counted, whatever the window."
    if found.skipped_rows:
        yield f"{_n(found.skipped_rows, 'row')} could not be read and {_are(found.skipped_rows)} left out."


def _of_jobs(sources: Sequence[Source], counts: Counts, found: Measurement) -> Iterator[str]:
    kept = counts.jobs.filter(pl.col("inside"), ~pl.col("unreadable"))
    states = found.states
    if found.running:
        yield (
            f"{_n(found.running, 'job')} still running (right-censored): counted in the job mix, queue times and GPU counts, "
            "not in run times, GPU-hours or success."
        )
    if waiting := states.get(State.PENDING, 0) + states.get(State.REQUEUED, 0):
        yield f"{_n(waiting, 'job')} not started yet: counted in the job mix only."
    if unknown := states.get(State.UNKNOWN, 0):
        yield f"{_n(unknown, 'job')} with no word on success: run times counted where known, success without them."
    if cancelled := states.get(State.CANCELLED, 0):
        yield f"{_n(cancelled, 'cancelled job')}: in the success rate as not completed, in no failure cause."
    if attempts := total(kept, pl.col("part") == Part.ATTEMPT.value):
        yield f"{_n(attempts, 'earlier attempt')} of requeued jobs: counted as failures with their lost GPU time, not as jobs."
    if components := total(kept, pl.col("part") == Part.COMPONENT.value):
        yield f"{_n(components, 'further component')} of heterogeneous jobs: GPU-hours counted, not as jobs."
    if missing := total(kept, pl.col("gpus").is_null() & ~pl.col("state").is_in(OPEN)):
        yield f"{_n(missing, 'job')} with no GPU count on record: GPU-hours are a lower bound."
    if others := total(counts.shapes):
        yield f"{_n(others, 'job')} match no rule for job types and count as `other`."
    if found.resumed is None and any(each.restarts_if_seen for each in sources):
        yield "No restart is on record; Slurm tells them only with `sacct --duplicates`."
    yield from _of_causes(found)


def _of_causes(found: Measurement) -> Iterator[str]:
    for each in found.causes:
        only_codes = each.cause is Cause.USER_CODE and any(word.startswith("exit code") for word in each.evidence)
        if only_codes and each.share >= _SHARE_WORTH_SAYING:
            yield (
                "An exit code alone cannot tell an error in the code from a GPU out of memory: "
                f"some of the {_n(each.jobs, 'failure')} under `{each.cause}` may be such."
            )


def _n(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
