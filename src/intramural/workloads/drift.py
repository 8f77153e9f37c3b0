"""
Whether a checkpoint may be continued here: what it depends on, compared.

A stock trainer accepts a changed batch, library or data silently and diverges from the run
it claims to continue. Here every difference is named and refused unless it was accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from intramural.domain.workload import WorkloadSpec
from intramural.errors import DriftDetected

PROCESS_COUNT = 1
"""Processes that train together; a sum over another number of them is another sum."""


def fingerprint(spec: WorkloadSpec, environment: dict[str, str], threads: int) -> dict[str, Any]:
    """Return everything that decides the next step beside the settings."""
    return {
        "base": spec.base_digest,
        "dataset": spec.dataset_digest,
        "train": spec.job.train.document(),
        "method": spec.job.method.document(),
        "processes": PROCESS_COUNT,
        "threads": threads,
        "environment": environment,
    }


def differences(then: dict[str, Any], now: dict[str, Any]) -> tuple[str, ...]:
    """Name what changed between two fingerprints, one line each: `train.seed: 7 → 8`."""
    before, after = dict(_flat(then)), dict(_flat(now))
    names = sorted({*before, *after})
    return tuple(
        f"{name}: {_short(before.get(name))} → {_short(after.get(name))}"
        for name in names
        if before.get(name) != after.get(name)
    )


def _flat(document: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def check(then: dict[str, Any], now: dict[str, Any], *, accept: bool) -> tuple[str, ...]:
    """Return the differences; raise `DriftDetected` when there are any and they were not accepted."""
    lines = differences(then, now)
    if lines and not accept:
        raise DriftDetected(
            "The checkpoint was written in another environment: " + "; ".join(lines) + ".",
            hint="Restore it, or continue with `intramural resume --accept-drift` and know that the result differs.",
            differences=list(lines),
        )
    return lines


def _short(value: Any) -> str:
    return value[:15] + "…" if isinstance(value, str) and value.startswith("sha256:") else str(value)
