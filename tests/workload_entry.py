"""
The fine-tuning workload with something that happens to it: a signal at a chosen moment, a small disk.

`RUN/trigger.json` says what: `{"signal": 9, "step": 4}` after the fourth step's event, `"phase": NAME` when that
phase begins, `"writing": 4` while a checkpoint of step 4 or later is half written; `"file_bytes": N` limits every file.
"""

import json
import os
import resource
import sys
import threading
from pathlib import Path

from intramural.domain.workload import CHECKPOINTS, EVENTS_FILE
from intramural.workloads import train

preload = train.preload


def main(run: Path) -> int:
    """Run the workload; return its exit code."""
    trigger = json.loads((run / "trigger.json").read_text())
    if "file_bytes" in trigger:
        resource.setrlimit(resource.RLIMIT_FSIZE, (trigger["file_bytes"],) * 2)
    if "signal" in trigger:
        sys.setswitchinterval(1e-4)
        threading.Thread(target=_strike, args=(run, trigger), daemon=True).start()
    return train.main(run)


def _strike(run: Path, trigger: dict) -> None:
    while not _is_time(run, trigger):
        threading.Event().wait(0.0005)
    os.kill(os.getpid(), trigger["signal"])


def _is_time(run: Path, trigger: dict) -> bool:
    if "writing" in trigger:
        return any(int(each.name[6:14]) >= trigger["writing"] for each in (run / CHECKPOINTS).glob(".step-*.partial"))
    try:
        lines = (run / EVENTS_FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return False
    if "phase" in trigger:
        return any(b'"phase"' in line and f'"phase":"{trigger["phase"]}"'.encode() in line for line in lines)
    return any(b'"type":"step"' in line and f'"step":{trigger["step"]},'.encode() in line for line in lines)
