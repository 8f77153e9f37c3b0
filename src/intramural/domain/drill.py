"""
A drill: a run is killed on purpose, its job continues, and the repeated steps are compared.

Floating-point numbers are equal here only when they are the same number; a drill that
is nearly equal has failed.
"""

from __future__ import annotations

from collections.abc import Mapping

from intramural.domain.value import Value
from intramural.domain.workload import StepEvent


class DrillReceipt(Value):
    """What a drill showed."""

    job: str
    killed_at_step: int
    """The last step the killed attempt told of."""
    resumed_from_step: int
    """The checkpoint the job continued from; 0 when it began anew."""
    overlapping_steps: int
    """Steps that both attempts took and that were compared."""
    equal: bool
    """Every loss, gradient norm and batch of the overlapping steps is the same, bit by bit."""
    first_difference: str | None = None
    """The first step that differs, and in what; or why nothing could be compared."""
    seconds_lost: float | None = None
    """From the killed attempt's last step until that step was reached again."""


class DrillProgress(Value):
    """A drill that was begun: whether its job has caught up, and the receipt when it has."""

    complete: bool
    receipt: DrillReceipt | None = None


def compare(job: str, killed: Mapping[int, StepEvent], again: Mapping[int, StepEvent], resumed_from_step: int) -> DrillReceipt:
    """Compare the steps of a killed attempt with those that were taken again, each by its number."""
    overlap = sorted(killed.keys() & again.keys())
    last = max(killed, default=0)
    difference = next((found for step in overlap if (found := _difference(killed[step], again[step]))), None)
    if difference is None and not overlap:
        difference = "no step was repeated, so nothing was compared"
    elif difference is None and last not in again:
        difference = f"step {last} was not reached again"
    return DrillReceipt(
        job=job,
        killed_at_step=last,
        resumed_from_step=resumed_from_step,
        overlapping_steps=len(overlap),
        equal=difference is None,
        first_difference=difference,
        seconds_lost=again[last].at - killed[last].at if last in again and last in killed else None,
    )


def _difference(first: StepEvent, second: StepEvent) -> str | None:
    for name in ("batch_digest", "loss", "grad_norm"):
        before, after = getattr(first, name), getattr(second, name)
        if before != after:
            return f"step {first.step}: {name} {before!r}, then {after!r}"
    return None
