"""
A process within walls, dealt with from whatever process of the same user comes to it.

Nothing is kept in memory that cannot be read again: `adopt` finds a run after a restart.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from intramural.domain.confinement import Level
from intramural.errors import NotFound
from intramural.walls.processes import Process
from intramural.walls.record import FINAL

STATE = "walls.json"
RECEIPT_SECONDS = 10.0
"""How long after its process a supervisor may take to finish the receipt."""
LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Confined:
    """A process within walls; every process of the same user can hold one of these for it."""

    folder: Path
    level: Level
    job: Process
    """The process itself, as this machine numbers it."""
    first: Process
    """All others end with it: the first process of the namespace, or the job."""
    supervisor: Process
    run: Path
    """Where this side reaches the run directory: a folder, or a way into the memory of the walls."""
    _control: int | None = field(default=None, repr=False, compare=False)

    @property
    def pid(self) -> int:
        """The process's number on this machine."""
        return self.job.pid

    def release(self) -> None:
        """Let a held process begin its work."""
        if self._control is not None:
            with contextlib.suppress(BrokenPipeError):  # its supervisor is gone, and so is it
                os.write(self._control, b"go\n")
            os.close(self._control)
            object.__setattr__(self, "_control", None)

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to the process; False when it is gone."""
        return self.job.send(number)

    def is_alive(self) -> bool:
        """Tell whether the process still works."""
        return self.job.is_alive()

    def kill(self) -> bool:
        """End the process and all it started; its receipt is finished, its run directory stays."""
        return self.first.send(signal.SIGKILL)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the process has ended and its receipt is there; False when that took longer."""
        until = None if seconds is None else time.monotonic() + seconds
        with self.job.handle() as handle:
            if handle is not None and not select.select([handle], [], [], seconds)[0]:
                return False
        finish = time.monotonic() + RECEIPT_SECONDS if until is None else until
        while not (self.folder / FINAL).exists() and self.supervisor.is_alive():
            if time.monotonic() >= finish:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def close(self) -> None:
        """End the process if it still runs, and let go of a run directory that lay in memory."""
        if self._control is not None:
            os.close(self._control)
            object.__setattr__(self, "_control", None)
        self.supervisor.send(signal.SIGTERM)


def adopt(folder: Path) -> Confined:
    """
    Return the process whose supervisor keeps *folder*, alive or not. Raises `NotFound`.

    So it does where what says who runs is damaged: it is written whole while its process lives, so the machine went down.
    """
    try:
        state = json.loads((folder / STATE).read_text())
        job, first, supervisor = (Process(**state[name]) for name in ("job", "first", "supervisor"))
        return Confined(folder, Level(state["level"]), job, first, supervisor, Path(state["run"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise NotFound("No process was started on this folder.", hint="Start one with `launch`.") from None
