"""Starts the processes that read foreign files: within walls, without a network, with no file but those they are handed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from intramural.domain.confinement import Limits

MEMORY_BYTES = 2 << 30
"""A row may be 64 MiB, and is held in several forms while it is looked at."""
LIMITS = Limits(
    memory_bytes=MEMORY_BYTES, processes=64, open_files=256, file_bytes=1 << 20, output_bytes=1 << 16, scratch_bytes=1 << 24
)
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""Several readers share the machine by themselves."""


class ConfinedReaders:
    """Starts them for one home, at the firmest level of this machine."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __call__(
        self, module: str, arguments: Sequence[str], *, pass_fds: Sequence[int], read_only: Sequence[str]
    ) -> AbstractContextManager[object]:
        """Run `python -m MODULE ARGUMENTS` until the block ends."""
        from intramural.walls.worker import worker  # noqa: PLC0415 - only where a file is read

        given = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
        return worker(
            module,
            arguments,
            environment={**given, **ONE_THREAD},
            read_only=read_only,
            pass_fds=pass_fds,
            limits=LIMITS,
            hidden=self._home,
        )
