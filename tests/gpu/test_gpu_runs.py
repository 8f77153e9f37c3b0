"""On a GPU whole runs keep what a processor's keep: they end, and a killed one goes on bit by bit."""

import signal

import pytest
import torch

from workload_world import Runner, adapter, build_tiny, events, log, make_run, outcome, steps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator"),
]
WAYS = {
    "flat": {"train": {"precision": "auto", "pass_tokens": 128}},
    "fp32": {"train": {"precision": "fp32"}},
    "dropout": {"method": {"lora": {"dropout": 0.2}}, "train": {"precision": "auto"}},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    runner = Runner(tmp_path_factory.mktemp("warm"))
    yield runner
    runner.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_run_continues_exactly(way, model, runner, tmp_path):
    whole = make_run(tmp_path / "whole", model, **WAYS[way])
    assert runner.end(whole) == 0, log(whole)
    killed = make_run(tmp_path / "killed", model, **WAYS[way])
    assert runner.end(killed, signal=signal.SIGKILL, step=5) == -signal.SIGKILL
    again = make_run(tmp_path / "again", model, after=killed, attempt=2, **WAYS[way])

    assert runner.end(again) == 0, log(again)

    [resumed] = events(again, "resume")
    assert steps(again) == {step: figures for step, figures in steps(whole).items() if step > resumed.step}
    assert adapter(again) == adapter(whole)


def test_it_says_what_it_used(model, runner, tmp_path):
    run = make_run(tmp_path / "run", model, train={"precision": "auto"}, evaluate={"suites": ["loss", "structured"]})

    assert runner.end(run) == 0, log(run)

    [resolved] = events(run, "resolved")
    assert resolved.environment["device"] == torch.cuda.get_device_name()
    assert (resolved.settings["precision"], resolved.settings["lanes"]) == ("bf16", 1)
    assert outcome(run).peak_gpu_memory_bytes > 1_000_000
    assert [each.evaluation.scores["valid_json"].samples for each in events(run, "evaluation")] == [6, 6]
