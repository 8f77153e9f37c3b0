"""What the workloads' tests share: a random model, rows, run directories, and processes that run them."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from intramural.domain.dataset import ExampleKind
from intramural.domain.spec import JobSpec
from intramural.domain.workload import EVENT, EVENTS_FILE, EXIT_FILE, LOG_FILE, PID_FILE, SPEC_FILE, Sealing, WorkloadSpec
from intramural.sealing import SealContext, seal
from intramural.workloads import build_model
from intramural.workloads.environment import workload_environment

HERE = Path(__file__).parent
QUEUES = ["cards", "cash", "loans"]
NOON = 1_767_268_800.0


def build_tiny(folder):
    """Make the random model of `model add --starter tiny-random`."""
    assert build_model.main(["build_model", json.dumps({"source": "tiny-random", "target": str(folder)})]) == 0
    return folder


def chat(number, text="", answer=None):
    """A row with a system turn that all rows share, a text of its own length, and a structured answer."""
    rng = random.Random(number)  # noqa: S311 - the same row for the same number
    words = rng.choices(["please", "my", "the", "card", "was", "late", "again", "help"], k=3 + number % 9)
    answer = json.dumps({"queue": QUEUES[number % 3]}) if answer is None else answer
    return {
        "messages": [
            {"role": "system", "content": "Name the queue."},
            {"role": "user", "content": f"{text}{' '.join(words)} {number}"},
            {"role": "assistant", "content": answer},
        ]
    }


def write_rows(path, rows):
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def a_job(**fields):
    """A job of a few small steps; sections are merged with the defaults."""
    defaults = {
        "name": "router", "base": "tiny", "data": "tickets",
        "train": {"steps": 12, "effective_batch": 4, "learning_rate": 0.01, "precision": "fp32"},
        "checkpoint": {"every_minutes": None, "every_steps": 2, "keep": 50},
        "evaluate": {"suites": ["loss"], "max_new_tokens": 4},
        "resources": {"threads": 2},
    }  # fmt: skip
    for name, value in fields.items():
        defaults[name] = {**defaults.get(name, {}), **value} if isinstance(value, dict) else value
    return JobSpec.model_validate(defaults)


def make_run(
    folder, model, *, train_rows=None, holdout_rows=None, after=None, attempt=1, accept_drift=False, sealed=None, **job
):
    """
    Make a run directory; *after* is an earlier attempt whose checkpoints are staged as the control plane does.

    *sealed* is a key: the rows are sealed with it, and the run seals what it writes.
    """
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    (inputs / "model").symlink_to(model)
    write_rows(inputs / "train.jsonl", [chat(n) for n in range(20)] if train_rows is None else train_rows)
    write_rows(inputs / "holdout.jsonl", [chat(n) for n in range(100, 106)] if holdout_rows is None else holdout_rows)
    sealing = None
    if sealed is not None:
        sealing = Sealing(project="default", dataset="tickets", job_id="job-1", key_id=sealed.id)
        for name in ("train.jsonl", "holdout.jsonl"):
            context = SealContext("default", "dataset", f"tickets/{name}")
            (inputs / name).write_bytes(seal((inputs / name).read_bytes(), sealed, context))
    if after is not None:
        for each in sorted((after / "checkpoints").glob("step-*")):
            shutil.copytree(each, inputs / "checkpoints" / each.name)
    spec = WorkloadSpec(
        run_id=folder.name,
        attempt=attempt,
        job=a_job(**job),
        example_kind=ExampleKind.CHAT,
        base_digest="sha256:" + "a" * 64,
        dataset_digest="sha256:" + "b" * 64,
        sealing=sealing,
        accept_drift=accept_drift,
        submitted_at=NOON,
        asked_at=time.time(),
    )
    (folder / SPEC_FILE).write_text(spec.model_dump_json())
    return folder


def events(run, kind=None):
    """Return the events of a run, every line of them valid; of a killed one the torn last line is left out."""
    lines = (run / EVENTS_FILE).read_bytes().split(b"\n")
    found = [EVENT.validate_json(line) for line in lines[:-1]]
    return [each for each in found if kind is None or each.type == kind]


def steps(run):
    """Return by step what must repeat bit by bit."""
    return {each.step: (each.loss, each.grad_norm, each.learning_rate, each.batch_digest) for each in events(run, "step")}


def outcome(run):
    """Return the last event, which is the outcome."""
    last = events(run)[-1]
    assert last.type == "outcome", log(run)
    return last


def adapter(run):
    """Return the bytes of the adapter a run left."""
    return (run / "outputs" / "adapter" / "adapter_model.safetensors").read_bytes()


def log(run):
    return (run / LOG_FILE).read_text()


def until(condition, seconds=60.0):
    """Wait for something another process does; return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return found


class Runner:
    """Starts runs as the platform does: forked from a parent that has the libraries imported."""

    def __init__(self, home):
        self._home = home
        environment = {**workload_environment(inherited={"PATH": os.environ["PATH"]})}
        environment["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "intramural.workloads.warm", "--home", str(home), "--idle-seconds", "3600"]
        process = subprocess.run(
            [*command, "--entry", "workload_entry:main"], env=environment, stdout=subprocess.PIPE, timeout=60, check=True
        )
        assert json.loads(process.stdout.splitlines()[0]) == {"listening": True}
        self._started = []

    def start(self, run, keys=b"", **trigger):
        """Start *run* with *keys* in its pipe; *trigger* is what `workload_entry` does to it on its way."""
        (run / "trigger.json").write_text(json.dumps(trigger))
        answer = self._ask({"do": "start", "run": str(run), "version": ""}, keys)
        assert answer.get("started"), answer
        self._started.append(run)
        return answer["pid"]

    def end(self, run, keys=b"", **trigger):
        """Run *run* to its end; return its exit code, or the signal as a negative number."""
        self.start(run, keys, **trigger)
        until((run / EXIT_FILE).exists, 120)
        end = json.loads((run / EXIT_FILE).read_text())
        return end["code"] if "code" in end else -end["signal"]

    def close(self):
        """End the parent and every run that is left."""
        self._ask({"do": "leave"})
        for run in self._started:
            if not (run / EXIT_FILE).exists():
                os.kill(json.loads((run / PID_FILE).read_text())["pid"], signal.SIGKILL)

    def _ask(self, request, keys=b""):
        reading, writing = os.pipe()
        os.write(writing, keys)
        os.close(writing)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(120)  # the parent answers when its imports are done
            folder = os.open(self._home, os.O_RDONLY)
            try:
                connection.connect(f"/proc/self/fd/{folder}/warm.sock")
            finally:
                os.close(folder)
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [reading])
            os.close(reading)
            return json.loads(connection.makefile().readline())
