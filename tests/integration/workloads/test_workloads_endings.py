"""How runs end: what they leave, the one cause of a failure, and that nothing of the rows leaves."""

import json
import subprocess
import sys

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from disks import a_disk
from intramural.domain.cause import Cause
from intramural.domain.job import Outcome
from intramural.domain.spec import Precision
from intramural.workloads import loading
from intramural.workloads.decoder import Decoder, FlatPass
from intramural.workloads.environment import workload_environment
from intramural.workloads.passes import TokenExample, lay_out, layout
from workload_world import chat, events, log, outcome, steps

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT's call

CANARY = "xylophone-7731"
FULL = {"evaluate": {"suites": ["loss", "structured"]}}


def ends(run, runner, code=0, **trigger):
    assert runner.end(run, **trigger) == code, log(run)
    return outcome(run)


def test_a_run_tells_its_phases_in_order_and_its_outcome_last(new_run, runner):
    run = new_run("run", **FULL)

    last = ends(run, runner)

    told = events(run)
    assert [each.phase for each in told if each.type == "phase"] == [
        "load", "evaluate_before", "train", "evaluate_after", "write", "done",
    ]  # fmt: skip
    assert last.outcome is Outcome.SUCCEEDED
    assert last.tokens_per_second > 0
    assert last.peak_memory_bytes > 50_000_000
    assert [each.at for each in told] == sorted(each.at for each in told)
    assert [each.step for each in told if each.type == "step"] == list(range(1, 13))
    assert [each.type for each in told].count("outcome") == 1
    [first] = events(run, "first_pass")
    assert 0 < first.seconds_since_submit < 600
    [resolved] = events(run, "resolved")
    assert resolved.total_steps == 12
    assert [each.when for each in events(run, "evaluation")] == ["before", "after"]
    assert {each.evaluation.system for each in events(run, "baseline")} >= {"majority"}


def test_no_text_of_a_row_is_anywhere_but_in_the_rows(new_run, runner):
    rows = [chat(n, f"{CANARY} ", json.dumps({"queue": f"{CANARY}-{n % 2}"})) for n in range(26)]
    run = new_run("run", train_rows=rows[:20], holdout_rows=rows[20:], **FULL)

    ends(run, runner)

    kept = [each for each in run.rglob("*") if each.is_file() and "inputs" not in each.parts]
    assert {"events.jsonl", "log", "evaluation.json", "adapter_model.safetensors", "state.json"} <= {each.name for each in kept}
    assert [each for each in kept if CANARY.encode() in each.read_bytes() or CANARY in each.name] == []
    assert CANARY in (run / "inputs" / "train.jsonl").read_text()


