"""The scheduler as a process of its own: who starts it, that there is one, and that it overlooks nothing."""

import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

from entries import loss_at
from run_world import holder, until, within_walls
from world import events_of, job_of, member, runs_of, submit

from intramural.app.open import open_client
from intramural.app.scheduler import ensure_scheduler
from intramural.domain.cause import Cause
from intramural.domain.job import JobState, Outcome
from intramural.service import jobs
from intramural.walls.processes import Process
from living import files_of

ENTRY = ["--entry", "entries:main"]


def wake(home, *options):
    ensure_scheduler(home, [*ENTRY, *options])


def final(home, job):
    return until(lambda: (found := job_of(home, job)).state.is_final and found)


def processes_within_walls(home):
    return [each.job for each in within_walls(home) if each.is_alive()]


def is_scheduled(home):
    return (found := holder(home)) is not None and found.is_alive()


def test_a_job_runs_though_whoever_submitted_it_is_gone(furnished):
    job = submit(furnished, "work-20")
    start = "from intramural.app.scheduler import ensure_scheduler; from pathlib import Path"
    code = f"{start}; ensure_scheduler(Path({str(furnished)!r}), {ENTRY!r})"
    subprocess.run([sys.executable, "-c", code], check=True)

    assert final(furnished, job).state is JobState.SUCCEEDED
    assert [event.step for _, event in events_of(furnished, job, "step")] == list(range(1, 21))
    assert os.getsid(holder(furnished).pid) != os.getsid(0)


def test_what_the_scheduler_writes_is_for_its_user_only(furnished):
    job = submit(furnished, "succeed")
    wake(furnished)
    final(furnished, job)

    modes = {
        name: stat.S_IMODE((furnished / name).stat().st_mode) for name in ("scheduler.lock", "scheduler.wake", "scheduler.log")
    }
    assert set(modes.values()) == {0o600}


def test_many_starters_at_once_make_one_scheduler_and_one_run(furnished):
    job = submit(furnished, "work-20")
    fork = multiprocessing.get_context("fork")
    starters = [fork.Process(target=wake, args=(furnished,)) for _ in range(5)]
    for each in starters:
        each.start()
    for each in starters:
        each.join(300)
        each.kill()

    ended = final(furnished, job)

    assert {each.exitcode for each in starters} == {0}
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)
    until(lambda: len(_schedulers(furnished)) == 1)


def _schedulers(home):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"intramural.app.scheduler" in words and str(home).encode() in words:
            found.append(path)
    return found


def test_a_resting_scheduler_is_woken(furnished):
    first = submit(furnished, "succeed")
    wake(furnished)
    final(furnished, first)
    same = holder(furnished)

    second = submit(furnished, "succeed")
    wake(furnished)

    assert final(furnished, second).state is JobState.SUCCEEDED
    assert holder(furnished) == same


def test_it_leaves_when_idle_and_no_job_is_overlooked_around_that_moment(furnished):
    for _ in range(5):
        job = submit(furnished, "succeed")
        wake(furnished, "--idle-seconds", "0.05")
        assert final(furnished, job).state is JobState.SUCCEEDED

    until(lambda: not is_scheduled(furnished))


def test_it_leaves_when_its_home_is_gone_and_does_not_make_it_again(furnished):
    job = submit(furnished, "sleep")
    wake(furnished)
    run = until(lambda: runs_of(furnished, job))[0]
    folder = furnished / "runs" / run.id
    until((folder / "ready").exists)
    scheduler, left = holder(furnished), processes_within_walls(furnished)

    until(lambda: shutil.rmtree(furnished, ignore_errors=True) or not furnished.exists())  # they still write into it

    until(lambda: not scheduler.is_alive())
    assert not furnished.exists()
    assert left
    try:
        until(lambda: not any(each.is_alive() for each in left))  # a run ends with its directory
    finally:
        for each in left:
            each.kill()


