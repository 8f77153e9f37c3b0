"""A run that seals: the same numbers to the last bit, and nothing of the rows or the weights in clear on the disk."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load
from transformers import AutoModelForCausalLM

from intramural.domain.spec import LoraOptions, Precision
from intramural.errors import IntegrityFailure
from intramural.sealing import Keyring, ScopeKey, SealContext, SealedFiles, is_sealed
from intramural.workloads import checkpoint, leaving, loading
from workload_world import adapter, chat, events, log, make_run, outcome, steps, until

KEY = ScopeKey.new("key-1")
LINE = Keyring([KEY]).encode()
LEFT = SealedFiles(Keyring([KEY]), SealContext("default", "output", "job-1"), KEY.id)
CANARY = "SECRETSENTENCE"
ROWS = [chat(n, text=f"{CANARY} ") for n in range(20)]


def files_with(text, folder):
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and text in path.read_bytes()]


@pytest.fixture(scope="module")
def pair(tmp_path_factory, model, runner):
    """A run in clear and its sealed twin."""
    folder = tmp_path_factory.mktemp("pair")
    plain = make_run(folder / "plain", model, train_rows=ROWS)
    sealed = make_run(folder / "sealed", model, train_rows=ROWS, sealed=KEY, method={"merge": True})
    assert (runner.end(plain), runner.end(sealed, LINE)) == (0, 0), log(sealed)
    return plain, sealed


def test_a_sealed_run_gives_the_same_numbers_and_the_same_adapter(pair):
    plain, sealed = pair

    assert steps(sealed) == steps(plain)
    path = sealed / "outputs" / "adapter" / "adapter_model.safetensors"
    assert LEFT.plain(path.read_bytes(), "adapter/adapter_model.safetensors") == adapter(plain)


def test_everything_that_a_sealed_run_writes_but_its_events_is_sealed(pair):
    _, sealed = pair

    written = [path for part in ("checkpoints", "outputs") for path in (sealed / part).rglob("*") if path.is_file()]
    open_ones = {path.name for path in written if not is_sealed(path.read_bytes())}
    assert open_ones == {checkpoint.MANIFEST}
    assert files_with(CANARY.encode(), sealed) == []


def test_the_keys_of_a_run_are_in_none_of_its_files(pair):
    _, sealed = pair

    for form in (KEY.secret, LINE.strip(), json.loads(LINE)[KEY.id].encode()):
        assert files_with(form, sealed) == []


def test_a_sealed_run_that_was_killed_goes_on_to_the_last_bit(pair, new_run, runner):
    plain, _ = pair
    first = new_run("first", train_rows=ROWS, sealed=KEY)
    assert runner.end(first, LINE, signal=signal.SIGKILL, step=7) == -signal.SIGKILL
    second = new_run("second", train_rows=ROWS, sealed=KEY, after=first, attempt=2)

    assert runner.end(second, LINE) == 0, log(second)

    assert events(second, "resume")[0].step >= 2
    assert {**steps(first), **steps(second)} == steps(plain)
    body = (second / "outputs" / "adapter" / "adapter_model.safetensors").read_bytes()
    assert LEFT.plain(body, "adapter/adapter_model.safetensors") == adapter(plain)


def test_a_torn_sealed_checkpoint_falls_back_to_the_one_before(pair, new_run, runner):
    _, sealed = pair
    run = new_run("again", train_rows=ROWS, sealed=KEY, after=sealed, attempt=2, method={"merge": True})
    newest = sorted((run / "inputs" / "checkpoints").glob("step-*"))[-1] / checkpoint.TENSORS
    newest.write_bytes(newest.read_bytes()[:-7])

    assert runner.end(run, LINE) == 0, log(run)

    (resumed,) = events(run, "resume")
    assert (resumed.step, len(resumed.skipped)) == (10, 1)


@pytest.mark.parametrize(
    "keys",
    [b"", Keyring([ScopeKey.new("key-1")]).encode(), Keyring([ScopeKey.new("key-2")]).encode()],
    ids=["none", "of another's", "of another name"],
)
def test_without_its_key_a_run_fails_and_writes_nothing(new_run, runner, keys):
    run = new_run("run", train_rows=ROWS, sealed=KEY)

    assert runner.end(run, keys) == 1

    assert outcome(run).failure is not None
    assert not (run / "outputs").exists()
    assert files_with(CANARY.encode(), run) == []


def test_rows_in_clear_are_refused_where_sealed_ones_belong(new_run, runner):
    run = new_run("run", train_rows=ROWS, sealed=KEY)
    (run / "inputs" / "train.jsonl").write_text(json.dumps(chat(1)) + "\n")

    assert runner.end(run, LINE) == 1
    assert "not sealed" in outcome(run).failure.evidence


def test_a_run_shows_no_key_and_no_row_to_others_and_leaves_no_core(new_run, runner):
    run = new_run("run", train_rows=ROWS, sealed=KEY, train={"steps": 300})
    pid = runner.start(run, LINE)
    until(lambda: events(run, "step") if (run / "events.jsonl").exists() else None)
    os.kill(pid, signal.SIGSTOP)  # holds still while it is looked at
    proc = Path(f"/proc/{pid}")

    seen = (proc / "environ").read_bytes() + (proc / "cmdline").read_bytes()
    limits = (proc / "limits").read_text()
    held = [path.readlink() for path in (proc / "fd").iterdir()]
    owner = proc.stat().st_uid
    os.kill(pid, signal.SIGKILL)
    for form in (CANARY.encode(), KEY.secret, json.loads(LINE)[KEY.id].encode()):
        assert form not in seen
    assert any(line.split()[:6] == ["Max", "core", "file", "size", "0", "0"] for line in limits.splitlines())
    assert owner == 0  # what prctl(PR_SET_DUMPABLE, 0) makes of it, for whatever user
    assert not [each for each in held if str(each).startswith("pipe:")]


def test_what_is_made_in_memory_is_what_the_libraries_write(model, tmp_path):
    """File for file as `save_pretrained` of PEFT and Transformers; the configurations as values."""
    base = loading.load_base(model, Precision.FP32, torch.device("cpu"))
    wrapped = loading.add_adapter(base, LoraOptions(rank=4), 7, "tiny")
    wrapped.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)

    made = dict(leaving.adapter_files(wrapped))

    assert made["adapter_model.safetensors"] == (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes()
    theirs = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    ours = json.loads(made["adapter_config.json"])
    assert {**ours, "target_modules": sorted(ours["target_modules"])} == {
        **theirs,
        "target_modules": sorted(theirs["target_modules"]),
    }
    files = dict(leaving.merged_files(wrapped, model, torch.bfloat16))
    merged = wrapped.base_model.model
    merged.save_pretrained(tmp_path / "merged")
    assert {name: body.shape for name, body in load(files["model.safetensors"]).items()} == {
        name: body.shape for name, body in load((tmp_path / "merged" / "model.safetensors").read_bytes()).items()
    }
    for name in ("config.json", "generation_config.json"):
        assert json.loads(files[name]) == json.loads((tmp_path / "merged" / name).read_text())


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_an_unsealed_adapter_and_a_merged_model_load_in_the_plain_libraries(pair, model, tmp_path):
    _, sealed = pair
    for path in (sealed / "outputs").rglob("*"):
        if path.is_file():
            name = path.relative_to(sealed / "outputs").as_posix()
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(LEFT.plain(path.read_bytes(), name))

    base = AutoModelForCausalLM.from_pretrained(model)
    assert PeftModel.from_pretrained(base, tmp_path / "adapter").peft_config
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").num_parameters() > 0


def test_a_checkpoint_does_not_open_as_another_step(pair, tmp_path):
    _, sealed = pair
    older, newer = sorted((sealed / "checkpoints").glob("step-*"))[:2]
    moved = tmp_path / newer.name
    moved.mkdir()
    for each in older.iterdir():
        (moved / each.name).write_bytes(each.read_bytes())

    with pytest.raises(IntegrityFailure):
        checkpoint.load(moved, LEFT)
