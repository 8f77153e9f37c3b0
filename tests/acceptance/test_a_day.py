"""
A day on one machine, through the command line alone: from a file to an adapter that loads in plain PEFT.

The model is a random one of two layers, so that the day is short; everything else is as it ships.
"""

import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from intramural.intake.made_tickets import write_tickets
from workload_world import build_tiny, until

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT's call

STEPS = 200
TUNE = f"""
name: router
base: tiny
data: tickets
train:
  steps: {STEPS}
  effective_batch: 2
  pass_tokens: 512
checkpoint:
  every_steps: 10
  every_minutes: null
evaluate:
  limit: 8
  max_new_tokens: 8
class: dev
"""
LONG = ["--set", "train.steps=100000"]


@pytest.fixture(scope="module")
def day(platform):
    """A home with the random model and a data set of made tickets."""
    write_tickets(platform.folder / "tickets.jsonl", 120, seed=11)
    (platform.folder / "tune.yaml").write_text(TUNE)
    added = platform.document("model", "add", "tiny", "--starter", "tiny-random")
    assert added["architecture"] == "LlamaForCausalLM"
    data = platform.document("data", "add", "tickets.jsonl", "--name", "tickets", "--base", "tiny")
    assert (data["rows_read"], data["fault_count"]) == (120, 0)
    assert data["train_examples"] + data["holdout_examples"] == 120
    assert data["tokens"][0]["answer_total"] > 0
    return platform


def running_process(platform):
    """Return the process of the one run that is under way, from its directory."""
    [pid] = [path for path in platform.home.glob("runs/*/pid.json") if not path.with_name("exit.json").exists()]
    return json.loads(pid.read_text())["pid"]


def reaches(platform, job_id, test):
    """Wait until the report of a job says what *test* wants; return the report."""

    def look():
        report = platform.document("show", job_id)
        return report if test(report) else None

    return until(look, 180)


