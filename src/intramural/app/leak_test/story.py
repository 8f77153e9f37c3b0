"""
What a person does in a leak test: every command that touches content, the good way, with mistakes, and with crashes.

Each command is a process of its own, started as a shell would; those that do not wait for each other run at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from intramural.app.leak_test.crashing import ABORTS, ENTRY
from intramural.app.leak_test.given import Given
from intramural.app.leak_test.watching import ASKED, Watch
from intramural.app.open import local_user, open_context
from intramural.domain.leaks import Planted
from intramural.domain.report import JobReport
from intramural.service.jobs import show_job
from intramural.settings import load_settings

ON_A_TERMINAL = frozenset({Planted.NAME, Planted.FIELD})
MOST_SECONDS = 240
LOOK_SECONDS = 0.1
AT_ONCE = os.cpu_count() or 1
TUNE = """\
name: router
base: tiny
data: rows
method: {merge: true}
train: {steps: 6, effective_batch: 2}
checkpoint: {every_steps: 2, every_minutes: null}
evaluate: {limit: 4, max_new_tokens: 8}
class: dev
"""
SHOUTS = "{% if messages | length > 1 %}{{ raise_exception('cannot take: ' ~ messages[0]['content']) }}{% endif %}x"
"""A chat template that quotes what it is given in its error; a model is tried with one turn when it is added."""


class Story:
    """Acts in one home; what is not as expected is a problem."""

    def __init__(self, root: Path, environment: dict[str, str], given: Given, watch: Watch, entry: str = ENTRY) -> None:
        self._environment, self._given, self._watch, self._entry = environment, given, watch, entry
        self.home, self._here = Path(environment["INTRAMURAL_HOME"]), root / ASKED
        self._here.mkdir()
        self.commands: list[str] = []
        self.problems: list[str] = []
        (self._here / "tune.yaml").write_text(TUNE)

    def acts(self) -> dict[str, Callable[[], None]]:
        """Return every act by its name, in their order."""
        return {
            "adding a model and data": self.add,
            "adding data in every form": self.add_more,
            "adding files with faults": self.add_faulty,
            "writing tune.yaml wrongly": self.configure_wrongly,
            "training and evaluating": self.train,
            "reading everything": self.read,
            "being refused": self.be_refused,
            "crashing while training": self.crash,
            "a chat template that quotes": self.shout,
            "a trainer that breaks": self.run_foreign,
            "killing a command": self.kill_commands,
            "shredding": self.shred,
        }

    def add(self) -> None:
        """Add a model and data."""
        self.call("model", "add", "tiny", "--starter", "tiny-random")
        self.call("data", "add", self._given.named, "--name", "rows", "--holdout", self._given.holdout, "--base", "tiny")

    def add_more(self) -> None:
        """Add data in every form, and let it be looked through."""
        given = self._given
        self.call_at_once(
            [
                *(["data", "add", path, "--name", f"more{path.suffix}"] for path in (given.packed, given.table, given.parquet)),
                ["data", "scan", given.packed, "--deny", given.denied],
                ["data", "add", given.packed, "--name", "denied", "--deny", given.denied],
                ["data", "add", given.packed, "--name", "masked", "--on", "email=mask"],
            ]
        )

    def add_faulty(self) -> None:
        """Add every bad file, and one with its faults left out."""
        self.call_at_once((["data", "add", path, "--name", "bad"] for path in self._given.bad), code=2)
        mixed = self._given.folder / "mixed.jsonl"
        mixed.write_bytes(b"\n".join([(self._given.folder / "role.jsonl").read_bytes(), self._given.named.read_bytes()]))
        self.call("data", "add", mixed, "--name", "mixed", "--skip-bad")
        self.call("data", "show", "mixed")

    def configure_wrongly(self) -> None:
        """Give every bad tune.yaml."""
        self.call_at_once((["run", path, "--dry-run"] for path in self._given.bad_tunes), code=2)

    def train(self) -> None:
        """Train and evaluate to the end."""
        self.call("run", "tune.yaml", "--wait", "--json")

    def read(self) -> None:
        """Call everything that prints or writes something about what is there."""
        self.call_at_once(
            [
                *(["ps"], ["show", "router"], ["show", "router", "--json"], ["logs", "router"], ["why", "router"]),
                ["show", "router", "--html", "-o", "page.html"],
                ["show", "router", "--md", "-o", "page.md"],
                *(["data", "list"], ["data", "show", "rows", "--json"], ["data", "diff", "rows", "mixed"]),
                *(["model", "list"], ["model", "show", "tiny"], ["artifact", "list"], ["measure", "own"]),
            ]
        )
        artifacts = self.document("artifact", "list")
        self.call_at_once(
            [
                ["artifact", "verify", artifacts[0]["id"]],
                *(["artifact", "export", each["id"], "-o", f"{each['kind']}"] for each in artifacts),
            ]
        )
        self.call("evidence", "router", "-o", "evidence")
        self.call_at_once(
            [
                *(["audit", "tail", "--json"], ["audit", "verify"], ["audit", "prove", "1"], ["audit", "holds"]),
                *(["audit", "export", "--format", form, "-o", f"trail.{form}"] for form in ("ocsf", "cef", "syslog")),
            ]
        )
        for words in (["keys", "status"], ["keys", "rotate"], ["keys", "status", "--json"]):
            self.call(*words)
        sample = self._watch.seen
        sample["rows, printed by data sample"] = self.call("data", "sample", "rows", "-n", "3", shows_content=True)

    def be_refused(self) -> None:
        """Ask for what is not there or not allowed."""
        wrong = self._given.named.stem
        [adapter, *_] = [each for each in self.document("artifact", "list") if each["kind"] == "adapter"]
        self.call_at_once(
            [
                *(["data", "show", wrong], ["show", wrong], ["logs", wrong], ["artifact", "show", wrong]),
                ["data", "add", self._given.folder / f"no {wrong}", "--name", "rows"],
                ["data", "add", self._given.named, "--name", wrong],
                ["artifact", "export", adapter["id"], "-o", "adapter"],
            ],
            code=2,
        )

    def crash(self) -> None:
        """Let a run die by a fault of memory, then by a kill; pause and cancel it."""
        job = self._submit("long", "--set", "train.steps=1000000", "--set", "evaluate.before=false")
        self._reaches(job, lambda report: report.step >= 4)
        os.kill(self._run_process(), signal.SIGKILL)
        self._reaches(job, lambda report: len(report.attempts) > 1 and report.step >= 6)
        self.call("pause", job)
        self._reaches(job, lambda report: report.state == "paused")
        self._watch.look()
        self.call("resume", job)
        os.kill(self._run_process(), signal.SIGSEGV)
        self._reaches(job, lambda report: report.attempts[2].outcome is not None)
        self._reaches(job, lambda report: report.state == "failed")
        self.call_at_once([["show", job], ["why", job], ["logs", job]])

    def shout(self) -> None:
        """Count tokens, and train, with a model whose template quotes messages in its error."""
        folder = self._here / "merged_model"
        (folder / "chat_template.jinja").write_text(SHOUTS)
        self.call("model", "add", "shouting", "--folder", folder)
        self.call("data", "add", self._given.packed, "--name", "counted", "--base", "shouting", code=2)
        job = self._submit("shouted", "--set", "base=shouting")
        self._fails(job)

    def run_foreign(self) -> None:
        """Run a trainer that raises an error that quotes rows, and one that aborts with rows in memory."""
        self._watch.end_processes()
        command = [sys.executable, "-P", "-m", "intramural.app.scheduler", "--home", str(self.home), "--entry", self._entry]
        with (self._here / "scheduler.out").open("wb") as output:
            scheduler = subprocess.Popen(
                [*command, "--foreground"], cwd=self._here, env=self._environment, stdout=output, stderr=output
            )
        for name in ("crash-raise", ABORTS):
            self._fails(self._submit(name))
        self._watch.look()
        scheduler.terminate()
        scheduler.wait()

    def kill_commands(self) -> None:
        """Kill a command that adds data while it works: at once, and so that it would dump its memory."""
        for number in (signal.SIGKILL, signal.SIGABRT):
            words = ["data", "add", str(self._given.many), "--name", "many"]
            before = set(self.home.glob("work/*/*.jsonl"))  # of the command that was killed before
            with subprocess.Popen(
                _command(words), cwd=self._here, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                until = time.monotonic() + MOST_SECONDS
                while process.poll() is None and time.monotonic() < until:
                    if any(path.stat().st_size for path in {*self.home.glob("work/*/*.jsonl")} - before):
                        break
                    time.sleep(0.005)
                process.send_signal(number)
            self.commands.append(f"{_shown(words)} → killed by signal {number.value}")
            if process.returncode != -number:
                self.problems.append(f"`{_shown(words)}` ended before it could be killed.")
            self._watch.look()

    def shred(self) -> None:
        """Shred a data set."""
        self.call("data", "shred", "counted", "--yes", code=2)
        self.call("data", "shred", "rows", "--yes")
        self.call("data", "sample", "rows", code=2)

    def call(self, *words: object, code: int = 0, shows_content: bool = False) -> int:
        """Run one command and search what it printed; return how many canaries were there that may be."""
        done = self._run(words, code)
        allowed = ON_A_TERMINAL | ({Planted.CONTENT} if shows_content else set())
        line = _shown(words)
        return sum(
            self._watch.read_output(f"{stream} of {line}", content, allowed=allowed)
            for stream, content in (("output", done.stdout), ("error output", done.stderr))
        )

    def call_at_once(self, commands: Iterable[Sequence[object]], *, code: int = 0) -> None:
        """Run commands that do not wait for each other, and search what they printed."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in threads.map(lambda words: self.call(*words, code=code), commands):
                pass

    def document(self, *words: object) -> Any:
        """Run one command with --json; return what it printed."""
        return json.loads(self._run((*words, "--json"), 0).stdout)

    def _run(self, words: tuple[object, ...], code: int) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            _command(words), cwd=self._here, env=self._environment, capture_output=True, check=False, timeout=MOST_SECONDS
        )
        self.commands.append(f"{_shown(words)} → {done.returncode}")
        if done.returncode != code:
            told = (done.stderr or done.stdout).decode(errors="replace").partition("\n")[0]
            self.problems.append(f"`{_shown(words)}` ended with {done.returncode}, where {code} was expected: {told}")
        return done

    def _submit(self, name: str, *options: str) -> str:
        words = ("run", "tune.yaml", "--detach", "--json", "--set", f"name={name}", *options)
        return str(json.loads(self._run(words, 0).stdout)["id"])

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


def _command(words: list[str] | tuple[object, ...]) -> list[str]:
    return [sys.executable, "-P", "-m", "intramural.cli.main", *map(str, words)]


def _shown(words: list[str] | tuple[object, ...]) -> str:
    """Return a command as a report shows it: a path by its last part, cut where that is long."""
    return " ".join(["intramural", *(str(each).rpartition("/")[2][:24] for each in words)])
