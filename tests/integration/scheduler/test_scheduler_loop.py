"""The loop over the real store and verbs, with an executor without processes: every turn a run can take."""

import json
import stat

import pytest
from fake_executor import FakeExecutor
from loop_world import STEP
from world import events_of, job_of, member, runs_of, submit

from intramural.domain.cause import Cause
from intramural.domain.job import MAX_FAILURES, JobState, Outcome
from intramural.domain.spec import Resources
from intramural.service import jobs


def test_a_queued_job_is_staged_started_and_ends(world, home):
    job = submit(home, "succeed")
    loop = world.loop()

    assert loop.tick()
    folder = home / "runs" / world.run(job).id
    assert json.loads((folder / "spec.json").read_text())["job"]["name"] == "succeed"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    world.tell(world.run(job), {"type": "outcome", "outcome": "succeeded"})
    assert not loop.tick()

    assert job_of(home, job).state is JobState.SUCCEEDED
    assert world.run(job).outcome is Outcome.SUCCEEDED
    assert [event.outcome for _, event in events_of(home, job, "outcome")] == [Outcome.SUCCEEDED]


def test_no_more_runs_than_places(world, home):
    first, second = submit(home, "sleep"), submit(home, "succeed")
    loop = world.loop()
    loop.tick()
    loop.tick()

    assert job_of(home, second).state is JobState.QUEUED
    world.executor.end(world.run(first).id, exit_code=0)
    world.tell(world.run(first), {"type": "outcome", "outcome": "succeeded"})
    loop.tick()
    assert job_of(home, second).state is JobState.RUNNING


def test_events_are_recorded_while_the_run_goes_on_and_a_torn_line_waits_for_its_rest(world, home):
    job = submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    run = world.run(job)
    whole = json.dumps({"at": 2.0, **STEP, "step": 2})

    world.tell(run, {**STEP, "step": 1})
    with (home / "runs" / run.id / "events.jsonl").open("a") as file:
        file.write(whole[:40])
    loop.tick()
    before = [event.step for _, event in events_of(home, job, "step")]
    with (home / "runs" / run.id / "events.jsonl").open("a") as file:
        file.write(whole[40:] + "\n")
    loop.tick()

    assert before == [1]
    assert [event.step for _, event in events_of(home, job, "step")] == [1, 2]


def test_a_torn_last_line_of_a_killed_run_is_left_out(world, home):
    job = submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    run = world.run(job)
    world.tell(run, {**STEP, "step": 1})
    world.tell(run, {**STEP, "step": 2}, end="")
    world.executor.end(run.id, signal=9)

    loop.tick()

    assert [(attempt, event.step) for attempt, event in events_of(home, job, "step")] == [(1, 1)]
    assert world.run(job).failure.cause is Cause.KILLED


def test_a_line_that_is_no_event_is_named_by_its_number_only(world, home):
    job = submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    run = world.run(job)
    world.tell(run, {**STEP, "step": 1}, {"type": "chatter", "text": "the customer's secret sentence"}, {**STEP, "step": 2})

    loop.tick()

    assert [event.step for _, event in events_of(home, job, "step")] == [1, 2]
    [(_, notice)] = events_of(home, job, "notice")
    assert "Line 2" in notice.message
    assert "secret" not in notice.message
    assert b"secret" not in b"".join(path.read_bytes() for path in home.glob("intramural.db*"))


def test_a_killed_run_is_tried_again_from_its_checkpoint(world, home):
    job = submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    run = world.run(job)
    (home / "runs" / run.id / "checkpoints" / "step-00000005").mkdir(parents=True)
    (home / "runs" / run.id / "checkpoints" / "step-00000005" / "state").write_text("5")
    checkpoint = {"type": "checkpoint", "step": 5, "size_bytes": 1, "blocked_seconds": 0, "write_seconds": 0}
    world.tell(run, {"type": "phase", "phase": "train"}, checkpoint)
    world.executor.end(run.id, signal=9)

    loop.tick()

    second = world.run(job, attempt=2)
    assert job_of(home, job).state is JobState.RUNNING
    assert second.checkpoint_step == 5
    assert (home / "runs" / second.id / "inputs" / "checkpoints" / "step-00000005" / "state").read_text() == "5"


def test_a_job_that_is_killed_again_and_again_fails_in_the_end(world, home):
    job = submit(home, "die-9")
    loop = world.loop()
    while loop.tick():
        assert len(world.executor.starts) <= MAX_FAILURES

    assert len(world.executor.starts) == MAX_FAILURES
    ended = job_of(home, job)
    assert (ended.state, ended.failure.cause, ended.failure.evidence) == (JobState.FAILED, Cause.KILLED, "signal 9 (SIGKILL)")


