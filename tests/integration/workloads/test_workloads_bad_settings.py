"""Settings that leave nothing to learn or name no layer, and a directory that another process works on already."""

import os
import re
import signal
import subprocess
import sys

from intramural.domain.cause import Cause
from intramural.domain.job import Outcome
from intramural.workloads.environment import workload_environment
from workload_world import chat, events, log, outcome, steps, until


def test_a_length_that_cuts_every_answer_off_fails_and_the_length_it_names_keeps_them_all(new_run, runner):
    run = new_run("run", train={"sequence_length": 8})

    assert runner.end(run) == 1, log(run)

    failure = outcome(run).failure
    assert failure.cause is Cause.DATA_ERROR
    assert "train.sequence_length 8" in failure.evidence
    assert failure.remedy == failure.next_step
    named = int(re.search(r"train\.sequence_length to (\d+) or more", failure.next_step)[1])
    assert steps(run) == {}

    for length, lost in ((named, False), (named - 1, True)):
        again = new_run(f"again-{length}", train={"sequence_length": length, "steps": 1})
        assert runner.end(again) == 0, log(again)
        cut = [each.message for each in events(again, "notice") if "were cut" in each.message]
        assert bool(cut) is lost


def test_examples_that_lost_their_whole_answer_are_counted_in_the_notice(new_run, runner):
    rows = [chat(1), chat(2, "long " * 100), chat(3, "long " * 100)]
    run = new_run("run", train_rows=rows, train={"sequence_length": 200, "steps": 1, "effective_batch": 3})

    assert runner.end(run) == 0, log(run)

    [told] = [each.message for each in events(run, "notice") if "were cut" in each.message]
    assert told.startswith("2 of 3 examples are longer than 200 tokens")
    assert "2 of them lost the whole answer" in told


def test_a_target_that_names_no_layer_is_told_with_the_nearest_name(new_run, runner):
    run = new_run("run", method={"lora": {"targets": ["q_prj"]}})

    assert runner.end(run) == 1, log(run)

    failure = outcome(run).failure
    assert failure.cause is Cause.USER_CODE
    assert "method.lora.targets names `q_prj`" in failure.evidence
    assert failure.next_step == "Did you mean q_proj?"


def test_targets_by_name_train_those_layers(new_run, runner):
    run = new_run("run", method={"lora": {"targets": ["q_proj", "lm_head", "embed_tokens"]}}, train={"steps": 2})

    assert runner.end(run) == 0, log(run)

    assert len(steps(run)) == 2


def test_more_threads_than_cores_are_told(new_run, runner):
    cores = len(os.sched_getaffinity(0))
    run = new_run("run", resources={"threads": cores + 1}, train={"steps": 1})

    assert runner.end(run) == 0, log(run)

    assert any(f"resources.threads is {cores + 1}" in each.message for each in events(run, "notice"))


def test_a_second_process_on_a_live_directory_writes_nothing_and_the_first_goes_on(new_run, runner):
    run = new_run("run", train={"steps": 100_000}, checkpoint={"every_steps": 100_000}, holdout_rows=[])
    pid = runner.start(run)
    try:
        until(lambda: (run / "events.jsonl").exists() and events(run, "step"), 120)

        command = [sys.executable, "-m", "intramural.workloads.train", str(run)]
        second = subprocess.run(command, env=workload_environment(), capture_output=True, text=True, check=False, timeout=300)

        assert second.returncode == 1, second.stderr
        assert "Another process is at work in this run directory" in second.stderr
        assert [each.phase for each in events(run, "phase")] == ["load", "train"]
        assert events(run, "outcome") == []
    finally:
        os.kill(pid, signal.SIGTERM)
    until((run / "exit.json").exists, 120)
    assert outcome(run).outcome is Outcome.STOPPED
    assert [each.type for each in events(run)].count("outcome") == 1
