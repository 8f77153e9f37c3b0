"""
From an exception to the one cause of a failed run.

A message may quote training data, so only messages of our own classes leave; of all others
the class and the place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from pathlib import Path

import torch

from intramural.domain.cause import Cause, Failure
from intramural.domain.cause_rules import cause_of_text
from intramural.errors import DoesNotFit, DriftDetected, IntegrityFailure, IntramuralError, InvalidInput
from intramural.workloads.loading import NoSuchLayer
from intramural.workloads.trainer import Diverged, TimeLimit

_OURS: tuple[tuple[type[Exception], Cause], ...] = (
    (Diverged, Cause.DIVERGED),
    (TimeLimit, Cause.TIME_LIMIT),
    (DriftDetected, Cause.DRIFT),
    (IntegrityFailure, Cause.INTEGRITY),
    (DoesNotFit, Cause.HOST_MEMORY),
    (NoSuchLayer, Cause.USER_CODE),
    (InvalidInput, Cause.DATA_ERROR),
)
"""Errors whose message is ours and quotes no content."""
_NUMBERS = {
    errno.ENOSPC: Cause.DISK_FULL,
    errno.EDQUOT: Cause.DISK_FULL,
    errno.EFBIG: Cause.DISK_FULL,
    errno.ENOMEM: Cause.HOST_MEMORY,
}
_FROM_TEXT = {Cause.GPU_MEMORY, Cause.HOST_MEMORY, Cause.DISK_FULL, Cause.GPU_FAULT, Cause.NETWORK}
"""Causes that an error's text is believed: the machine's, which no class of ours or the system's number names."""


def failure_of(error: BaseException) -> Failure:
    """Name the one cause of *error*, with evidence that quotes no content."""
    for kind, cause in _OURS:
        if isinstance(error, kind):
            step = error.hint if isinstance(error, InvalidInput | DoesNotFit) else None
            return Failure(cause=cause, evidence=str(error), next_step=step)
    named = isinstance(error, OSError) and error.errno in _NUMBERS
    what = os.strerror(error.errno or 0) if named and isinstance(error, OSError) else type(error).__name__
    return Failure(cause=_cause_of(error), evidence=f"{what} in {_place(error)}")


def _cause_of(error: BaseException) -> Cause:
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return _NUMBERS[error.errno]
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return Cause.GPU_MEMORY
    if isinstance(error, MemoryError):
        return Cause.HOST_MEMORY
    told = cause_of_text(str(error))  # torch and safetensors wrap what the system said in a text
    return told.cause if told and told.cause in _FROM_TEXT else Cause.USER_CODE


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "intramural" in frame.filename] or list(frames)
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} ({ours[-1].name})" if ours else "an unknown place"


def log_place(error: BaseException) -> None:
    """Write where it happened to the log: classes, files and lines. The message may quote content, so only ours is written."""
    message = error.message if isinstance(error, IntramuralError) else ""
    with contextlib.suppress(OSError):  # a full disk holds the log too
        for frame in traceback.extract_tb(error.__traceback__):
            print(f"  {frame.filename}:{frame.lineno} in {frame.name}", file=sys.stderr)
        print(f"{type(error).__name__} {message}".rstrip(), file=sys.stderr, flush=True)
