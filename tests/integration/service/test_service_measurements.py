import pytest

from intramural.domain.access import Role
from intramural.domain.cause import Cause, Failure
from intramural.domain.job import Outcome
from intramural.domain.measure_options import MeasureOptions
from intramural.domain.workload import CheckpointEvent, ResolvedEvent
from intramural.errors import InvalidInput, NotFound, Refused
from intramural.service.jobs import resume_job
from intramural.service.measurements import measure_jobs
from intramural.service.runs import claim_run, end_run, record_events


def resolved(at, device="NVIDIA H100 80GB HBM3"):
    return ResolvedEvent(
        at=at, settings={"sequence_length": 2048}, environment={"device": device}, total_steps=10, total_tokens=100
    )


def checkpoint(at, step):
    return CheckpointEvent(at=at, step=step, size_bytes=5000, blocked_seconds=0.1, write_seconds=0.2)


@pytest.fixture
def run_next(system, clock):
    """Let the queued job wait, run and end, with a checkpoint a minute."""

    def run(outcome=Outcome.SUCCEEDED, *, waited=30, seconds=600, failure=None, device="NVIDIA H100 80GB HBM3"):
        clock.wait(waited)
        claim = claim_run(system, "one", 15)
        at = clock.now.timestamp()
        events = [resolved(at, device), *(checkpoint(at + 60 * n, n) for n in (1, 2, 3))]
        record_events(system, claim.run.id, claim.run.lease.fence, 1, events)
        clock.wait(seconds)
        end_run(system, claim.run.id, claim.run.lease.fence, outcome, failure)
        return claim.job

    return run


def test_our_own_jobs_tell_the_numbers_of_the_interview(owner, a_stored_job, run_next):
    a_stored_job(name="good")
    run_next(waited=30, seconds=7200)
    a_stored_job(name="bad")
    run_next(Outcome.FAILED, waited=90, seconds=3600, failure=Failure(cause=Cause.DATA_ERROR, evidence="line 3"))

    measured = measure_jobs(owner, MeasureOptions())

    assert (measured.sources, measured.jobs, measured.success, measured.running) == (("own",), 2, 50.0, 0)
    assert (measured.run_seconds.p50, measured.queue_seconds.p50) == (5400, 60)
    (tuned,) = measured.by_type
    assert (tuned.job_type, tuned.share, tuned.gpu_hours) == ("sft_lora", 100, 3)
    assert [each.name for each in measured.by_class] == ["training"]
    (cause,) = measured.causes
    assert (cause.cause, cause.lost_gpu_hours) == (Cause.DATA_ERROR, 1)
    assert (measured.checkpoint_interval_seconds.p50, measured.checkpoint_bytes.p50) == (60, 5000)
    assert (measured.dataset_samples.p50, measured.sequence_tokens.p50) == (100, 2048)
    assert measured.gpu_counts == {"1": 100.0}
    assert (measured.resumed, measured.multi_node) == (0, 0)


def test_a_resumed_job_is_one_job_that_was_resumed(owner, a_stored_job, run_next):
    a_stored_job()
    job = run_next(Outcome.FAILED, seconds=600, failure=Failure(cause=Cause.DISK_FULL, evidence="errno 28"))
    resume_job(owner, job.id)
    run_next(seconds=300)

    measured = measure_jobs(owner, MeasureOptions(sources=("own",)))

    assert (measured.jobs, measured.resumed, measured.run_seconds.p50, measured.success) == (1, 100, 900, 100)


def test_a_processor_is_no_gpu(owner, a_stored_job, run_next):
    a_stored_job()
    run_next(device="AMD EPYC 9654")

    assert measure_jobs(owner, MeasureOptions()).gpu_counts == {"0": 100.0}


def test_no_job_is_an_error_that_says_what_to_do(owner):
    with pytest.raises(InvalidInput, match="holds no job") as error:
        measure_jobs(owner, MeasureOptions())

    assert "intramural run" in error.value.hint


def test_measuring_is_recorded_and_a_viewer_may_not(owner, make_context, a_stored_job, run_next, decisions):
    a_stored_job()
    run_next()
    measure_jobs(owner, MeasureOptions())

    with pytest.raises(Refused):
        measure_jobs(make_context(Role.VIEWER), MeasureOptions())

    assert decisions()[-2:] == [
        ("profile:measure", "allowed", None),
        ("profile:measure", "refused", "role:viewer"),
    ]


def test_a_rule_file_that_is_not_there_is_told_before_anything_is_read(owner):
    with pytest.raises((NotFound, InvalidInput), match=r"rules\.yaml"):
        measure_jobs(owner, MeasureOptions(rules="/nowhere/rules.yaml"))


def test_progress_is_told_source_by_source(owner, a_stored_job, run_next):
    a_stored_job()
    run_next()
    told = []

    measure_jobs(owner, MeasureOptions(), on_progress=lambda done, total, what: told.append((done, total, what)))

    assert told == [(0, 2, "reading"), (1, 2, "counting")]
