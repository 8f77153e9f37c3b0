"""The document of a job, drawn from what its attempts told."""

import math

import pytest

from factories import NOON
from intramural.domain.cause import Cause, Failure
from intramural.domain.evaluation import Evaluation
from intramural.domain.job import JobState, Outcome
from intramural.domain.report import JobReport
from intramural.domain.workload import (
    BaselineEvent,
    CheckpointEvent,
    EvaluationEvent,
    FirstPassEvent,
    NoticeEvent,
    OutcomeEvent,
    PhaseEvent,
    ResolvedEvent,
    ResumeEvent,
    StepEvent,
)
from intramural.pages.run_page import run_html
from intramural.service.jobs import show_job
from intramural.service.runs import claim_run, end_run, record_events

KILLED = Failure(cause=Cause.KILLED, evidence="signal 9")
START = NOON.timestamp()


def phase(at, name):
    return PhaseEvent(at=START + at, phase=name)


def step(number, at=0.0, *, loss=1.0, tokens=100, seconds=2.0, memory=10):
    return StepEvent(
        at=START + at,
        step=number,
        total_steps=10,
        loss=loss,
        grad_norm=1.0,
        learning_rate=1e-3,
        tokens=tokens,
        seconds=seconds,
        batch_digest="x",
        memory_bytes=memory,
    )


def resolved(at=0.0):
    return ResolvedEvent(at=START + at, settings={"lanes": 2}, environment={"torch": "2"}, total_steps=10, total_tokens=1000)


def checkpoint(number, at=0.0):
    return CheckpointEvent(at=START + at, step=number, size_bytes=5, blocked_seconds=0.1, write_seconds=0.2)


@pytest.fixture
def attempt(system, clock):
    """Let an attempt tell its events, pass its time, and end; without an outcome it goes on."""

    def play(events, outcome=None, failure=None, seconds=10):
        claim = claim_run(system, "one", 1000)
        record_events(system, claim.run.id, 1, 1, events)
        clock.wait(seconds)
        if outcome is not None:
            end_run(system, claim.run.id, 1, outcome, failure)

    return play


def test_a_job_that_waits_has_an_empty_document(a_stored_job, owner):
    report = show_job(owner, a_stored_job().id)

    assert (report.state, report.step, report.total_steps, report.duration_seconds) == (JobState.QUEUED, 0, None, None)
    assert (report.tokens_per_second, report.peak_memory_bytes, report.curve) == (None, None, ())
    assert (report.base.name, report.data.label) == ("tiny", "tickets@1")


def test_a_whole_run(a_stored_job, owner, attempt):
    a_stored_job()
    before, after = (Evaluation(system=each, samples=5, loss=loss) for each, loss in (("base", 3.0), ("tuned", 1.0)))
    events = [
        phase(0, "load"),
        resolved(1),
        FirstPassEvent(at=START + 2, seconds_since_submit=2.5),
        phase(3, "evaluate_before"),
        EvaluationEvent(at=START + 4, when="before", evaluation=before),
        phase(5, "train"),
        *(step(n, 5 + n, seconds=n, memory=n) for n in (1, 2, 3)),
        checkpoint(3, 8),
        NoticeEvent(at=START + 8, message="two rows were cut"),
        NoticeEvent(at=START + 8, message="two rows were cut"),
        phase(9, "evaluate_after"),
        EvaluationEvent(at=START + 10, when="after", evaluation=after),
        BaselineEvent(at=START + 10, evaluation=Evaluation(system="majority", samples=5)),
        OutcomeEvent(at=START + 11, outcome=Outcome.SUCCEEDED, peak_memory_bytes=50, peak_gpu_memory_bytes=70),
    ]

    attempt(events, Outcome.SUCCEEDED, seconds=12)
    report = show_job(owner, "router")

    assert (report.state, report.step, report.total_steps, report.phase) == (JobState.SUCCEEDED, 3, 10, None)
    assert report.phase_seconds == {"load": 3.0, "evaluate_before": 2.0, "train": 4.0, "evaluate_after": 2.0}
    assert (report.duration_seconds, report.start_latency_seconds) == (12.0, 2.5)
    assert report.tokens_per_second == 300 / 6
    assert (report.peak_memory_bytes, report.peak_gpu_memory_bytes) == (50, 70)
    assert (report.metrics.before, report.metrics.after) == (before, after)
    assert [each.system for each in report.metrics.baselines] == ["majority"]
    assert [each.step for each in report.checkpoints] == [3]
    assert report.notices == ("two rows were cut",)
    assert (report.settings, report.environment) == ({"lanes": 2}, {"torch": "2"})
    assert report.seconds_left is report.cause is None