def test_a_workload_that_always_stops_unasked_fails_its_job_in_the_end(world, home):
    job = submit(home, "leave-3")
    loop = world.loop()
    while loop.tick():
        assert len(world.executor.starts) <= MAX_FAILURES

    ended = job_of(home, job)
    assert (ended.state, ended.failure.cause, len(world.executor.starts)) == (JobState.FAILED, Cause.KILLED, MAX_FAILURES)


def test_a_paused_run_is_asked_once_and_rests(world, home):
    job = submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    jobs.pause_job(member(home), job)
    loop.tick()
    world.tell(world.run(job), {"type": "outcome", "outcome": "stopped"})
    loop.tick()

    assert job_of(home, job).state is JobState.PAUSED
    assert not loop.tick()


def test_a_resumed_job_gets_another_attempt(world, home):
    job = submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    jobs.pause_job(member(home), job)
    loop.tick()
    loop.tick()
    jobs.resume_job(member(home), job)
    loop.tick()

    assert [run.outcome for run in runs_of(home, job)] == [Outcome.STOPPED, None]


def test_a_cancelled_run_that_does_not_listen_is_killed_after_its_grace(world, home):
    job = submit(home, "deaf")
    loop = world.loop()
    loop.tick()
    jobs.cancel_job(member(home), job)
    loop.tick()
    world.seconds = 29
    loop.tick()
    in_grace = job_of(home, job).state
    world.seconds = 31
    loop.tick()

    assert in_grace is JobState.RUNNING
    assert job_of(home, job).state is JobState.CANCELLED


def test_the_time_limit_of_an_attempt_ends_it(world, home):
    job = submit(home, "sleep", resources=Resources(time_limit_minutes=1))
    loop = world.loop()
    loop.tick()
    world.seconds = 65
    loop.tick()
    loop.tick()
    before = job_of(home, job).state
    world.seconds = 71
    loop.tick()
    loop.tick()

    assert before is JobState.RUNNING
    ended = job_of(home, job)
    assert (ended.state, ended.failure.cause) == (JobState.FAILED, Cause.TIME_LIMIT)


def test_a_run_is_taken_over_when_its_lease_is_over_and_the_old_scheduler_lets_go(world, home):
    job = submit(home, "sleep")
    old = world.loop("old")
    old.tick()
    run = world.run(job)
    world.tell(run, {**STEP, "step": 1})
    old.tick()

    too_early = world.loop("new").tick()
    world.seconds = 16
    new = world.loop("new")
    world.tell(run, {**STEP, "step": 2})

    assert not too_early
    assert new.tick()
    assert not old.tick()
    world.executor.end(run.id, exit_code=0)
    world.tell(run, {"type": "outcome", "outcome": "succeeded"})
    new.tick()
    new.tick()
    assert (world.run(job).lease.holder, world.run(job).lease.fence) == ("new", 2)
    assert [event.step for _, event in events_of(home, job, "step")] == [1, 2]
    assert job_of(home, job).state is JobState.SUCCEEDED
    assert len(world.executor.starts) == 1


def test_a_write_with_an_old_fence_changes_nothing(world, home):
    """The old scheduler's own clock stood still: it wakes, renews nothing, and finds its run taken."""
    job = submit(home, "sleep")
    old = world.loop("old", clock=lambda: 0.0)
    old.tick()
    world.seconds = 16
    world.loop("new").tick()
    world.tell(world.run(job), {**STEP, "step": 1})

    assert not old.tick()

    assert events_of(home, job, "step") == []
    assert world.run(job).lease.holder == "new"


def test_a_dead_predecessor_holds_nothing_up(world, home):
    job = submit(home, "sleep")
    world.loop("dead").tick()

    assert world.loop("new", predecessor="dead").tick()

    assert world.run(job).lease.holder == "new"


def test_a_scheduler_that_died_between_claim_and_start_is_made_good(world, home):
    job = submit(home, "sleep")

    class Dies(FakeExecutor):
        def submit(self, *_, **__):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.loop("dead", executor=Dies(home, lambda: 0.0)).tick()
    world.loop("new", predecessor="dead").tick()

    assert world.executor.starts == [world.run(job).id]


def test_outputs_of_a_run_that_failed_are_no_artifacts(world, home):
    job = submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    run = world.run(job)
    (home / "runs" / run.id / "outputs" / "adapter").mkdir(parents=True)
    (home / "runs" / run.id / "outputs" / "adapter" / "half.safetensors").write_text("half")
    world.executor.end(run.id, exit_code=1)
    loop.tick()

    ctx = member(home)
    with ctx.read() as tx:
        kinds = {each.kind for each in tx.artifacts.all(ctx.project, job)}
    assert kinds == {"logs"}
