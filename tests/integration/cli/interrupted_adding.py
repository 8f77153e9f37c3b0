"""
Has a file read with Ctrl-C pressed at one moment after the other; prints, a line each, how it ended and what is left.

    python interrupted_adding.py FILE HOME once|on

The readers are threads of this process, so that it is known what goes on when it is pressed: while one starts, before its
first word, at each piece, while it ends. With `on` it is pressed again at every such moment that follows.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

from intramural.cli import interrupts
from intramural.intake.add import IngestOptions, ingest
from intramural.intake.crew import Team
from intramural.intake.findings.screen import Screening
from intramural.intake.worker import Channel, Reader
from intramural.service.scratch import scratch

SCANNING = threading.Lock()
"""The scanner is one for a process."""


class Readers:
    """Starts readers; Ctrl-C is pressed at the moment of that number, and, if it goes on, at those after it."""

    def __init__(self, at, goes_on):
        self.at, self.goes_on, self.moments, self.is_over = at, goes_on, 0, False
        self._lock = threading.Lock()

    def moment(self):
        with self._lock:
            if not self.is_over and (self.moments == self.at or (self.goes_on and self.moments > self.at)):
                os.kill(os.getpid(), signal.SIGINT)
            self.moments += not self.is_over

    def end(self):
        with self._lock:  # one that was left may go on for a while
            self.is_over = True

    @contextlib.contextmanager
    def __call__(self, module, arguments, *, pass_fds, read_only):
        self.moment()
        channel = Channel(*map(os.dup, pass_fds))
        threading.Thread(target=self._read, args=(channel,), daemon=True).start()
        self.moment()
        try:
            yield
        finally:
            self.moment()

    def _read(self, channel):
        with contextlib.suppress(OSError, IndexError):  # whoever asked is gone
            reader = Reader(channel.orders(), channel.fetch_rules)
            self.moment()
            for task, opened in channel.tasks():
                frames = reader.frames(opened, task)
                while parts := self._next(frames):
                    self.moment()
                    channel.write(parts)

    def _next(self, frames):
        with SCANNING:
            return next(frames, None)


def read(file, home, readers):
    options = IngestOptions(screening=Screening(key=b"k" * 32, cache_folder=home / "rules"))
    with scratch(home) as work, Team(readers, rules=home / "rules", size=2) as team:
        ingest(file, work, options, team=team)
    return 0


def main(file, home, pressed):
    at = 0
    while True:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        readers = Readers(at, pressed == "on")
        code = interrupts.met(lambda readers=readers: read(file, home, readers), longest_seconds=600)
        readers.end()
        left = sorted(each.name for each in (home / "work").iterdir())
        print(json.dumps({"code": code, "left": left, "is_pressed": readers.moments > at}), flush=True)
        if readers.moments <= at:
            return
        at += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
