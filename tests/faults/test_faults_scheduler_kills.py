"""Any process may be killed at any moment: an accepted job ends in exactly one final state, and no step is invented or lost."""

import contextlib
import itertools
import os
import signal
import time

import pytest
from entries import loss_at
from run_world import until, warm_parent
from world import events_of, job_of, member, runs_of, submit

from chance import seeded
from intramural.app.scheduler import ensure_scheduler
from intramural.domain.cause import Cause
from intramural.domain.job import JobState, Outcome
from intramural.walls.processes import Process
from ordinary import PATIENCE_SECONDS, SKIPPED_BY_OTHERS, run_tests

STEPS = 120
KILLS = 6
RUN_KILLS = 2
"""One fewer than a job bears without progress between them."""
QUIET_ROUNDS = 20
"""More than a machine needs that has nothing else to do."""


def wake(home):
    ensure_scheduler(home, ["--entry", "entries:main"])


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_scheduler(home):
    # the first of a home may not have said yet who it is
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        kill(int((home / "scheduler.lock").read_text().split(":")[1]))


def kill_warm_parent(home):
    with contextlib.suppress(FileNotFoundError, ValueError):
        kill(warm_parent(home))


def kill_run(home):
    for path in home.glob("runs/*/pid.json"):
        if (run := Process.read(path)) is not None:
            run.kill()


@pytest.mark.parametrize("which", range(3))
def test_a_job_survives_kills_at_random_moments(home, which):
    chance = seeded()
    job = submit(home, f"work-{STEPS}")
    wake(home)

    killed_runs = 0
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.0, 0.6))
        victims = [kill_scheduler, kill_warm_parent] + [kill_run] * (killed_runs < RUN_KILLS)
        for victim in chance.sample(victims, chance.randint(1, len(victims))):
            killed_runs += victim is kill_run
            victim(home)
        wake(home)
    until(lambda: job_of(home, job).state.is_final, seconds=300)

    assert job_of(home, job).state is JobState.SUCCEEDED, job_of(home, job).failure
    check_the_record(home, job)


def check_the_record(home, job):
    """One end for each attempt, one start, only the last succeeded, and every step as it would have been without the kills."""
    runs = runs_of(home, job)
    check_the_ends(home, runs)
    ctx = member(home)
    with ctx.read() as tx:
        ends = [entry.target for entry in tx.audit.newest(ctx.project, 1000) if entry.action == "run:end"]
    assert sorted(ends) == sorted(run.id for run in runs)
    steps = [(attempt, event.step, event.loss) for attempt, event in events_of(home, job, "step")]
    assert {step for _, step, _ in steps} == set(range(1, STEPS + 1))
    assert [loss for _, _, loss in steps] == [loss_at(step) for _, step, _ in steps]
    for run in runs:
        told = [step for attempt, step, _ in steps if attempt == run.attempt]
        assert told == list(range(told[0], told[0] + len(told))) if told else True


def check_the_ends(home, runs):
    """Each attempt began once at most, was killed but for the last, and that one succeeded."""
    assert [run.attempt for run in runs] == list(range(1, len(runs) + 1))
    assert [run.outcome for run in runs] == [Outcome.FAILED] * (len(runs) - 1) + [Outcome.SUCCEEDED]
    assert {run.failure.cause for run in runs[:-1]} <= {Cause.KILLED}
    for run in runs:
        begun = home / "runs" / run.id / "begun"
        assert not begun.exists() or len(begun.read_text().splitlines()) == 1


def test_a_scheduler_that_dies_again_and_again_still_brings_every_job_to_one_end(home):
    """Kills before, during and after each of the few things a short job needs."""
    chance = seeded()
    waiting = [submit(home, "succeed") for _ in range(3)]
    deadline = time.monotonic() + 480
    for tried in itertools.count():
        if all(job_of(home, job).state.is_final for job in waiting):
            break
        assert time.monotonic() < deadline
        wake(home)
        # Where one needs longer than that to start and do anything, it must not starve.
        time.sleep(chance.uniform(0.2, 1.2) * 1.1 ** max(0, tried - QUIET_ROUNDS))
        kill_scheduler(home)

    for job in waiting:
        runs = runs_of(home, job)
        told = [(run.outcome, run.failure) for run in runs]
        assert job_of(home, job).state is JobState.SUCCEEDED, told
        check_the_ends(home, runs)
        # A scheduler that dies between claiming a start and the word that lets it begin costs an attempt, and no work.
        assert [run.id for run in runs if (home / "runs" / run.id / "begun").exists()] == [runs[-1].id], told


@SKIPPED_BY_OTHERS
@pytest.mark.timeout(PATIENCE_SECONDS)
def test_these_hold_for_an_ordinary_user_too():
    """One of the three series of kills, and the scheduler that dies again and again."""
    run_tests(__file__, "moments and 0 or again_and_again")
