"""
The keys of this process's run: read once from a pipe, held in memory, handed to the workload.

Whoever starts the process gives it the pipe; nothing else ever holds the keys in clear.
"""

from __future__ import annotations

import os

from intramural.domain.workload import WorkloadSpec
from intramural.sealing import Files, Keyring, PlainFiles, SealContext, SealedFiles

LONGEST_LINE = 1 << 16
"""What a pipe holds."""

_held = Keyring()


def receive(pipe: int | None) -> None:
    """Read the keys from *pipe* and close it; without a pipe there are none. Raises `IntegrityFailure` for a torn line."""
    if pipe is None:
        return
    line = b""
    while len(line) < LONGEST_LINE and (piece := os.read(pipe, LONGEST_LINE)):
        line += piece
    os.close(pipe)
    hold(line)


def hold(line: bytes) -> None:
    """Keep the keys of a *line*, none for an empty one. Raises `IntegrityFailure` for a torn line."""
    global _held  # noqa: PLW0603 - one run per process; its entry is called with the run's directory alone
    _held = Keyring.decode(line) if line else Keyring()


def held() -> Keyring:
    """Return the keys of this process's run."""
    return _held


def files_of(spec: WorkloadSpec) -> tuple[Files, Files]:
    """Return how rows are read, and how everything that the run leaves is written and read again."""
    sealing = spec.sealing
    if sealing is None:
        return PlainFiles(), PlainFiles()
    keys = held()
    return (
        SealedFiles(keys, SealContext(sealing.project, "dataset", sealing.dataset), key_id=""),
        SealedFiles(keys, SealContext(sealing.project, "output", sealing.job_id), sealing.key_id),
    )
