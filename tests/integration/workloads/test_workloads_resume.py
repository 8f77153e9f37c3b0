"""Exact resume: a run that was killed anywhere goes on bit by bit as one that never was."""

import random
import signal

import pytest

from intramural.domain.job import Outcome
from workload_world import adapter, events, log, make_run, outcome, steps

WAYS = {
    "lanes": {"train": {"pass_tokens": 128}},
    "threads": {"resources": {"threads": 1}},
    "dropout": {"method": {"lora": {"dropout": 0.2}}, "train": {"steps": 9}, "resources": {"threads": 1}},
}
"""Several passes with a shared prefix on two lanes; one lane, other than the machine's cores; drawing from a generator."""
CASES = [("lanes", 1), ("lanes", 3), ("lanes", 4), ("lanes", 7), ("threads", 5), ("dropout", 2), ("dropout", 7)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model, runner):
    """Give the uninterrupted run of a way, made once."""
    made = {}

    def run_of(way):
        if way not in made:
            made[way] = make_run(tmp_path_factory.mktemp("whole") / "run", model, **WAYS[way])
            assert runner.end(made[way]) == 0, log(made[way])
        return made[way]

    return run_of


def assert_continues(whole, killed, again):
    """Compare every step of both attempts with the uninterrupted run bit by bit, and the adapters byte by byte."""
    expected = steps(whole)
    assert steps(killed) == {step: expected[step] for step in steps(killed)}
    resumed = next((each.step for each in events(again, "resume")), 0)
    assert steps(again) == {step: figures for step, figures in expected.items() if step > resumed}
    assert adapter(again) == adapter(whole)
    return resumed


@pytest.mark.parametrize(("way", "point"), CASES)
def test_a_run_killed_after_a_step_continues_exactly(whole, new_run, runner, way, point):
    killed = new_run("killed", **WAYS[way])
    assert runner.end(killed, signal=signal.SIGKILL, step=point) == -signal.SIGKILL
    again = new_run("again", after=killed, attempt=2, **WAYS[way])

    assert runner.end(again) == 0, log(again)

    resumed = assert_continues(whole(way), killed, again)
    assert resumed >= (point - 3) // 2 * 2  # a save waits for the one before it, not for itself
    assert len(steps(killed)) >= point


def test_the_ways_are_what_they_say(whole):
    settings = {way: events(whole(way), "resolved")[0].settings for way in WAYS}

    assert {way: each["lanes"] for way, each in settings.items()} == {"lanes": 2, "threads": 1, "dropout": 1}
    assert settings["lanes"]["pass_tokens"] == 128
    assert steps(whole("dropout"))[1] != steps(whole("lanes"))[1]
    assert any("dropout" in each.message for each in events(whole("dropout"), "notice"))


def test_kills_at_random_moments_while_checkpoints_are_written_lose_nothing(whole, new_run, runner):
    chances = random.Random()  # noqa: S311 - other moments every time
    options = {**WAYS["lanes"], "checkpoint": {"every_steps": 1}}
    last, attempt = None, 1
    while True:
        run = new_run(f"attempt-{attempt}", after=last, attempt=attempt, **options)
        done = max(steps(last), default=0) if last else 0
        point = min(done + chances.randint(1, 4), 11)
        code = runner.end(run, signal=signal.SIGKILL, writing=point) if attempt < 5 else runner.end(run)
        if last:
            first = next((each.step for each in events(run, "resume")), 0)
            assert steps(run) == {
                n: figures for n, figures in steps(whole("lanes")).items() if first < n <= max(steps(run), default=0)
            }
        if code == 0:
            break
        assert code == -signal.SIGKILL
        last, attempt = run, attempt + 1
    assert attempt > 1
    assert adapter(run) == adapter(whole("lanes"))
    assert [each.name for each in (run / "checkpoints").iterdir() if each.name.startswith(".")] == []


