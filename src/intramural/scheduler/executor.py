"""
The face of an executor: it starts a run's process somewhere and tells how it stands.

Every executor keeps three promises, whatever is killed in between. A run directory is
started at most once, however often and from wherever it is submitted. A process lives
on without the executor object that started it; another object finds it by its
attempt. `poll` never mistakes a stranger for a run that ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from intramural.domain.policy import Grant
from intramural.domain.spec import JobSpec
from intramural.domain.value import RunId, Value


class Phase(StrEnum):
    """How far a run's process is."""

    ABSENT = "absent"
    """Nothing was started here; submit it (again)."""
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


class Status(Value):
    """What an executor knows of one attempt."""

    phase: Phase
    exit_code: int | None = None
    signal: int | None = None
    """What ended the process; with neither, it is gone and nobody saw how."""
    out_of_memory: bool = False
    """The kernel or the engine says that memory ended it."""
    disk_full: bool = False
    """It was ended because it left too little room on the disk."""
    problem: str | None = None
    """Why nothing was started, where that is known."""


class Signal(StrEnum):
    """What a run may be asked without ending it."""

    CHECKPOINT = "checkpoint"


NOTHING_MORE = Grant()
"""No way out; the GPUs of the machine."""


class Executor(Protocol):
    """Runs attempts; see the module for its promises."""

    def prepare(self) -> None:
        """Get ready for a run that will come soon; costs nothing where there is nothing to do."""

    def submit(self, attempt: RunId, folder: Path, spec: JobSpec, keys: bytes = b"", *, grant: Grant = NOTHING_MORE) -> None:
        """
        Start the process of *attempt* on *folder*, or do nothing if that was done. Raises `Unavailable`.

        *grant* is what the policies give it. *keys* is one line that the process gets through a pipe; no file, argument or
        variable ever holds it.
        """

    def poll(self, attempts: Iterable[RunId]) -> dict[RunId, Status]:
        """Tell how each attempt stands, and end those whose grace is over."""

    def stop(self, attempt: RunId, grace_seconds: float | None) -> None:
        """Ask for a checkpoint and the end; kill it after *grace_seconds* (0: now), or never. Asking again is harmless."""

    def signal(self, attempt: RunId, request: Signal) -> None:
        """Pass a request on to a running attempt; nothing happens if there is none."""

    def log_path(self, attempt: RunId) -> Path:
        """Return where its output is, whether or not it began."""

    def close(self) -> None:
        """Let go of what the object holds; the runs go on."""
