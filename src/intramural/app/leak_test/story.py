"""
What a person does in a leak test: every command that touches content, the good way, with mistakes, and with crashes.

Each command is a process of its own, started as a shell would; those that do not wait for each other run at once.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from intramural.app.leak_test.calling import MOST_SECONDS, Caller, command_of, shown
from intramural.app.leak_test.crashing import ABORTS, ENTRY
from intramural.app.leak_test.given import Given
from intramural.app.leak_test.watching import Watch

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
SOME_BAD = {"broken.jsonl", "role.jsonl", "quotes.csv", "damaged.jsonl.gz"}
SHOUTS = "{% if messages | length > 1 %}{{ raise_exception('cannot take: ' ~ messages[0]['content']) }}{% endif %}x"
"""A chat template that quotes what it is given in its error; a model is tried with one turn when it is added."""


class Story(Caller):
    """Acts in one home; what is not as expected is a problem."""

    def __init__(self, root: Path, environment: dict[str, str], given: Given, watch: Watch, entry: str = ENTRY) -> None:
        super().__init__(root, environment, watch)
        self._given, self._entry = given, entry
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
            "asking about rows": self.ask,
            "saying why": self.say,
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
        said = self._given.said
        rows = ("data", "add", self._given.named, "--name", "rows", "--holdout", self._given.holdout, "--base", "tiny")
        self.call(*rows, "--purpose", said["purpose"], "--provenance", said["provenance"])

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

    def ask(self) -> None:
        """Give rows and terms to the verbs that only look at them, and redact what is stored; some of it with faults."""
        given = self._given
        self.call_at_once(
            [
                *(["data", "trace", "--rows", path, "--json"] for path in (given.traced, given.named)),
                ["data", "trace", "--rows", given.table],
                ["data", "scan", "--sample", given.labelled, "--deny", given.denied],
                ["data", "scan", "--sample", given.labelled, "--json"],
                ["data", "scan", "more.gz", "--deny", given.denied_later],
                ["data", "redact", "more.gz", "--deny", given.denied_later, "--on", "email=pseudonymise"],
                ["data", "redact", "denied", "--deny", given.denied_later, "--on", "email=mask", "--json"],
                *(["data", "show", "more.gz"], ["data", "diff", "more.gz@1", "more.gz"], ["lineage", "more.gz"]),
            ]
        )
        self.call_at_once(
            [
                *(["data", "trace", "--rows", path] for path in given.bad if path.name in SOME_BAD),
                *(["data", "scan", "--sample", path] for path in given.bad_labelled),
                *(["data", "redact", "rows"], ["data", "trace", "--rows", given.folder / f"no {given.named.stem}"]),
            ],
            code=2,
        )

    def say(self) -> None:
        """Give reasons in one's own words, and approve; what was said is kept and shown, and nothing else."""
        said = self._given.said
        self.call("quarantine", "data:mixed", "--reason", said["reason"], "--downstream")
        asked = self.call("quarantine")
        self._watch.seen["a reason, printed by quarantine"] = asked
        self.call_at_once(
            [
                *(["quarantine", "--json"], ["data", "show", "mixed"], ["lineage", "mixed", "--json"], ["lineage", "rows"]),
                *(["lineage", "router"], ["lineage", "model:tiny"], ["audit", "hold", "dispute", "--object", said["hold"]]),
                ["approvals", "request", "router", "-o", "request.json"],
            ]
        )
        self.call_at_once([["run", "tune.yaml", "--detach", "--set", "data=mixed"], ["data", "redact", "mixed"]], code=5)
        self.call_at_once(
            [
                ["quarantine", "data:rows", "--reason", f"{said['refused']} {'again ' * 100}"],
                *(["lineage", self._given.named.stem], ["approvals", "request", self._given.named.stem]),
            ],
            code=2,
        )
        self._approve()
        self.call_at_once([["quarantine", "data:mixed", "--release"], ["audit", "holds"], ["audit", "tail", "--json"]])
        self.call("audit", "release", "dispute")

    def _approve(self) -> None:
        """Sign a request with a key that is on no list of approvers."""
        program = shutil.which("ssh-keygen")
        if program is None or not _has_account():
            self._watch.unread.add("what `approve` does: it needs ssh-keygen, and that an account of the user's")
            return
        key = self._here / "key"
        subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=MOST_SECONDS)
        self.call("approve", "--request", "request.json", "--key", key)
        self.call_at_once([["approvals", "add", "request.json"], ["approve", "router", "--key", key]], code=5)
        self.call_at_once([["approvals", "list"], ["approvals", "approvers"]])

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
            before = rows_being_read(self.home)  # of the command that was killed before
            with subprocess.Popen(
                command_of(words), cwd=self._here, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                until = time.monotonic() + MOST_SECONDS
                while process.poll() is None and time.monotonic() < until:
                    if rows_being_read(self.home) - before:
                        break
                    time.sleep(0.005)
                process.send_signal(number)
            self.commands.append(f"{shown(words)} → killed by signal {number.value}")
            if process.returncode != -number:
                self.problems.append(f"`{shown(words)}` ended before it could be killed.")
            self._watch.look()

    def shred(self) -> None:
        """Shred a data set."""
        self.call("data", "shred", "counted", "--yes", code=2)
        self.call("data", "shred", "rows", "--yes")
        self.call("data", "sample", "rows", code=2)


def rows_being_read(home: Path) -> set[Path]:
    """Return the files that commands write the rows into which they add; those of a killed one go when the next begins."""
    found = set()
    for folder, _, names in os.walk(home / "work"):
        for path in (Path(folder, name) for name in names if name.endswith(".jsonl")):
            with contextlib.suppress(FileNotFoundError):
                found |= {path} if path.stat().st_size else set()
    return found


def _has_account() -> bool:
    try:
        return bool(pwd.getpwuid(os.getuid()))
    except KeyError:
        return False