def test_the_peak_is_known_without_an_outcome(a_stored_job, owner, attempt):
    """A run that was killed told its memory step by step."""
    a_stored_job()
    attempt([step(1, memory=30), step(2, memory=20)], Outcome.FAILED, KILLED)

    assert show_job(owner, "router").peak_memory_bytes == 30


def test_a_loss_that_is_no_number_is_shown_as_none(a_stored_job, owner, attempt):
    a_stored_job()
    attempt([step(1), step(2, loss=math.nan), step(3, loss=math.inf)])

    report = show_job(owner, "router")

    again = JobReport.model_validate_json(report.model_dump_json())
    for each in (report, again):
        assert [(point.step, math.isfinite(point.loss)) for point in each.curve] == [(1, True), (2, False), (3, False)]
    assert "nan" not in run_html(report)


def test_steps_lost_with_an_attempt_do_not_count(a_stored_job, owner, attempt):
    """Steps behind the checkpoint that the next attempt began from are forgotten until it has taken them again."""
    a_stored_job()
    attempt([resolved(), *(step(n, n, loss=n) for n in range(1, 6)), checkpoint(3, 4)], Outcome.FAILED, KILLED)
    attempt([resolved(20), phase(20, "train"), ResumeEvent(at=START + 21, step=3), step(4, 22, loss=40.0)], seconds=5)

    report = show_job(owner, "router")

    assert [(each.step, each.loss) for each in report.curve] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0)]
    assert (report.state, report.step, report.phase, report.seconds_left) == (JobState.RUNNING, 4, "train", 12.0)
    assert report.tokens_per_second == 50.0
    assert report.duration_seconds == 15.0
    assert [(each.attempt, each.resumed_from_step, each.cause) for each in report.attempts] == [
        (1, None, Cause.KILLED),
        (2, 3, None),
    ]


def test_an_attempt_that_begins_anew_forgets_every_step(a_stored_job, owner, attempt):
    a_stored_job()
    attempt([resolved(), step(1, 1), step(2, 2)], Outcome.FAILED, KILLED)
    attempt([resolved(20), phase(20, "train"), step(1, 22, loss=9.0)])

    assert [(each.step, each.loss) for each in show_job(owner, "router").curve] == [(1, 9.0)]


def test_an_attempt_that_just_began_shows_no_phase_of_the_one_before(a_stored_job, owner, attempt):
    a_stored_job()
    attempt([phase(0, "train")], Outcome.STOPPED)
    attempt([])

    assert show_job(owner, "router").phase is None


def test_rest_in_the_queue_is_no_work(a_stored_job, owner, attempt, clock):
    a_stored_job()
    attempt([], Outcome.STOPPED, seconds=10)
    clock.wait(1000)
    attempt([], Outcome.FAILED, Failure(cause=Cause.DIVERGED, evidence="the loss is not a number"), seconds=5)
    clock.wait(1000)

    report = show_job(owner, "router")

    assert report.duration_seconds == 15.0
    assert (report.cause, report.evidence) == (Cause.DIVERGED, "the loss is not a number")
    assert "learning_rate" in report.next_step


def test_a_killed_runs_open_phase_counts_to_its_last_word(a_stored_job, owner, attempt):
    a_stored_job()
    attempt([phase(0, "load"), phase(2, "train"), step(1, 6)], Outcome.FAILED, KILLED, seconds=100)

    assert show_job(owner, "router").phase_seconds == {"load": 2.0, "train": 4.0}


def test_a_long_curve_is_thinned_and_keeps_its_end(a_stored_job, owner, attempt):
    a_stored_job()
    attempt([step(n) for n in range(1, 12_001)], seconds=1)

    curve = show_job(owner, "router").curve

    assert len(curve) <= 5_001
    assert (curve[0].step, curve[-1].step) == (1, 12_000)
