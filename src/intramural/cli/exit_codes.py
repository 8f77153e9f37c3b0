"""
The exit code of every ending, in one place.

0 ok, 1 the run failed, 2 usage or configuration, 3 gate failed, 4 waiting for approval,
5 refused, 6 integrity, 7 quota, size or time-out, 8 unavailable or a fault of our own,
130 interrupted by the keyboard. Scripts rely on these numbers.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from intramural import errors

if TYPE_CHECKING:
    from intramural.domain.report import JobReport


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    GATE_FAILED = 3
    WAITING = 4
    REFUSED = 5
    INTEGRITY = 6
    LIMIT = 7
    UNAVAILABLE = 8
    INTERRUPTED = 130


_BY_CLASS: tuple[tuple[type[errors.IntramuralError], ExitCode], ...] = (
    (errors.InvalidInput, ExitCode.USAGE),
    (errors.NotFound, ExitCode.USAGE),
    (errors.Conflict, ExitCode.USAGE),
    (errors.DoesNotFit, ExitCode.LIMIT),
    (errors.NeedsApproval, ExitCode.WAITING),
    (errors.Refused, ExitCode.REFUSED),
    (errors.IntegrityFailure, ExitCode.INTEGRITY),
    (errors.TimedOut, ExitCode.LIMIT),
    (errors.Unavailable, ExitCode.UNAVAILABLE),
)


_BY_CAUSE = {"refused": ExitCode.REFUSED, "integrity": ExitCode.INTEGRITY}
"""Causes of a job's end that have a code of their own, the same as where a command meets them itself."""


def ending_code(report: JobReport) -> ExitCode:
    """Return the code that belongs to how a job ended."""
    if report.state.value == "succeeded":
        return ExitCode.OK
    return _BY_CAUSE.get(report.cause.value if report.cause is not None else "", ExitCode.RUN_FAILED)


def exit_code(error: errors.IntramuralError) -> ExitCode:
    """Return the code that belongs to the class of *error*."""
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), ExitCode.UNAVAILABLE)
