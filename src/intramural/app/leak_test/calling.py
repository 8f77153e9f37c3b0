"""Calls commands as a shell does, each a process of its own, searches what they print, and waits for jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from intramural.app.leak_test.watching import ASKED, Watch
from intramural.app.open import local_user, open_context
from intramural.domain.leaks import Planted
from intramural.domain.report import JobReport
from intramural.service.jobs import show_job
from intramural.settings import load_settings

ON_A_TERMINAL = frozenset({Planted.NAME, Planted.FIELD, Planted.SAID})
MOST_SECONDS = 240
LOOK_SECONDS = 0.1
AT_ONCE = os.cpu_count() or 1


class Caller:
    """Uses one home through the command line; what ends otherwise than expected is a problem."""

    def __init__(self, root: Path, environment: dict[str, str], watch: Watch) -> None:
        self._environment, self._watch = environment, watch
        self.home, self._here = Path(environment["INTRAMURAL_HOME"]), root / ASKED
        self._here.mkdir()
        self.commands: list[str] = []
        self.problems: list[str] = []

    def call(self, *words: object, code: int = 0, shows_content: bool = False) -> int:
        """Run one command and search what it printed; return how many canaries were there that may be."""
        allowed = ON_A_TERMINAL | ({Planted.CONTENT} if shows_content else set())
        return self._run(words, code, allowed)[1]

    def call_at_once(self, commands: Iterable[Sequence[object]], *, code: int = 0) -> None:
        """Run commands that do not wait for each other, and search what they printed."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in threads.map(lambda words: self.call(*words, code=code), commands):
                pass

    def document(self, *words: object) -> Any:
        """Run one command with --json; return what it printed."""
        return json.loads(self._run((*words, "--json"), 0)[0])

    def _run(self, words: tuple[object, ...], code: int, allowed: frozenset[Planted] = ON_A_TERMINAL) -> tuple[bytes, int]:
        """Run one command and search what it printed; return its output, and how many canaries that are *allowed* it held."""
        done = subprocess.run(
            command_of(words), cwd=self._here, env=self._environment, capture_output=True, check=False, timeout=MOST_SECONDS
        )
        self.commands.append(f"{shown(words)} → {done.returncode}")
        if done.returncode != code:
            told = (done.stderr or done.stdout).decode(errors="replace").partition("\n")[0]
            self.problems.append(f"`{shown(words)}` ended with {done.returncode}, where {code} was expected: {told}")
        streams = (("output", done.stdout), ("error output", done.stderr))
        seen = [self._watch.read_output(f"{name} of {shown(words)}", content, allowed=allowed) for name, content in streams]
        return done.stdout, sum(seen)

    def _submit(self, name: str, *options: str) -> str:
        words = ("run", "tune.yaml", "--detach", "--json", "--set", f"name={name}", *options)
        return str(json.loads(self._run(words, 0)[0])["id"])

    def _fails(self, job: str) -> None:
        report = self._reaches(job, lambda report: report.state in {"failed", "succeeded"})
        if report.state != "failed":
            self.problems.append(f"Job {report.name} was to fail, and succeeded.")
        self.call_at_once([["show", job], ["why", job], ["logs", job]])

    def _reaches(self, job: str, wanted: Callable[[JobReport], bool]) -> JobReport:
        """Wait until the report of *job* is as *wanted*."""
        until = time.monotonic() + MOST_SECONDS
        ctx = open_context(load_settings(self.home, {}), local_user())
        with closing(ctx.store):
            while not wanted(report := show_job(ctx, job)):
                if time.monotonic() > until:
                    last = (self.home / "scheduler.log").read_text(errors="replace").strip().rpartition("\n")[2]
                    raise TimeoutError(f"{report.name} is {report.state} at step {report.step}; scheduler.log: {last}")
                time.sleep(LOOK_SECONDS)
        return report

    def _run_process(self) -> int:
        """Wait for the process of the run that is under way."""
        until = time.monotonic() + MOST_SECONDS
        while time.monotonic() < until:
            open_runs = [each for each in self.home.glob("runs/*/pid.json") if not each.with_name("exit.json").exists()]
            for path in open_runs:
                process = json.loads(path.read_bytes())["pid"]
                if psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
                    return int(process)
            time.sleep(LOOK_SECONDS)
        raise TimeoutError("no run began")


def command_of(words: list[str] | tuple[object, ...]) -> list[str]:
    """Return the command line of these words."""
    return [sys.executable, "-P", "-m", "intramural.cli.main", *map(str, words)]


def shown(words: list[str] | tuple[object, ...]) -> str:
    """Return a command as a report shows it: a path by its last part, cut where that is long."""
    return " ".join(["intramural", *(str(each).rpartition("/")[2][:24] for each in words)])
