"""An executor without processes, for tests of what stands on one; it keeps the same contract as the real ones."""

import json
from pathlib import Path

from intramural.scheduler.executor import Phase, Signal, Status

SIGKILL, SIGTERM = 9, 15


class FakeExecutor:
    def __init__(self, home: Path, clock):
        self._runs = home / "runs"
        self._clock = clock
        self._statuses = {}
        self._kill_at = {}
        self.starts = []
        self.requests = []

    def prepare(self):
        pass

    def submit(self, attempt, folder, spec, keys=b"", grant=None):
        if attempt in self._statuses:
            return
        self.starts.append(attempt)
        behaviour, _, number = json.loads((folder / "spec.json").read_text())["job"]["name"].partition("-")
        (folder / "log").write_text("")
        endings = {"succeed": {"exit_code": 0}, "leave": {"exit_code": int(number or 0)}, "die": {"signal": int(number or 0)}}
        if behaviour in endings:
            self._statuses[attempt] = Status(phase=Phase.ENDED, **endings[behaviour])
        else:
            self._statuses[attempt] = Status(phase=Phase.RUNNING)

    def poll(self, attempts):
        for attempt, at in list(self._kill_at.items()):
            if self._clock() >= at and self._statuses[attempt].phase is Phase.RUNNING:
                self.end(attempt, signal=SIGKILL)
        return {attempt: self._statuses.get(attempt, Status(phase=Phase.ABSENT)) for attempt in attempts}

    def stop(self, attempt, grace_seconds):
        if attempt not in self._statuses or self._statuses[attempt].phase is not Phase.RUNNING:
            return
        name = json.loads((self._runs / attempt / "spec.json").read_text())["job"]["name"]
        if grace_seconds == 0:
            self.end(attempt, signal=SIGKILL)
        elif name == "deaf":
            if grace_seconds is not None:
                self._kill_at.setdefault(attempt, self._clock() + grace_seconds)
        else:
            self.end(attempt, exit_code=3)

    def signal(self, attempt, request):
        assert request is Signal.CHECKPOINT
        if attempt in self._statuses and self._statuses[attempt].phase is Phase.RUNNING:
            (self._runs / attempt / "checkpoint-asked").touch()

    def log_path(self, attempt):
        return self._runs / attempt / "log"

    def close(self):
        pass

    def end(self, attempt, **how):
        self._statuses[attempt] = Status(phase=Phase.ENDED, **how)