def test_a_run_killed_before_its_first_checkpoint_begins_anew(whole, new_run, runner):
    killed = new_run("killed", checkpoint={"every_steps": 100}, **WAYS["lanes"])
    assert runner.end(killed, signal=signal.SIGKILL, step=3) == -signal.SIGKILL
    again = new_run("again", after=killed, attempt=2, **WAYS["lanes"])

    assert runner.end(again) == 0

    assert assert_continues(whole("lanes"), killed, again) == 0


def test_a_run_killed_while_it_is_evaluated_trains_no_step_again(whole, new_run, runner):
    killed = new_run("killed", checkpoint={"every_steps": 100}, **WAYS["lanes"])
    assert runner.end(killed, signal=signal.SIGKILL, phase="evaluate_after") == -signal.SIGKILL
    again = new_run("again", after=killed, attempt=2, **WAYS["lanes"])

    assert runner.end(again) == 0

    assert assert_continues(whole("lanes"), killed, again) == 12
    assert outcome(again).tokens_per_second > 0


def test_the_evaluation_of_before_is_carried_and_not_measured_again(new_run, runner):
    everything = {"evaluate": {"suites": ["loss", "structured"]}}
    killed = new_run("killed", **everything)
    assert runner.end(killed, signal=signal.SIGKILL, step=7) == -signal.SIGKILL
    again = new_run("again", after=killed, attempt=2, **everything)

    assert runner.end(again) == 0, log(again)

    assert [each.when for each in events(killed, "evaluation")] == ["before"]
    [after] = events(again, "evaluation")
    assert after.when == "after"
    assert set(after.evaluation.changes) == set(events(killed, "evaluation")[0].evaluation.scores)


def test_asked_for_the_end_it_writes_a_checkpoint_and_continues_exactly(whole, new_run, runner):
    options = {**WAYS["lanes"], "checkpoint": {"every_steps": 100}}
    stopped = new_run("stopped", **options)
    assert runner.end(stopped, signal=signal.SIGTERM, step=5) == 3
    again = new_run("again", after=stopped, attempt=2, **options)

    assert runner.end(again) == 0

    assert outcome(stopped).outcome is Outcome.STOPPED
    assert outcome(stopped).failure is None
    assert max(steps(stopped)) == events(stopped, "checkpoint")[-1].step
    assert assert_continues(whole("lanes"), stopped, again) == max(steps(stopped))


@pytest.mark.parametrize("phase", ["load", "evaluate_before", "evaluate_after"])
def test_asked_for_the_end_outside_training_it_stops_and_continues(whole, new_run, runner, phase):
    options = {**WAYS["lanes"], "evaluate": {"suites": ["loss", "structured"], "max_new_tokens": 200}}
    stopped = new_run("stopped", **options)
    assert runner.end(stopped, signal=signal.SIGTERM, phase=phase) == 3
    again = new_run("again", after=stopped, attempt=2, **WAYS["lanes"])

    assert runner.end(again) == 0

    assert outcome(stopped).outcome is Outcome.STOPPED
    assert len(steps(stopped)) in ({12} if phase == "evaluate_after" else {0, 1})
    assert_continues(whole("lanes"), stopped, again)


def test_asked_for_a_checkpoint_it_writes_one_and_goes_on(new_run, runner):
    run = new_run("run", checkpoint={"every_steps": 100}, train={"steps": 30})

    assert runner.end(run, signal=signal.SIGUSR1, step=3) == 0

    early, last = (each.step for each in events(run, "checkpoint"))
    assert 3 <= early < 30  # the step that was told may be the one it is written after
    assert last == 30
    assert len(steps(run)) == 30


def test_only_the_newest_checkpoints_are_kept(new_run, runner):
    run = new_run("run", checkpoint={"every_steps": 2, "keep": 3})

    assert runner.end(run) == 0

    assert sorted(each.name for each in (run / "checkpoints").iterdir()) == ["step-00000008", "step-00000010", "step-00000012"]
    assert [each.step for each in events(run, "checkpoint")] == [2, 4, 6, 8, 10, 12]
    assert all(each.blocked_seconds < 30 for each in events(run, "checkpoint"))
