"""One writer at a time, one consistent state for a reader, and foreign errors translated once."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import event

import factories
from disks import a_disk
from factories import NOON, a_dataset_version, a_job, a_model, a_run, a_spec, an_artifact, an_audit_entry, later
from intramural.domain.job import JobState, Outcome
from intramural.errors import Conflict, Unavailable
from intramural.store import Store

PROJECT = "default"


@pytest.fixture
def store(tmp_path):
    return Store.in_file(tmp_path / "intramural.db")


def test_a_transaction_that_breaks_leaves_nothing(store):
    def write_and_break():
        with store.writing() as tx:
            tx.models.add(PROJECT, a_model())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_break()

    with store.reading() as tx:
        assert tx.models.all(PROJECT) == []


def test_an_interrupt_in_the_middle_of_a_statement_stays_one(store):
    def interrupted(cursor, statement, parameters, context):
        if "models" in statement:
            raise KeyboardInterrupt

    event.listen(store._engine, "do_execute", interrupted)
    with pytest.raises(KeyboardInterrupt), store.writing() as tx:
        tx.models.add(PROJECT, a_model())
    event.remove(store._engine, "do_execute", interrupted)

    with store.reading() as tx:
        assert tx.models.all(PROJECT) == []


def test_a_reader_sees_one_state(store):
    with store.reading() as before:
        assert before.models.all(PROJECT) == []
        with store.writing() as tx:
            tx.models.add(PROJECT, a_model())
        assert before.models.all(PROJECT) == []

    with store.reading() as after:
        assert after.models.all(PROJECT) == [a_model()]


def test_a_name_that_exists_is_a_conflict(store):
    with store.writing() as tx:
        tx.models.add(PROJECT, a_model())

    with pytest.raises(Conflict) as caught, store.writing() as tx:
        tx.models.add(PROJECT, a_model())
    assert caught.value.hint


WRITER = """
import sys
from pathlib import Path
from factories import an_audit_entry
from intramural.store import Store
store = Store.in_file(Path(sys.argv[1]))
for n in range(50):
    with store.writing() as tx:
        seen = len(tx.audit.newest("default", 1000))
        tx.audit.append(an_audit_entry(target=str(seen)))
"""


def test_two_processes_writing_at_once_lose_nothing(store, tmp_path):
    """Each entry holds the count its writer saw: were two writers inside at once, a count would repeat."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "intramural.db")]
    environment = {**os.environ, "PYTHONPATH": str(Path(factories.__file__).parent)}
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    try:
        assert [each.wait(300) for each in both] == [0, 0]
    finally:
        for each in both:
            each.kill()

    with store.reading() as tx:
        targets = [entry.target for entry in tx.audit.newest(PROJECT, 1000)]
    assert targets == [str(n) for n in range(100)]


