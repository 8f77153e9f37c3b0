import pytest

from factories import NOON, a_dataset_version, a_job, a_run, later
from intramural.domain.cause import Cause, Failure
from intramural.domain.job import JobState
from intramural.measurement.own_runs import Checkpoint, OwnJob, from_own


def an_own_job(job, runs=(), checkpoints=(), **fields):
    defaults = {"data": a_dataset_version(), "sequence_tokens": 512, "gpus": 1}
    return OwnJob(job=job, runs=tuple(runs), checkpoints=tuple(checkpoints), **{**defaults, **fields})


def row(*given, **fields):
    (found,) = from_own([an_own_job(*given, **fields)], now=later(1000)).frame.collect().to_dicts()
    return found


def test_time_between_attempts_is_no_run_time_and_an_attempt_more_is_a_restart():
    runs = [
        a_run(id="run-1", started_at=later(30), ended_at=later(130)),
        a_run(id="run-2", attempt=2, started_at=later(500), ended_at=later(550)),
    ]
    job = a_job(state=JobState.SUCCEEDED, started_at=later(30), ended_at=later(550), attempts=2)

    found = row(job, runs)

    assert (found["queue_seconds"], found["run_seconds"], found["restarts"]) == (30, 150, 1)
    assert (found["state"], found["job_type"], found["job_class"]) == ("completed", "sft_lora", "training")
    assert (found["gpus"], found["nodes"], found["sequence_tokens"]) == (1, 1, 512)
    assert (found["dataset_bytes"], found["dataset_samples"]) == (10_000, 100)


def test_checkpoints_are_apart_within_an_attempt_only():
    checkpoints = [Checkpoint(1, 100, 50), Checkpoint(1, 160, 50), Checkpoint(2, 900, 70), Checkpoint(2, 1000, 70)]

    found = row(a_job(), [a_run()], checkpoints)

    assert (found["checkpoint_seconds"], found["checkpoint_bytes"]) == (80, 60)


@pytest.mark.parametrize(
    ("cause", "state"),
    [(Cause.HOST_MEMORY, "out_of_memory"), (Cause.TIME_LIMIT, "time_limit"), (Cause.DATA_ERROR, "failed")],
)
def test_a_failed_job_keeps_the_cause_that_its_run_told(cause, state):
    job = a_job(state=JobState.FAILED, ended_at=later(60), failure=Failure(cause=cause, evidence="exit code 1"))

    found = row(job, [a_run(ended_at=later(60))])

    assert (found["state"], found["cause"]) == (state, cause.value)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.PAUSED])
def test_an_open_job_has_neither_run_time_nor_cause(state):
    lost = Failure(cause=Cause.KILLED, evidence="gone")

    found = row(a_job(state=state, failure=lost), [a_run(started_at=NOON)])

    assert (found["run_seconds"], found["cause"], found["ended"]) == (None, None, None)


def test_what_no_run_told_is_not_known():
    found = row(a_job(), data=None, sequence_tokens=None, gpus=None)

    assert [found[each] for each in ("gpus", "nodes", "dataset_bytes", "sequence_tokens", "checkpoint_bytes")] == [None] * 5
