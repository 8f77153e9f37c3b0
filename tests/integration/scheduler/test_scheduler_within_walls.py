"""What a run cannot see or do, started as every run is; and what is kept of how it was confined."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from run_world import until, within_walls
from world import job_of, member, runs_of, submit

from intramural.app.scheduler import ensure_scheduler
from intramural.domain.artifact import ArtifactKind
from intramural.domain.confinement import Level
from intramural.domain.job import JobState
from intramural.domain.spec import JobSpec
from intramural.errors import Unavailable
from intramural.scheduler.executor import Phase
from intramural.scheduler.executors.local import LocalExecutor
from intramural.service import jobs
from intramural.walls.level import level

SPEC = JobSpec(name="n", base="b", data="d")

pytestmark = pytest.mark.skipif(level() is not Level.NAMESPACES, reason="user namespaces are forbidden here")


def ended(executor, attempt="run_1"):
    return until(lambda: (s := executor.poll([attempt])[attempt]).phase is Phase.ENDED and s)


@pytest.fixture(autouse=True)
def memory_for_a_spare(monkeypatch):
    """A spare is started however little memory the machine has left."""
    monkeypatch.setattr("intramural.scheduler.executors.walled.SPARE_BYTES", 0)


@pytest.fixture(params=[True, False], ids=["spare", "cold"])
def executor(request, home, environment):
    made = LocalExecutor(home, environment, warm=request.param, entry="entries:main")
    made.prepare()
    yield made
    made.close()


def test_a_run_sees_neither_the_home_nor_other_runs_and_cannot_change_its_inputs(executor, home, make_run):
    (home / "keys").mkdir()
    (home / "intramural.db").touch()
    make_run("succeed", "run_2")
    folder = make_run("peek")
    (folder / "inputs").mkdir()
    (folder / "inputs" / "row").write_text("row")
    (folder / "inputs" / "row").chmod(0o400)

    executor.submit("run_1", folder, SPEC)

    assert ended(executor).exit_code == 0
    found = json.loads((folder / "peek.json").read_text())
    assert {each for each in found["seen"] if each not in {"runs", "spares"}} == set()
    assert found["written"] == []
    assert found["interfaces"] == 1
    assert (folder / "inputs" / "row").read_text() == "row"


def test_a_run_that_forges_its_own_process_file_cannot_have_another_process_ended(executor, make_run):
    folder = make_run("sleep")
    executor.submit("run_1", folder, SPEC)
    until((folder / "ready").exists)
    (folder / "pid.json").write_text(json.dumps({"pid": 1, "start_time": 0, "boot_id": ""}))

    executor.stop("run_1", 0)

    assert ended(executor).signal == 9


def test_a_spare_serves_one_run(home, environment, make_run):
    executor = LocalExecutor(home, environment, entry="entries:main")
    executor.prepare()
    [spare] = (home / "spares").iterdir()

    executor.submit("run_1", make_run("succeed"), SPEC)

    assert ended(executor).exit_code == 0
    assert (home / "walls" / "run_1").resolve().name == spare.name
    assert not spare.exists()


def test_a_spare_whose_imports_get_no_processor_time_begins_anew_for_its_run(home, environment, make_run):
    executor = LocalExecutor(home, environment, entry="entries_starved:main")
    executor.submit("run_1", make_run("succeed"), SPEC)
    executor.poll([])
    [spare] = (home / "spares").iterdir()
    until((spare / "imported-before").exists)

    executor.submit("run_2", make_run("succeed", "run_2"), SPEC)

    assert ended(executor, "run_2").exit_code == 0
    assert (home / "walls" / "run_2").resolve().name == spare.name


STARVED_LATER = """
import sys
from intramural.workloads import inside
looks = iter([False])
inside._is_starved = lambda imports: imports.join(0.1) or next(looks, True)
inside.main(sys.argv[1:])
"""
"""A spare whose imports get processor time at the first look, and none after it."""


def test_imports_that_starve_only_after_the_first_look_begin_anew_too(environment, make_run):
    folder = make_run("succeed")
    reading, writing = os.pipe()
    spare = [sys.executable, "-c", STARVED_LATER, "--word", str(reading), "--entry", "entries_starved:main"]
    process = subprocess.Popen([*spare, "--idle-seconds", "600", "--gently"], cwd=folder, env=environment, pass_fds=[reading])
    try:
        os.close(reading)
        (folder / "idle").touch()
        until((folder / "imported-before").exists)
        os.write(writing, b"run \n")

        assert process.wait(120) == 0
    finally:
        os.close(writing)
        process.kill()
        process.wait()
    assert "succeeded" in (folder / "events.jsonl").read_text()


def test_a_home_that_was_removed_is_not_made_again_for_a_spare(home, environment, make_run):
    executor = LocalExecutor(home, environment, entry="entries:main")
    folder = make_run("succeed")
    executor.submit("run_1", folder, SPEC)
    until((folder / "exit.json").exists)
    until(lambda: shutil.rmtree(home, ignore_errors=True) or not home.exists())

    executor.poll([])

    assert not home.exists()


def test_the_end_of_a_run_rings_though_no_look_came_while_it_worked(home, environment, make_run):
    bell = home / "bell"
    os.mkfifo(bell)
    reader = os.open(bell, os.O_RDWR | os.O_NONBLOCK)
    executor = LocalExecutor(home, environment, warm=False, entry="entries:main", notify=bell)
    folder = make_run("sleep")
    executor.submit("run_1", folder, SPEC)
    until((folder / "ready").exists)
    [confined] = within_walls(home)

    confined.supervisor.send(signal.SIGSTOP)  # so that it still is there when the first look comes
    try:
        confined.job.kill()
        until(lambda: not confined.is_alive())
        first_look = executor.poll(["run_1"])["run_1"]
    finally:
        confined.supervisor.send(signal.SIGCONT)

    assert first_look.phase is Phase.RUNNING
    until(lambda: rung(reader))
    os.close(reader)


def rung(reader):
    try:
        return os.read(reader, 1)
    except BlockingIOError:
        return b""


def test_an_idle_spare_ends_and_what_it_left_is_swept(home, environment):
    executor = LocalExecutor(home, environment, entry="entries:main", idle_seconds=0.05)
    executor.prepare()
    [spare] = (home / "spares").iterdir()

    until(lambda: not (spare / "idle").exists())

    assert executor.poll([]) == {}


def test_a_spare_of_another_environment_is_not_used(home, environment, make_run):
    LocalExecutor(home, environment, entry="entries:main").prepare()
    [other] = (home / "spares").iterdir()
    executor = LocalExecutor(home, {**environment, "TZ": "UTC"}, entry="entries:main")

    executor.prepare()
    executor.submit("run_1", make_run("environment"), SPEC)

    assert ended(executor).exit_code == 0
    assert json.loads((home / "runs" / "run_1" / "environment.json").read_text())["TZ"] == "UTC"
    assert not other.exists()


def test_a_home_among_what_every_run_sees_is_refused(home, environment, make_run):
    executor = LocalExecutor(home, {**environment, "PYTHONPATH": str(home.parent)}, warm=False, entry="entries:main")

    with pytest.raises(Unavailable, match="lies among"):
        executor.submit("run_1", make_run("succeed"), SPEC)


def test_a_link_that_a_run_leaves_is_not_followed(furnished):
    job = submit(furnished, "peek")
    ensure_scheduler(furnished, ["--entry", "entries:main"])

    until(lambda: job_of(furnished, job).state.is_final)

    assert job_of(furnished, job).state is JobState.FAILED


def test_the_receipt_is_sealed_with_the_run_and_told(furnished):
    job = submit(furnished, "succeed")
    ensure_scheduler(furnished, ["--entry", "entries:main"])
    until(lambda: job_of(furnished, job).state.is_final)

    report = jobs.show_job(member(furnished), job)

    assert report.state is JobState.SUCCEEDED
    assert ArtifactKind.RECEIPT in {each.kind for each in report.artifacts}
    [attempt] = report.attempts
    assert (attempt.walls.level, attempt.walls.complete, attempt.walls.refused) == (Level.NAMESPACES, True, 0)
    [run] = runs_of(furnished, job)
    until(lambda: not (furnished / "walls" / run.id).exists())  # soon after the end was recorded