def test_a_store_that_stays_locked_is_unavailable(tmp_path):
    store = Store.in_file(tmp_path / "intramural.db", busy_milliseconds=50)
    lock = sqlite3.connect(tmp_path / "intramural.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="locked"), store.writing():
        pytest.fail("two writers at once")
    lock.close()


def test_threads_may_share_a_store(store):
    def write(n):
        with store.writing() as tx:
            tx.audit.append(an_audit_entry(target=str(n)))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    with store.reading() as tx:
        assert {entry.target for entry in tx.audit.newest(PROJECT, 100)} == {str(n) for n in range(8)}


def test_a_full_disk_is_said_so_and_loses_nothing(tmp_path):
    with a_disk(tmp_path / "disk", "size=1m") as folder:
        store = Store.in_file(folder / "intramural.db")
        with store.writing() as tx:
            tx.models.add(PROJECT, a_model())

        def write_too_much():
            with store.writing() as tx:
                tx.events.append("run-1", 1, [{"type": "notice", "message": "x" * 100_000} for _ in range(20)])

        with pytest.raises(Unavailable, match="full") as caught:
            write_too_much()
        assert "INTRAMURAL_HOME" in caught.value.hint
        with store.writing() as tx:
            assert tx.events.last_seq("run-1") == 0
            assert tx.models.all(PROJECT) == [a_model()]
        store.close()


def test_a_disk_without_any_room_left_is_said_so_even_to_a_reader(tmp_path):
    """SQLite needs a few pages beside its file to read it, and calls their lack an I/O error."""
    with a_disk(tmp_path / "disk", "size=1m") as folder:
        Store.in_file(folder / "intramural.db").close()
        with open(folder / "filler", "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"f" * 4096)

        with pytest.raises(Unavailable, match=r"disk of .* is full"):
            Store.in_file(folder / "intramural.db")


def test_a_store_that_was_moved_away_is_unavailable_until_it_is_back(store, tmp_path):
    with store.writing() as tx:
        tx.models.add(PROJECT, a_model())
    database, aside = tmp_path / "intramural.db", tmp_path / "aside.db"
    os.replace(database, aside)

    with pytest.raises(Unavailable), store.reading():
        pytest.fail("it read a store that is not there")
    assert not database.exists()

    os.replace(aside, database)
    with store.reading() as tx:
        assert tx.models.all(PROJECT) == [a_model()]


def test_a_store_restored_from_a_backup_is_the_one_that_is_written(store, tmp_path):
    store.close()
    shutil.copy(tmp_path / "intramural.db", tmp_path / "backup.db")
    with store.writing() as tx:
        tx.models.add(PROJECT, a_model())
    for rest in tmp_path.glob("intramural.db-*"):
        rest.unlink()
    os.replace(tmp_path / "backup.db", tmp_path / "intramural.db")

    with store.writing() as tx:
        assert tx.models.all(PROJECT) == []
        tx.models.add(PROJECT, a_model(name="other"))

    assert [each.name for each in names(tmp_path / "intramural.db")] == ["other"]


def names(path):
    with Store.in_file(path).reading() as tx:
        return tx.models.all(PROJECT)


@pytest.mark.parametrize("folder", ["with space", "50%", "what?", "a#b", "ü"])
def test_a_home_may_have_any_name(tmp_path, folder):
    with Store.in_file(tmp_path / folder / "intramural.db").writing() as tx:
        tx.models.add(PROJECT, a_model())

    assert names(tmp_path / folder / "intramural.db") == [a_model()]


def test_datasets_are_found_by_version_newest_first(store):
    with store.writing() as tx:
        for version in (1, 2, 10):
            tx.datasets.add(PROJECT, a_dataset_version(version=version))

        assert tx.datasets.find(PROJECT, "tickets").version == 10
        assert tx.datasets.find(PROJECT, "tickets", 2).version == 2
        assert tx.datasets.find(PROJECT, "tickets", 3) is None
        assert tx.datasets.find("other", "tickets") is None
        assert [each.version for each in tx.datasets.all(PROJECT)] == [1, 2, 10]


def test_a_job_is_found_by_id_then_name_then_beginning(store):
    with store.writing() as tx:
        tx.jobs.add(a_job(id="job-aa1", spec=a_spec(name="job-aa")))
        tx.jobs.add(a_job(id="job-aa2", spec=a_spec(name="router"), submitted_at=later(1)))
        tx.jobs.add(a_job(id="job-b", spec=a_spec(name="router"), submitted_at=later(2)))

        def ids(ref):
            return [each.id for each in tx.jobs.matching(PROJECT, ref)]

        assert ids("job-aa2") == ["job-aa2"]
        assert ids("job-aa") == ["job-aa1"]
        assert ids("router") == ["job-b"]
        assert sorted(ids("job-a")) == ["job-aa1", "job-aa2"]
        assert ids("job_a") == ids("%") == []
        assert [each.id for each in tx.jobs.all(PROJECT)] == ["job-b", "job-aa2", "job-aa1"]


def test_jobs_and_runs_are_found_by_where_they_stand(store):
    with store.writing() as tx:
        tx.jobs.add(a_job())
        tx.runs.add(a_run())
        assert [each.id for each in tx.runs.open()] == ["run-1"]

        tx.runs.save(a_run().ended(Outcome.SUCCEEDED, None, fence=1, now=later(1)))
        tx.jobs.save(a_job().started(now=NOON))

        assert tx.runs.open() == []
        assert [each.id for each in tx.jobs.in_states([JobState.RUNNING])] == ["job-1"]
        assert tx.jobs.in_states([JobState.QUEUED]) == []


def test_an_artifact_is_found_by_the_beginning_of_its_id_or_digest(store):
    artifact = an_artifact()
    with store.writing() as tx:
        tx.artifacts.add(PROJECT, artifact)

        for ref in ("art-1", "art", artifact.digest, artifact.digest[:15], artifact.digest[7:19]):
            assert tx.artifacts.matching(PROJECT, ref) == [artifact]
        assert tx.artifacts.matching(PROJECT, "rt-1") == []

    with pytest.raises(Conflict), store.writing() as tx:
        tx.artifacts.add(PROJECT, an_artifact(id="art-2"))


EVENTS = 100_000


def test_a_hundred_thousand_events_are_kept_in_order_and_found_quickly(store, tmp_path):
    """The statements of a poll touch what they return, not the whole history: no temporary sorting, no scan."""
    bodies = [{"type": "phase", "at": 0.0}, *({"type": "step", "at": float(n), "step": n} for n in range(1, EVENTS))]
    with store.writing() as tx:
        for first in range(0, EVENTS, 10_000):
            tx.events.append("run-1", first + 1, bodies[first : first + 10_000])
        tx.events.append("run-1", EVENTS - 1, bodies[-2:])

    with store.reading() as tx:
        assert tx.events.last_seq("run-1") == EVENTS
        assert [body["at"] for _, _, body in tx.events.of_runs(["run-1"])] == [each["at"] for each in bodies]
        assert tx.events.newest("run-1", ["phase"]) == bodies[0]
        assert [place for place, _, _ in tx.events.of_runs(["run-1", "run-2"], after=EVENTS - 2)] == [EVENTS - 1, EVENTS]

    poll = "SELECT body FROM run_events WHERE run_id IN ('run-1') AND id > 99000 ORDER BY id LIMIT 10"
    newest = "SELECT body FROM run_events WHERE run_id = 'run-1' AND type IN ('phase') ORDER BY seq DESC LIMIT 1"
    with closing(sqlite3.connect(tmp_path / "intramural.db")) as raw:
        for statement, index in (
            (poll, "events_by_place (run_id=? AND id>?)"),
            (newest, "events_by_type (run_id=? AND type=?)"),
        ):
            plan = str(raw.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall())
            assert index in plan
            assert "TEMP B-TREE" not in plan
