"""Which process of this machine does a run's work."""

from __future__ import annotations

import json
from pathlib import Path

from intramural.domain.workload import PID_FILE
from intramural.walls.processes import Process


def process_of(run_folder: Path) -> Process | None:
    """Return the process of a run, as its walls wrote it down; a run without walls has a `pid.json`."""
    state = run_folder.parent.parent / "walls" / run_folder.name / "walls.json"
    try:
        return Process(**json.loads(state.read_text())["job"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # or damaged: see `walls.confined.adopt`
        return Process.read(run_folder / PID_FILE)