def test_it_leaves_to_another_when_its_lock_was_removed(furnished):
    (furnished / "intramural.toml").write_text("lease_seconds = 1\n")
    job = submit(furnished, "work-150")
    wake(furnished)
    until(lambda: events_of(furnished, job, "step"))
    first = holder(furnished)

    (furnished / "scheduler.lock").unlink()
    until(lambda: not first.is_alive())

    until(lambda: wake(furnished) or job_of(furnished, job).state is JobState.SUCCEEDED)
    assert job_of(furnished, job).attempts == 1
    assert [event.step for _, event in events_of(furnished, job, "step")] == list(range(1, 151))


def test_it_stays_while_something_runs(furnished):
    job = submit(furnished, "work-60")
    wake(furnished, "--idle-seconds", "0")

    assert final(furnished, job).state is JobState.SUCCEEDED
    assert job_of(furnished, job).attempts == 1


def test_a_scheduler_that_is_killed_is_replaced_and_the_run_goes_on(furnished):
    job = submit(furnished, "held-100")
    wake(furnished)
    until(lambda: events_of(furnished, job, "step"))
    killed = holder(furnished)
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: not killed.is_alive())

    wake(furnished)
    until(lambda: runs_of(furnished, job)[0].lease.fence == 2)
    (furnished / "runs" / runs_of(furnished, job)[0].id / "go").touch()
    ended = final(furnished, job)

    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)
    assert [event.step for _, event in events_of(furnished, job, "step")] == list(range(1, 101))
    [run] = runs_of(furnished, job)
    assert run.lease.fence == 2


def test_pause_and_resume_go_on_where_it_was(furnished):
    job = submit(furnished, "held-80")
    wake(furnished)
    until(lambda: events_of(furnished, job, "step"))
    jobs.pause_job(member(furnished), job)
    wake(furnished)
    until(lambda: job_of(furnished, job).state is JobState.PAUSED)
    jobs.resume_job(member(furnished), job)
    wake(furnished)

    assert final(furnished, job).state is JobState.SUCCEEDED
    steps = [(event.step, event.loss) for _, event in events_of(furnished, job, "step")]
    assert steps == [(step, loss_at(step)) for step in range(1, 81)]
    assert [run.outcome for run in runs_of(furnished, job)] == [Outcome.STOPPED, Outcome.SUCCEEDED]


def test_cancel_ends_a_run(furnished):
    job = submit(furnished, "sleep")
    wake(furnished)
    run = until(lambda: runs_of(furnished, job))[0]
    until((furnished / "runs" / run.id / "ready").exists)
    jobs.cancel_job(member(furnished), job)
    wake(furnished)

    ended = final(furnished, job)

    assert (ended.state, ended.failure.cause) == (JobState.CANCELLED, Cause.CANCELLED)
    assert not Process.read(furnished / "runs" / run.id / "pid.json").is_alive()


def test_the_message_of_an_error_reaches_no_file_and_no_table(furnished):
    job = submit(furnished, "fail")
    wake(furnished)

    ended = final(furnished, job)

    assert (ended.state, ended.failure.cause) == (JobState.FAILED, Cause.USER_CODE)
    assert "RuntimeError" in ended.failure.evidence
    assert "entries.py" in ended.failure.evidence
    kept = dict(files_of(furnished))
    assert len(kept) > 5
    assert [path for path, content in kept.items() if b"secret sentence" in content] == []


def test_a_drill_proves_that_a_job_continues_exactly(furnished):
    job = submit(furnished, "held-908")
    wake(furnished)

    receipt = open_client(furnished).drill_job(job, timeout_seconds=120)

    assert receipt.equal, receipt.first_difference
    assert receipt.overlapping_steps >= 1
    assert receipt.killed_at_step - receipt.resumed_from_step == receipt.overlapping_steps
    assert receipt.seconds_lost > 0
    assert final(furnished, job).state is JobState.SUCCEEDED
    actions = [entry.action for entry in open_client(furnished).list_audit()]
    assert actions.count("job:drill") >= 1
