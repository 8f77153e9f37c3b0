"""
What the end of a run means: its outcome, and one cause with evidence.

The run's own outcome event comes first: it knows best. Without one the process's end,
the kernel's counters and the shape of its log decide. Evidence names classes, places,
signals and numbers; it never quotes a log line, because a message may hold content.
"""

from __future__ import annotations

import errno
import re
import signal
import traceback
from pathlib import Path

from intramural.domain.cause import Cause, Failure
from intramural.domain.job import Outcome
from intramural.domain.workload import EXIT_CODES, OutcomeEvent
from intramural.errors import DoesNotFit, IntegrityFailure, IntramuralError, Refused
from intramural.scheduler.executor import Status

_PATTERNS: tuple[tuple[str, Cause, str], ...] = (
    (r"No space left on device|Disk quota exceeded", Cause.DISK_FULL, "no space left on device"),
    (r"CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError|HIP out of memory", Cause.GPU_MEMORY, "the GPU had no memory left"),
    (r"\bMemoryError\b|can't allocate memory|Cannot allocate memory", Cause.HOST_MEMORY, "an allocation failed"),
    (r"uncorrectable ECC|\bXid\b|CUDA error: (?:unspecified launch|an illegal)", Cause.GPU_FAULT, "the GPU reported a fault"),
    (r"NCCL (?:error|WARN)|DistBackendError|Connection closed by peer", Cause.NETWORK, "the link to another process broke"),
)
_ERROR = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning))\b", re.MULTILINE)
_PLACE = re.compile(r'^\s*File "[^"\n]*?([^/"\n]+\.py)", line (\d+), in ([\w<>]+)', re.MULTILINE)


def classify(status: Status, told: OutcomeEvent | None, log_tail: str) -> tuple[Outcome, Failure | None]:
    """Return how a run ended, and why if it failed."""
    if told is not None:
        if told.outcome is Outcome.FAILED and told.failure is None:
            return Outcome.FAILED, _by_log(status, log_tail)
        return told.outcome, told.failure
    if status.signal == signal.SIGTERM or status.exit_code == EXIT_CODES[Outcome.STOPPED]:
        return Outcome.STOPPED, None  # asked to stop before it could answer
    return Outcome.FAILED, _by_end(status) or _by_log(status, log_tail)


def over_time(limit_minutes: float | None) -> Failure:
    """Return the failure of a run that its time limit ended."""
    return _failure(Cause.TIME_LIMIT, f"it ran longer than resources.time_limit_minutes: {limit_minutes}")


def not_started(problem: str | None) -> Failure:
    """Return the failure of a run that its executor could not start."""
    return _failure(Cause.NODE_FAILURE, f"the executor did not start it: {problem or 'no reason was given'}")


def by_error(error: Exception, doing: str) -> Failure:
    """Return the failure of a run that the scheduler itself could not serve; *doing* says in what."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, IntegrityFailure):
        return _failure(Cause.INTEGRITY, f"{doing}: {error.message}")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _failure(Cause.DISK_FULL, f"{doing}: no space left on device")
    if isinstance(error, Refused):
        return _failure(Cause.REFUSED, f"`{error.about.get('rule', error.code)}`: {error.message} {error.hint or ''}".rstrip())
    if isinstance(error, DoesNotFit):
        return _failure(Cause.DISK_FULL, f"{doing}: {error.message}")
    words = error.message if isinstance(error, IntramuralError) else type(error).__name__
    return _failure(Cause.UNKNOWN, f"{doing}: {words} at {Path(place.filename).name}:{place.lineno} in {place.name}")


def _by_end(status: Status) -> Failure | None:
    """Return the cause that the process's end itself tells, whatever the log says."""
    if status.disk_full:
        return _failure(Cause.DISK_FULL, "it was ended before it filled the disk of INTRAMURAL_HOME")
    if status.signal not in {signal.SIGKILL, None}:
        return None
    if status.out_of_memory:
        return _failure(Cause.HOST_MEMORY, f"{_end(status)}; the kernel counted a kill for want of memory")
    return _failure(Cause.KILLED, _end(status)) if status.exit_code is None else None


def _by_log(status: Status, log_tail: str) -> Failure:
    for pattern, cause, words in _PATTERNS:
        if re.search(pattern, log_tail):
            return _failure(cause, f"{_end(status)}; {words}{_place(log_tail)}")
    errors = _ERROR.findall(log_tail)
    if errors:
        return _failure(Cause.USER_CODE, f"{_end(status)}; {errors[-1]}{_place(log_tail)}")
    if status.signal is not None:
        return _failure(Cause.USER_CODE, f"{_end(status)}{_place(log_tail)}")
    return _failure(Cause.UNKNOWN, f"{_end(status)}; its log names no error")


def _end(status: Status) -> str:
    if status.signal is not None:
        known = {each.value: f" ({each.name})" for each in signal.Signals}
        return f"signal {status.signal}{known.get(status.signal, '')}"
    if status.exit_code is not None:
        return f"exit code {status.exit_code} without an outcome" if status.exit_code == 0 else f"exit code {status.exit_code}"
    return "the process was gone and nothing recorded its end"


def _place(log_tail: str) -> str:
    """Return where the last traceback ends: file, line and function, no text of theirs."""
    places = _PLACE.findall(log_tail)
    return " at {}:{} in {}".format(*places[-1]) if places else ""


def _failure(cause: Cause, evidence: str) -> Failure:
    return Failure(cause=cause, evidence=evidence)