def test_the_adapter_loads_in_plain_peft_and_gives_our_logits(new_run, runner, model):
    run = new_run("run", train={"learning_rate": 0.05})
    ends(run, runner)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)

    theirs = PeftModel.from_pretrained(base, run / "outputs" / "adapter").eval()

    ids = [n % 250 for n in range(3, 40)]
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    ours = loading.load_base(model, Precision.FP32, torch.device("cpu"))
    decoder = Decoder(PeftModel.from_pretrained(ours, run / "outputs" / "adapter").base_model.model)
    example = TokenExample(ids, [False] + [True] * (len(ids) - 1))
    laid = layout([example], lay_out([example], [0], pass_tokens=64)[0])
    with torch.no_grad():
        expected = theirs(input_ids=torch.tensor([ids])).logits[0]
        found = decoder.hidden(FlatPass.of(laid, torch.device("cpu"))) @ decoder.head.t()
        before = plain(input_ids=torch.tensor([ids])).logits[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert (before - expected).abs().max() > 0.01
    assert json.loads((run / "outputs" / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"


def test_the_merged_model_is_base_and_adapter_in_one(new_run, runner, model):
    run = new_run("run", method={"merge": True}, train={"learning_rate": 0.05})
    ends(run, runner)
    ids = torch.tensor([[5, 6, 7, 8, 9]])

    merged = AutoModelForCausalLM.from_pretrained(run / "outputs" / "merged", dtype=torch.float32)

    adapted = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), run / "outputs" / "adapter"
    )
    with torch.no_grad():
        torch.testing.assert_close(merged(input_ids=ids).logits, adapted(input_ids=ids).logits, rtol=1e-3, atol=1e-3)
    assert (run / "outputs" / "merged" / "tokenizer.json").is_file()


def test_without_a_holdout_nothing_is_measured(new_run, runner):
    run = new_run("run", holdout_rows=[], **FULL)

    ends(run, runner)

    assert events(run, "evaluation") == []
    assert len(steps(run)) == 12
    assert json.loads((run / "outputs" / "evaluation.json").read_text()) == {"before": None, "after": None}


def test_one_example_is_enough(new_run, runner):
    run = new_run("run", train_rows=[chat(1)], train={"steps": 3}, resources={"threads": 1})

    ends(run, runner)

    losses = [loss for loss, *_ in steps(run).values()]
    assert len(losses) == 3
    assert losses[-1] < losses[0]


def test_examples_longer_than_the_sequence_are_cut_and_counted(new_run, runner):
    rows = [chat(1), chat(2, "long " * 100)]
    run = new_run("run", train_rows=rows, train={"sequence_length": 200, "steps": 2, "effective_batch": 2})

    ends(run, runner)

    assert any("1 of 2 examples are longer than 200 tokens" in each.message for each in events(run, "notice"))
    assert all(each.tokens <= 2 * 200 for each in events(run, "step"))


def test_rows_without_an_answer_are_a_fault_of_the_data(new_run, runner):
    rows = [chat(n) for n in range(3)]
    for row in rows:
        row["messages"][-1]["weight"] = 0
    run = new_run("run", train_rows=rows)

    assert ends(run, runner, 1).failure.cause is Cause.DATA_ERROR


def test_a_loss_that_is_no_number_ends_the_run_as_diverged(new_run, runner):
    run = new_run("run", train={"weight_decay": 1e30, "learning_rate": 0.9})

    last = ends(run, runner, 1)

    assert last.failure.cause is Cause.DIVERGED
    assert "loss" in last.failure.evidence
    assert not (run / "outputs").exists()


@pytest.mark.parametrize("evaluates", [False, True])
def test_the_time_limit_ends_a_run_with_a_checkpoint(new_run, runner, evaluates):
    run = new_run(
        "run", train={"steps": 100_000}, checkpoint={"every_steps": 100_000}, evaluate={"before": evaluates},
        resources={"time_limit_minutes": 3 / 60},
    )  # fmt: skip

    last = ends(run, runner, 1)

    assert last.failure.cause is Cause.TIME_LIMIT
    [saved] = events(run, "checkpoint")
    assert saved.step == max(steps(run)) >= 1
    assert 2.5 < last.at - events(run)[0].at < 120


def test_a_limit_on_files_is_a_full_disk_and_leaves_no_half_checkpoint(new_run, runner):
    run = new_run("run")

    last = ends(run, runner, 1, file_bytes=100_000)

    assert last.failure.cause is Cause.DISK_FULL
    assert list((run / "checkpoints").iterdir()) == []


def test_a_full_disk_is_told_on_that_very_disk(tmp_path, new_run):
    with a_disk(tmp_path / "disk", "size=1600k") as disk:
        run = new_run("disk/run", train={"steps": 500}, checkpoint={"every_steps": 1}, holdout_rows=[])
        assert disk in run.parents

        # Not from the runner's parent: the disk is seen by this process and its children alone.
        command = [sys.executable, "-m", "intramural.workloads.train", str(run)]
        done = subprocess.run(command, env=workload_environment(), capture_output=True, check=False)

        assert done.returncode == 1
        assert outcome(run).failure.cause is Cause.DISK_FULL
        assert events(run, "checkpoint")
        assert [each for each in (run / "checkpoints").iterdir() if not (each / "manifest.json").exists()] == []


def test_a_machine_that_is_too_small_is_told_before_a_step(new_run, runner):
    run = new_run("run", resources={"memory_gb": 0.00001})

    last = ends(run, runner, 1)

    assert last.failure.cause is Cause.HOST_MEMORY
    assert "memory" in last.failure.evidence
    assert steps(run) == {}
