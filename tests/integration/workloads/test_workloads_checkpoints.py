"""Damaged checkpoints are passed over and named; changed circumstances are refused and named."""

import hashlib
import json
import shutil
import signal

import pytest

from intramural.domain.cause import Cause
from intramural.domain.job import Outcome
from workload_world import adapter, events, log, make_run, outcome, steps

NEWEST, BEFORE = "step-00000006", "step-00000004"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model, runner):
    run = make_run(tmp_path_factory.mktemp("whole") / "run", model)
    assert runner.end(run) == 0, log(run)
    return run


@pytest.fixture(scope="module")
def killed(tmp_path_factory, model, runner):
    """A run that was killed after step 6 was saved; later checkpoints are dropped."""
    run = make_run(tmp_path_factory.mktemp("killed") / "run", model)
    assert runner.end(run, signal=signal.SIGKILL, step=9) == -signal.SIGKILL  # step 8's save waited for that of 6
    for each in (run / "checkpoints").glob("*"):
        if each.name > NEWEST or each.name.startswith("."):
            shutil.rmtree(each)
    assert {each.name for each in (run / "checkpoints").iterdir()} >= {NEWEST, BEFORE}
    return run


@pytest.fixture
def again(new_run, killed):
    """Make the attempt after the killed one."""

    def make(**options):
        return new_run("again", after=killed, attempt=2, **options)

    return make


def cut(folder):
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def flip(folder):
    path = folder / "state.safetensors"
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def flip_state(folder):
    path = folder / "state.json"
    path.write_bytes(path.read_bytes().replace(b'"step": 6', b'"step": 7'))


DAMAGES = {
    "cut": (cut, "state.safetensors is not what its manifest says"),
    "one bit": (flip, "state.safetensors is not what its manifest says"),
    "another step": (flip_state, "state.json is not what its manifest says"),
    "tensors gone": (lambda folder: (folder / "state.safetensors").unlink(), "lacks state.safetensors"),
    "manifest gone": (lambda folder: (folder / "manifest.json").unlink(), "has no manifest"),
    "manifest cut": (lambda folder: (folder / "manifest.json").write_text('{"form'), "has a damaged manifest"),
    "empty": (lambda folder: [each.unlink() for each in folder.iterdir()], "has no manifest"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(whole, again, runner, damage):
    harm, words = DAMAGES[damage]
    run = again()
    harm(run / "inputs" / "checkpoints" / NEWEST)

    assert runner.end(run) == 0, log(run)

    [resume] = events(run, "resume")
    assert resume.step == 4
    [reason] = resume.skipped
    assert words in reason
    assert NEWEST in reason
    assert steps(run) == {step: figures for step, figures in steps(whole).items() if step > 4}
    assert adapter(run) == adapter(whole)


def test_where_no_checkpoint_verifies_it_begins_anew_and_says_so(whole, again, runner):
    run = again()
    for folder in (run / "inputs" / "checkpoints").iterdir():
        cut(folder)

    assert runner.end(run) == 0

    notices = [each.message for each in events(run, "notice")]
    assert events(run, "resume") == []
    assert any(NEWEST in each for each in notices)
    assert any("starts from the beginning" in each for each in notices)
    assert steps(run) == steps(whole)


def test_unchanged_circumstances_continue_without_a_word(again, runner):
    run = again()

    assert runner.end(run) == 0

    [resume] = events(run, "resume")
    assert (resume.step, resume.skipped, resume.drift) == (6, (), ())


def rewrite(run, change):
    """Change what the newest checkpoint says it was written in, with a manifest to match."""
    folder = run / "inputs" / "checkpoints" / NEWEST
    state = json.loads((folder / "state.json").read_text())
    change(state["fingerprint"])
    body = json.dumps(state, sort_keys=True).encode()
    (folder / "state.json").write_bytes(body)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["state.json"] = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


SPECS = {
    "train.effective_batch: 4 → 8": {"train": {"effective_batch": 8}},
    "train.learning_rate: 0.01 → 0.02": {"train": {"learning_rate": 0.02}},
    "train.precision: fp32 → bf16": {"train": {"precision": "bf16"}},
    "train.seed: 7 → 8": {"train": {"seed": 8}},
    "method.lora.rank: 16 → 4": {"method": {"lora": {"rank": 4}}},
    "threads: 2 → 1": {"resources": {"threads": 1}},
}
STORED = {
    "dataset: sha256:cccccccc… → sha256:bbbbbbbb…": lambda then: then.update(dataset="sha256:" + "c" * 64),
    "base: sha256:cccccccc… → sha256:aaaaaaaa…": lambda then: then.update(base="sha256:" + "c" * 64),
    "environment.torch: 1.0 → ": lambda then: then["environment"].update(torch="1.0"),
    "environment.device: other → ": lambda then: then["environment"].update(device="other"),
    "processes: 2 → 1": lambda then: then.update(processes=2),
}


def is_refused(run, runner, line):
    assert runner.end(run) == 1
    failure = outcome(run).failure
    assert failure.cause is Cause.DRIFT
    assert line in failure.evidence
    assert failure.evidence.count(" → ") == 1
    return steps(run) == {}


@pytest.mark.parametrize("line", SPECS)
def test_a_changed_spec_is_refused_and_named(again, runner, line):
    assert is_refused(again(**SPECS[line]), runner, line)


@pytest.mark.parametrize("line", STORED)
def test_another_origin_is_refused_and_named(again, runner, line):
    run = again()
    rewrite(run, STORED[line])

    assert is_refused(run, runner, line)


def test_accepted_differences_are_listed(again, runner):
    run = again(accept_drift=True)
    for change in STORED.values():
        rewrite(run, change)

    assert runner.end(run) == 0

    [resume] = events(run, "resume")
    assert resume.step == 6
    assert len(resume.drift) == len(STORED)
    assert all(any(line in each for each in resume.drift) for line in STORED)
    assert outcome(run).outcome is Outcome.SUCCEEDED
