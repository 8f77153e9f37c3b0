"""The state machine of a job: what each end of a run means, and that no sequence of acts breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import NOON, a_job, a_lease, a_run, a_spec, later
from intramural.domain.cause import Cause, Failure, is_lost
from intramural.domain.job import MAX_FAILURES, JobState, Outcome, Wish
from intramural.errors import Conflict, StaleFence

KILLED = Failure(cause=Cause.KILLED, evidence="signal 9")
DIVERGED = Failure(cause=Cause.DIVERGED, evidence="the loss is not a number")


def running(**fields):
    return a_job(**fields).started(now=NOON)


def test_an_attempt_counts_and_clears_what_was_before():
    job = a_job(failure=KILLED, attempts=1).started(now=NOON)

    assert (job.state, job.attempts, job.failure, job.started_at) == (JobState.RUNNING, 2, None, NOON)


def test_the_first_start_is_kept():
    job = running().ended(Outcome.STOPPED, now=later(1)).started(now=later(2))

    assert job.started_at == NOON


def test_success_is_final():
    job = running().ended(Outcome.SUCCEEDED, now=later(9), checkpoint_step=40)

    assert (job.state, job.ended_at, job.checkpoint_step) == (JobState.SUCCEEDED, later(9), 40)
    for act in (lambda: job.cancelled(now=NOON), job.paused, job.resumed, lambda: job.started(now=NOON)):
        with pytest.raises(Conflict):
            act()


def test_a_lost_run_returns_its_job_to_the_queue_with_the_cause_on_record():
    job = running().ended(Outcome.FAILED, now=NOON, failure=KILLED)

    assert (job.state, job.failures, job.failure, job.ended_at) == (JobState.QUEUED, 1, KILLED, None)


def test_too_many_losses_in_a_row_fail_the_job():
    job = a_job()
    for _ in range(MAX_FAILURES):
        assert job.state is JobState.QUEUED
        job = job.started(now=NOON).ended(Outcome.FAILED, now=NOON, failure=KILLED)

    assert (job.state, job.failures) == (JobState.FAILED, MAX_FAILURES)


def test_losses_with_progress_between_them_never_fail_the_job():
    job = a_job()
    for step in range(1, 5 * MAX_FAILURES):
        job = job.started(now=NOON).ended(Outcome.FAILED, now=NOON, failure=KILLED, checkpoint_step=step)

        assert (job.state, job.failures) == (JobState.QUEUED, 1)


def test_a_stop_that_nobody_wished_costs_no_retry_when_it_left_a_checkpoint():
    job = running(failures=2).ended(Outcome.STOPPED, now=NOON, checkpoint_step=1)

    assert (job.state, job.failures, job.failure) == (JobState.QUEUED, 0, None)


def test_stops_that_nobody_wished_and_that_lead_nowhere_fail_the_job_in_the_end():
    job = a_job()
    for _ in range(MAX_FAILURES):
        assert job.state is JobState.QUEUED
        job = job.started(now=NOON).ended(Outcome.STOPPED, now=later(1))

    assert (job.state, job.failure.cause, job.ended_at) == (JobState.FAILED, Cause.KILLED, later(1))
    assert "nobody" in job.failure.evidence


def test_a_fault_of_the_work_is_not_tried_again():
    job = running().ended(Outcome.FAILED, now=NOON, failure=DIVERGED)

    assert (job.state, job.failure) == (JobState.FAILED, DIVERGED)


def test_a_failure_without_a_cause_gets_one():
    assert running().ended(Outcome.FAILED, now=NOON).failure.cause is Cause.UNKNOWN


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.FAILED])
@pytest.mark.parametrize("failure", [None, KILLED, DIVERGED])
def test_cancel_wins_over_every_end_but_success(outcome, failure):
    job = running().cancelled(now=NOON).ended(outcome, now=later(1), failure=failure)

    assert (job.state, job.failure.cause, job.ended_at) == (JobState.CANCELLED, Cause.CANCELLED, later(1))


def test_what_succeeded_before_the_cancel_arrived_has_succeeded():
    assert running().cancelled(now=NOON).ended(Outcome.SUCCEEDED, now=NOON).state is JobState.SUCCEEDED


def test_a_pause_never_takes_back_a_cancel():
    with pytest.raises(Conflict, match="being cancelled"):
        running().cancelled(now=NOON).paused()


def test_a_cancel_takes_back_a_pause():
    assert running().paused().cancelled(now=NOON).wish is Wish.CANCEL


def test_a_pause_is_reached_when_the_run_stops_or_is_lost():
    assert running().paused().ended(Outcome.STOPPED, now=NOON).state is JobState.PAUSED
    assert running().paused().ended(Outcome.FAILED, now=NOON, failure=KILLED).state is JobState.PAUSED
    assert running().paused().ended(Outcome.FAILED, now=NOON, failure=DIVERGED).state is JobState.FAILED


def test_a_queued_job_pauses_and_cancels_at_once():
    assert a_job().paused().state is JobState.PAUSED
    assert a_job().cancelled(now=NOON).state is JobState.CANCELLED
    assert a_job().paused().cancelled(now=NOON).state is JobState.CANCELLED


def test_a_resume_takes_back_a_pause_that_is_not_reached():
    job = running().paused().resumed()

    assert (job.state, job.wish) == (JobState.RUNNING, Wish.RUN)
    assert job.ended(Outcome.STOPPED, now=NOON).state is JobState.QUEUED


def test_a_running_job_cannot_be_resumed():
    with pytest.raises(Conflict):
        running().resumed()


def test_accepted_drift_lasts_until_a_checkpoint_is_written_in_it():
    job = running().ended(Outcome.FAILED, now=NOON, failure=DIVERGED, checkpoint_step=10).resumed(accept_drift=True)

    lost = job.started(now=NOON).ended(Outcome.FAILED, now=NOON, failure=KILLED, checkpoint_step=10)
    assert lost.accept_drift

    assert not lost.started(now=NOON).ended(Outcome.STOPPED, now=NOON, checkpoint_step=11).accept_drift


def test_a_lease_is_kept_by_its_holder_without_a_new_fence():
    run = a_run().renewed(holder="one", now=later(10), seconds=15)

    assert (run.lease.fence, run.lease.expires_at) == (1, later(25))


def test_a_lease_is_taken_over_when_it_is_over_and_not_before():
    with pytest.raises(StaleFence):
        a_run().renewed(holder="two", now=later(14), seconds=15)

    run = a_run().renewed(holder="two", now=later(15), seconds=15)
    assert (run.lease.holder, run.lease.fence) == ("two", 2)


def test_a_run_that_ended_is_renewed_by_nobody():
    ended = a_run().ended(Outcome.SUCCEEDED, None, fence=1, now=later(5))

    for holder in ("one", "two"):
        with pytest.raises(StaleFence):
            ended.renewed(holder=holder, now=later(100), seconds=15)


def test_an_old_fence_ends_no_run():
    with pytest.raises(StaleFence):
        a_run(lease=a_lease(fence=2)).ended(Outcome.SUCCEEDED, None, fence=1, now=NOON)


def test_a_run_ends_once():
    ended = a_run().ended(Outcome.SUCCEEDED, None, fence=1, now=NOON)

    with pytest.raises(Conflict):
        ended.ended(Outcome.FAILED, KILLED, fence=1, now=NOON)


FAILURES = st.sampled_from([Failure(cause=each, evidence="e") for each in Cause])
ACTS = st.one_of(
    st.tuples(st.just("start")),
    st.tuples(st.just("end"), st.sampled_from(Outcome), FAILURES | st.none(), st.integers(0, 100)),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("pause")),
    st.tuples(st.just("resume"), st.booleans()),
)


def apply(job, act, *rest):
    match act:
        case "start":
            return job.started(now=NOON)
        case "end":
            return job.ended(rest[0], now=NOON, failure=rest[1], checkpoint_step=rest[2])
        case "cancel":
            return job.cancelled(now=NOON)
        case "pause":
            return job.paused()
        case _:
            return job.resumed(accept_drift=rest[0])


@given(st.lists(ACTS, max_size=40))
def test_any_sequence_of_acts_leaves_a_legal_job(acts):
    job = a_job(spec=a_spec())
    for act, *rest in acts:
        before = job
        try:
            job = apply(job, act, *rest)
        except Conflict:
            assert job is before
            continue
        assert (job.ended_at is not None) == job.state.is_final
        assert job.checkpoint_step >= before.checkpoint_step
        assert 0 <= job.failures <= MAX_FAILURES or not is_lost(job.failure.cause)
        assert job.attempts - before.attempts == (act == "start")
        if before.state.is_final:
            assert act == "resume"
            assert before.state is not JobState.SUCCEEDED
        if job.state in {JobState.FAILED, JobState.CANCELLED}:
            assert job.failure is not None
        if job.state is JobState.SUCCEEDED:
            assert job.failure is None
        if act == "end" and before.wish is Wish.CANCEL:
            assert job.state.is_final
        if job.state is JobState.QUEUED:
            assert job.wish is Wish.RUN
        assert type(job).model_validate_json(job.model_dump_json()) == job


@given(st.lists(st.tuples(st.sampled_from([each for each in Cause if is_lost(each)]), st.integers(0, 3)), max_size=30))
def test_a_lost_run_never_loses_its_job(losses):
    """Whatever the machine does, the job stands in the queue or has failed with a cause after too many losses in a row."""
    job, in_a_row = a_job(), 0
    for cause, progress in losses:
        step = job.checkpoint_step + progress
        job = job.started(now=NOON).ended(
            Outcome.FAILED, now=NOON, failure=Failure(cause=cause, evidence="e"), checkpoint_step=step
        )
        in_a_row = 1 if progress else in_a_row + 1
        assert job.failure.cause is cause
        assert job.state is (JobState.FAILED if in_a_row == MAX_FAILURES else JobState.QUEUED)
        if job.state is JobState.FAILED:
            job, in_a_row = job.resumed(), 0
