"""Rings for the scheduler when a run ended, so that it need not look often."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from pathlib import Path


class Bell:
    """Waits for processes, each in a thread of its own, and writes a byte into a FIFO when one is gone."""

    def __init__(self, fifo: Path | None) -> None:
        self._fifo = fifo
        self._watched: set[str] = set()

    def ring_at_end(self, attempt: str, pid: int) -> None:
        """Ring once when *pid*, which finishes what *attempt* leaves, is gone; asking again is harmless."""
        if self._fifo is None or attempt in self._watched:
            return
        self._watched.add(attempt)
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        threading.Thread(target=_ring, args=(handle, self._fifo), daemon=True).start()


def _ring(handle: int, fifo: Path) -> None:
    select.select([handle], [], [])
    os.close(handle)
    with contextlib.suppress(OSError):  # no scheduler reads there now
        bell = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        os.write(bell, b"e")
        os.close(bell)
