"""What goes wrong around a run: the store, the vault, the disk, the executor; and that it stays with that run."""

import dataclasses
import os
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta

import pytest
from fake_executor import FakeExecutor
from loop_world import STEP, World
from world import NOON, events_of, job_of, member, submit

from disks import a_disk
from intramural.domain.cause import Cause
from intramural.domain.job import MAX_FAILURES, JobState
from intramural.errors import Unavailable
from intramural.pages.run_page import run_markdown
from intramural.scheduler.executor import Phase, Status
from intramural.scheduler.loop import MOST_TROUBLES
from intramural.service.jobs import explain_job, show_job


def test_an_executor_that_never_starts_a_run_fails_the_job_with_its_reason(world, home):
    job = submit(home, "succeed")

    class Refuses(FakeExecutor):
        def poll(self, attempts):
            return {attempt: Status(phase=Phase.ABSENT, problem="no libraries") for attempt in attempts}

    loop = world.loop(executor=Refuses(home, lambda: world.seconds))
    for _ in range(MAX_FAILURES * (MOST_TROUBLES + 2)):
        loop.tick()

    ended = job_of(home, job)
    assert (ended.state, ended.failure.cause) == (JobState.FAILED, Cause.NODE_FAILURE)
    assert "no libraries" in ended.failure.evidence


def test_one_run_in_trouble_does_not_hold_up_another(home):
    (home / "intramural.toml").write_text("parallel_runs = 2\n")
    world = World(home)
    bad, good = submit(home, "sleep"), submit(home, "sleep")

    class Breaks(FakeExecutor):
        def log_path(self, attempt):
            if attempt == bad_run.id:
                raise RuntimeError("the customer's secret sentence")
            return super().log_path(attempt)

    executor = Breaks(home, lambda: world.seconds)
    loop = world.loop(executor=executor)
    loop.tick()
    bad_run, good_run = world.run(bad), world.run(good)
    executor.end(bad_run.id, exit_code=1)
    executor.end(good_run.id, exit_code=0)
    world.tell(good_run, {"type": "outcome", "outcome": "succeeded"})
    loop.tick()
    good_state = job_of(home, good).state
    for _ in range(60):
        world.seconds += 1
        loop.tick()

    assert good_state is JobState.SUCCEEDED
    ended = job_of(home, bad)
    assert (ended.state, ended.failure.cause) == (JobState.FAILED, Cause.UNKNOWN)
    assert "RuntimeError" in ended.failure.evidence
    assert "secret" not in ended.failure.evidence


def test_a_store_that_is_away_costs_nothing(world, home):
    job = submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    run = world.run(job)
    world.tell(run, {**STEP, "step": 1})
    database = home / "intramural.db"
    aside = home / "aside.db"
    os.replace(database, aside)
    database.mkdir()

    with pytest.raises(Unavailable):
        loop.tick()
    database.rmdir()
    os.replace(aside, database)
    world.seconds = 1
    loop.tick()

    assert [event.step for _, event in events_of(home, job, "step")] == [1]


def test_a_key_provider_that_is_away_makes_a_job_wait_and_costs_nothing(world, home):
    job = submit(home, "succeed")
    [own] = (home / "keys").glob("key-*.key")
    own.rename(home / "taken")
    loop = world.loop()
    for world.seconds in range(0, 200, 20):
        assert loop.tick()

    waiting = job_of(home, job)
    (home / "taken").rename(own)
    started_meanwhile = list(world.executor.starts)
    world.seconds = 300
    loop.tick()
    world.tell(world.run(job), {"type": "outcome", "outcome": "succeeded"})
    assert not loop.tick()

    assert (waiting.state, waiting.attempts, started_meanwhile) == (JobState.RUNNING, 1, [])
    assert (job_of(home, job).state, job_of(home, job).attempts) == (JobState.SUCCEEDED, 1)


