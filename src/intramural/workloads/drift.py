"""
Whether a checkpoint may be continued here: what it depends on, compared.

A stock trainer accepts a changed batch, library or data silently and diverges from the run
it claims to continue. Here every difference is named and refused unless it was accepted.
"""

from __future__ import annotations

from typing import Any

from intramural.domain.value import digest_of
from intramural.domain.workload import WorkloadSpec
from intramural.errors import DriftDetected

PROCESS_COUNT = 1
"""Processes that train together; a sum over another number of them is another sum."""


def fingerprint(spec: WorkloadSpec, environment: dict[str, str], threads: int) -> dict[str, Any]:
    """Return everything that decides the next step beside the settings."""
    return {
        "base": spec.base_digest,
        "dataset": spec.dataset_digest,
        "train": digest_of(spec.job.train.document()),
        "method": digest_of(spec.job.method.document()),
        "processes": PROCESS_COUNT,
        "threads": threads,
        "environment": environment,
    }


def differences(then: dict[str, Any], now: dict[str, Any]) -> tuple[str, ...]:
    """Name what changed between two fingerprints, one line each."""
    lines = []
    for name in sorted({*then, *now} - {"environment"}):
        if then.get(name) != now.get(name):
            lines.append(f"{name}: {_short(then.get(name))} → {_short(now.get(name))}")
    before, after = then.get("environment", {}), now.get("environment", {})
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            lines.append(f"{name}: {before.get(name)} → {after.get(name)}")
    return tuple(lines)


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
