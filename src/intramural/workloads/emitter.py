"""
The event stream out of a workload, and the wishes that come in.

Events are lines of JSON in `events.jsonl`, each written with one call and flushed, so a
killed process leaves at most one torn last line. Safe from several threads; a second
process is kept out by a lock on the file (flock(2)), which ends with the first one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from intramural.domain.workload import EVENT, EVENTS_FILE, NoticeEvent, PhaseEvent, ProgressEvent
from intramural.errors import Conflict

RESERVE_BYTES = 1 << 16
"""Kept free on the disk of the run directory, so that a run that filled it can still tell so."""


class Emitter:
    """Appends events of one run directory, as the only process that does."""

    def __init__(self, run_folder: Path) -> None:
        """Hold the events of *run_folder* until this process ends. Raises `Conflict` where another one holds them."""
        self._file = os.open(run_folder / EVENTS_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise Conflict(
                "Another process is at work in this run directory; nothing was written.",
                hint="Follow that one: intramural watch JOB.",
            ) from None
        self._lock = threading.Lock()
        self._last_progress = 0.0
        self._last_at = 0.0
        self._reserve: int | None = None
        with contextlib.suppress(OSError):  # a file system that cannot reserve, or none left to reserve
            self._reserve = os.open(run_folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            os.posix_fallocate(self._reserve, 0, RESERVE_BYTES)

    def emit(self, event: Any) -> None:
        """Append one event of `domain.workload`, whole or not at all; raise OSError. Times never go back."""
        with self._lock:
            if event.at < self._last_at:
                event = event.model_copy(update={"at": self._last_at})
            self._last_at = event.at
            line = EVENT.dump_json(event) + b"\n"
            before = os.fstat(self._file).st_size
            if os.write(self._file, line) < len(line):
                os.ftruncate(self._file, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def make_room(self) -> None:
        """Give the reserved space back, for the last event and the log."""
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def phase(self, phase: Any) -> None:
        """Say that a new phase began."""
        self.emit(PhaseEvent(at=time.time(), phase=phase))

    def progress(self, phase: str, done: int, total: int) -> None:
        """Say how far a phase is, at most about five times a second and always at its end."""
        now = time.time()
        if done < total and now - self._last_progress < 0.2:
            return
        self._last_progress = now
        self.emit(ProgressEvent(at=now, phase=phase, done=done, total=total))

    def notice(self, message: str) -> None:
        """Tell a person something; *message* is ours and holds no content."""
        self.emit(NoticeEvent(at=time.time(), message=message))


class StopAsked(Exception):
    """The run was asked to stop; raised between two units of work, never inside one."""


class Wishes:
    """What the control plane asked through signals: SIGUSR1 a checkpoint, SIGTERM a checkpoint and the end."""

    def __init__(self) -> None:
        self._checkpoint = False
        self.stop = False

    def install(self) -> None:
        """Take over the two signals; call from the main thread."""
        signal.signal(signal.SIGUSR1, self._on_checkpoint)
        signal.signal(signal.SIGTERM, self._on_stop)

    def take_checkpoint(self) -> bool:
        """Return whether a checkpoint was asked for since the last call."""
        asked, self._checkpoint = self._checkpoint, False
        return asked

    def check(self) -> None:
        """Raise `StopAsked` when the end was asked for."""
        if self.stop:
            raise StopAsked

    def _on_checkpoint(self, _number: int, _frame: FrameType | None) -> None:
        self._checkpoint = True

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop = True