def test_what_a_job_waits_for_is_told_to_whoever_asks_and_no_longer_than_it_is_so(world, home):
    job, next_one = submit(home, "sleep"), submit(home, "sleep")
    [own] = (home / "keys").glob("key-*.key")
    own.rename(home / "taken")
    loop = world.loop()
    for world.seconds in range(0, 200, 20):
        loop.tick()
    ctx = dataclasses.replace(member(home), now=lambda: NOON + timedelta(seconds=world.seconds))

    told, behind, shown = explain_job(ctx, job), explain_job(ctx, next_one), show_job(ctx, job)
    again = world.loop("one")  # a scheduler that was started anew under the same name tells the same
    again.tick()
    told_again = explain_job(ctx, job)
    (home / "taken").rename(own)
    world.seconds = 300
    loop.tick()

    assert f"waiting since 2026-01-01 12:00:00 UTC: The local key file {own} is not there" in told.summary
    assert (told.waiting_since, shown.waiting.since, told_again.summary) == (NOON, NOON, told.summary)
    assert "goes on by itself" in told.next_step
    assert "which is waiting since 2026-01-01 12:00:00 UTC" in behind.summary
    assert "is not there" in run_markdown(shown)
    assert (explain_job(ctx, job).waiting_since, show_job(ctx, job).waiting) == (None, None)
    assert "waiting" not in explain_job(ctx, job).summary


def test_damaged_bytes_fail_the_job_before_anything_is_started(world, home):
    job = submit(home, "succeed")
    digest = member(home).vault.tree(job_of(home, job).base_digest).files["config.json"].digest
    blob = home / "vault" / digest[7:9] / digest[9:]
    blob.chmod(0o600)
    blob.write_text("[]")

    assert not world.loop().tick()

    ended = job_of(home, job)
    assert (ended.state, ended.failure.cause, ended.attempts) == (JobState.FAILED, Cause.INTEGRITY, 1)
    assert "config.json" in ended.failure.evidence
    assert world.executor.starts == []


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"f" * 4096)


def test_a_disk_that_is_full_when_the_result_is_kept_fails_the_job_and_keeps_its_checkpoints(home):
    with a_disk(home / "vault", "size=1m"):
        world = World(home)
        job = submit(home, "sleep")
        loop = world.loop()
        loop.tick()
        run = world.run(job)
        folder = home / "runs" / run.id
        for part in ("outputs/adapter", "checkpoints/step-00000009"):
            (folder / part).mkdir(parents=True)
            (folder / part / "weights").write_bytes(b"w" * 100_000)
        world.tell(run, {"type": "outcome", "outcome": "succeeded"})
        world.executor.end(run.id, exit_code=0)
        fill(home / "vault")

        assert not loop.tick()

    ended = job_of(home, job)
    assert (ended.state, ended.failure.cause) == (JobState.FAILED, Cause.DISK_FULL)
    assert "No space left" in ended.failure.evidence
    assert (folder / "checkpoints" / "step-00000009" / "weights").exists()


def test_a_run_that_the_store_forgot_is_ended_and_holds_up_nothing(world, home):
    """The database was restored from a backup that is older than the run."""
    with closing(sqlite3.connect(home / "intramural.db")) as database, closing(sqlite3.connect(home / "backup.db")) as backup:
        database.backup(backup)
    submit(home, "sleep")
    loop = world.loop()
    loop.tick()
    [forgotten] = world.executor.starts
    for name in ("intramural.db-wal", "intramural.db-shm"):
        (home / name).unlink(missing_ok=True)
    os.replace(home / "backup.db", home / "intramural.db")
    job = submit(home, "sleep")

    world.seconds = 6
    loop.tick()

    assert world.executor.poll([forgotten])[forgotten].signal == 9
    assert job_of(home, job).state is JobState.RUNNING


def test_rows_that_a_killed_scheduler_left_in_clear_are_gone_with_the_next(world, home):
    left = home / "runs" / "run-of-yesterday" / "inputs"
    left.mkdir(parents=True)
    (left / "train.jsonl").write_text("the customer's secret sentence")

    world.loop().tick()

    assert list(left.iterdir()) == []