def test_data_run_kill_pause_resume_show_export(day):
    assert "name: router" in day.call("run", "tune.yaml", "--dry-run").stdout
    job_id = day.call("run", "tune.yaml", "--detach").stdout.strip()
    assert job_id in [each["id"] for each in day.document("ps")]

    reaches(day, job_id, lambda report: report["step"] >= 25)
    os.kill(running_process(day), signal.SIGKILL)
    retried = reaches(day, job_id, lambda report: len(report["attempts"]) == 2 and report["step"] >= 30)
    assert retried["attempts"][0]["cause"] == "killed"

    day.call("pause", job_id)
    paused = reaches(day, job_id, lambda report: report["state"] in {"paused", "succeeded"})
    assert paused["state"] == "paused"
    resting = day.document("why", job_id)
    assert "intramural resume" in resting["next_step"]
    kept = day.document("resume", job_id)["checkpoint_step"]
    assert f"step {kept}" in resting["summary"]
    assert 0 < kept <= paused["step"] < STEPS  # the step may be the killed attempt's, told before the next had caught up

    *events, last = day.lines("watch", job_id)
    report = day.document("show", job_id)
    assert last == report
    assert events[-1]["event"]["type"] == "outcome"
    assert_exact(events)

    assert (report["state"], report["cause"]) == ("succeeded", None)
    assert report["metrics"]["before"]["loss"] > report["metrics"]["after"]["loss"]
    assert report["metrics"]["after"]["scores"]["valid_json"]["samples"] == 8
    assert report["tokens_per_second"] > 0
    assert report["peak_memory_bytes"] > 50_000_000
    assert report["duration_seconds"] > 0
    assert 0 < report["start_latency_seconds"] < 120
    assert report["checkpoints"][-1]["step"] == STEPS
    assert [each["step"] for each in report["curve"]] == list(range(1, STEPS + 1))
    assert [each["outcome"] for each in report["attempts"]] == ["failed", "stopped", "succeeded"]
    assert report["attempts"][2]["resumed_from_step"] == kept
    assert day.document("why", job_id)["state"] == "succeeded"

    day.call("show", job_id, "--html", "-o", "run.html")
    page = (day.folder / "run.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert page.count("<svg") >= 1

    adapter = next(each for each in day.document("artifact", "list", job_id) if each["kind"] == "adapter")
    assert adapter["lineage"]["base_digest"] == day.document("model", "show", "tiny")["digest"]
    day.call("artifact", "verify", adapter["id"])
    day.call("artifact", "export", adapter["id"], "-o", "adapter")
    assert_loads(day.folder)
    assert_silent(day, job_id)


def assert_exact(events):
    """Steps that two attempts took are the same, bit by bit, and none is missing; the drill's test proves that some repeat."""
    seen = {}
    for each in (each["event"] for each in events if each["event"]["type"] == "step"):
        figures = {name: each[name] for name in ("loss", "grad_norm", "learning_rate", "batch_digest")}
        assert seen.setdefault(each["step"], figures) == figures
    assert sorted(seen) == list(range(1, STEPS + 1))


def assert_loads(folder):
    """The exported adapter changes what the same random model says, in plain PEFT."""
    base = build_tiny(folder / "tiny")
    ids = torch.tensor([[7, 8, 9, 10]])
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.no_grad():
        before = model(input_ids=ids).logits
        after = PeftModel.from_pretrained(model, folder / "adapter")(input_ids=ids).logits
    assert torch.isfinite(after).all()
    assert (after - before).abs().max() > 1e-3


def assert_silent(day, job_id):
    """No text of a ticket is in the database, the logs, the events, the reports or the export."""
    rows = [json.loads(line) for line in (day.folder / "tickets.jsonl").read_text().splitlines()]
    texts = [row["messages"][1]["content"][:40].encode() for row in rows]
    places = [
        *day.home.glob("intramural.db*"), *day.home.glob("*.log"), *day.home.glob("runs/*/*.json*"),
        *day.home.glob("runs/*/log"), *(day.folder / "adapter").iterdir(), day.folder / "run.html",
    ]  # fmt: skip
    assert len(places) > 8
    assert [each for each in places if any(text in each.read_bytes() for text in texts)] == []
    assert day.call("logs", job_id).stdout.count("Error") == 0


def test_waiting_prints_events_and_then_the_report(day):
    *events, last = day.lines("run", "tune.yaml", "--set", "train.steps=3", "--set", "name=short", "--wait")

    assert last == day.document("show", "short")
    assert [each["event"]["step"] for each in events if each["event"]["type"] == "step"] == [1, 2, 3]
    assert [each["seq"] for each in events] == sorted({each["seq"] for each in events})


def test_a_drill_kills_a_job_and_proves_that_it_goes_on_exactly(day):
    # The drill asks for its checkpoint; one of the job's own between its decision and the kill would leave nothing to repeat.
    day.call("run", "tune.yaml", *LONG, "--set", "name=drilled", "--set", "checkpoint.every_steps=50000", "--detach")

    receipt = day.document("drill", "drilled")

    assert receipt["equal"], receipt["first_difference"]
    assert receipt["overlapping_steps"] >= 3
    assert receipt["killed_at_step"] - receipt["resumed_from_step"] == receipt["overlapping_steps"]
    day.call("cancel", "drilled")
    report = day.lines("watch", "drilled", code=1)[-1]
    assert (report["state"], report["cause"]) == ("cancelled", "cancelled")


def test_the_audit_names_who_did_what(day):
    day.document("data", "sample", "tickets", "-n", "1")

    entries = day.document("audit", "tail", "-n", "100")

    assert entries[-1]["action"] == "dataset:sample"
    assert {"model:add", "dataset:add"} <= {each["action"] for each in entries}
    assert {each["decision"] for each in entries} <= {"allowed", "refused"}


def write(path, text):
    path.write_text(text)
    return path


def pickled(folder):
    shutil.copytree(build_tiny(folder / "plain"), folder / "pickled")
    (folder / "pickled" / "model.safetensors").rename(folder / "pickled" / "pytorch_model.bin")
    return folder / "pickled"


def with_code(folder):
    shutil.copytree(build_tiny(folder / "plain"), folder / "code")
    write(folder / "code" / "modeling_own.py", "print('hello')\n")
    return folder / "code"


ROW = '{"prompt": "a", "completion": "b"}\n'
SPEC = "name: x\nbase: tiny\ndata: tickets\n"
WRONG = {
    "no such file": (2, lambda f: ["run", f / "nothing.yaml"], "no file"),
    "not YAML": (2, lambda f: ["run", write(f / "t.yaml", "name: [\n")], "line"),
    "unknown key": (2, lambda f: ["run", write(f / "t.yaml", SPEC + "trian: {}\n")], "did you mean `train`"),
    "impossible value": (2, lambda f: ["run", write(f / "t.yaml", SPEC), "--set", "train.steps=0"], "train.steps"),
    "both lengths": (2, lambda f: ["run", write(f / "t.yaml", SPEC + "train: {steps: 1, epochs: 1}\n")], "not both"),
    "no such base": (2, lambda f: ["run", write(f / "t.yaml", SPEC), "--set", "base=tinny"], "tinny"),
    "no such data": (2, lambda f: ["run", write(f / "t.yaml", SPEC), "--set", "data=ticket"], "ticket"),
    "too little memory": (7, lambda f: ["run", write(f / "t.yaml", SPEC), "--set", "resources.memory_gb=0.001"], "memory"),
    "no such rows": (2, lambda f: ["data", "add", f / "nothing.jsonl", "--name", "x"], "nothing.jsonl"),
    "broken rows": (2, lambda f: ["data", "add", write(f / "r.jsonl", ROW + '{"prompt": [\n'), "--name", "x"], "line 2"),
    "no rows": (2, lambda f: ["data", "add", write(f / "r.jsonl", ""), "--name", "x"], ""),
    "a bad name": (2, lambda f: ["data", "add", write(f / "r.jsonl", "{}\n"), "--name", "Not A Name"], "name"),
    "an empty model": (2, lambda f: ["model", "add", "m", "--folder", f], ""),
    "a pickled model": (5, lambda f: ["model", "add", "m", "--folder", pickled(f)], "pytorch_model.bin"),
    "a model with code": (5, lambda f: ["model", "add", "m", "--folder", with_code(f)], "modeling_own.py"),
    "a hub without a revision": (2, lambda f: ["model", "add", "m", "--hub", "a/b"], "--revision"),
    "a hub at a branch": (2, lambda f: ["model", "add", "m", "--hub", "a/b", "--revision", "main"], "40 hex digits"),
    "no such starter": (2, lambda f: ["model", "add", "m", "--starter", "nothing"], "tiny-random"),
    "no such layer": (2, lambda f: ["run", write(f / "t.yaml", SPEC), "--set", "method.lora.targets=[q_prj]"], "q_proj"),
    "no such job": (2, lambda f: ["show", "nothing"], "nothing"),
    "nothing to resume": (2, lambda f: ["resume", "short"], "succeeded"),
    "no such artifact": (2, lambda f: ["artifact", "verify", "nothing"], "nothing"),
    "no such command": (2, lambda f: ["rnu"], "run"),
}


@pytest.fixture(scope="module")
def settled(day):
    """The home once a short job has ended in it."""
    if "short" not in {each["spec"]["name"] for each in day.document("ps")}:
        day.call("run", "tune.yaml", "--set", "train.steps=1", "--set", "name=short", "--wait")
    return day


def holdings(day):
    """What a home holds: rows of each table that a command may fill, files of the vault, and what else lies there."""
    with closing(sqlite3.connect(day.home / "intramural.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {each: database.execute(f'SELECT count(*) FROM "{each}"').fetchone() for each in tables}  # noqa: S608
    kept = {str(each.relative_to(day.home)) for each in (day.home / "vault").rglob("*")}
    names = {each.name for each in day.home.iterdir()}
    beside = {each for each in names if not each.startswith(("scheduler", "warm", "intramural.db"))}
    mine = {name: counts[name] for name in ("jobs", "base_models", "dataset_versions", "artifacts")}
    return mine, kept, beside


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_named_with_a_next_step_and_leaves_nothing(settled, tmp_path, what):
    code, words, phrase = WRONG[what]
    before = holdings(settled)

    done = settled.call(*words(tmp_path), code=code)

    assert done.stdout == ""
    assert phrase in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr
    assert holdings(settled) == before


def test_a_home_that_cannot_be_used_is_unavailable(settled):
    done = settled.call("ps", code=8, INTRAMURAL_HOME="/proc/nowhere")

    assert "INTRAMURAL_HOME" in done.stderr


def blob_of(platform, digest):
    return platform.home / "vault" / digest[7:9] / digest[9:]


def test_a_changed_artifact_is_found_and_not_exported(settled, tmp_path):
    adapter = next(each for each in settled.document("artifact", "list", "short") if each["kind"] == "adapter")
    settled.call("artifact", "export", adapter["id"], "-o", tmp_path / "sound")
    weights = (tmp_path / "sound" / "adapter_model.safetensors").read_bytes()
    assert not [each for each in (settled.home / "vault").rglob("*") if sha256(weights).hexdigest()[4:] in each.name]
    manifest = json.loads(blob_of(settled, adapter["digest"]).read_bytes())
    blob = blob_of(settled, manifest["files"]["adapter_model.safetensors"]["sealed"])
    sealed = blob.read_bytes()
    blob.chmod(0o600)
    blob.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))

    verified = settled.call("artifact", "verify", adapter["id"], code=6)
    exported = settled.call("artifact", "export", adapter["id"], "-o", tmp_path / "damaged", code=6)

    assert "adapter_model.safetensors" in verified.stderr
    assert "→" in exported.stderr
    assert not (tmp_path / "damaged").exists()
