"""Reaches the processes of this machine's runs, for the one verb that kills on purpose: the drill."""

from __future__ import annotations

import signal
from pathlib import Path

from intramural.scheduler.processes import process_of


class LocalRunControl:
    """Reaches a run by its directory."""

    def kill(self, run_folder: Path) -> bool:
        """Send SIGKILL to the run's process group; tell whether there was a process."""
        process = process_of(run_folder)
        return process is not None and process.kill()

    def checkpoint(self, run_folder: Path) -> bool:
        """Ask the run for a checkpoint now; tell whether there was a process."""
        process = process_of(run_folder)
        return process is not None and process.send(signal.SIGUSR1)
