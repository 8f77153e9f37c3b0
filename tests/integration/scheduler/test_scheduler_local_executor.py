"""What the local executor promises beyond the contract: processes, parents and their deaths."""

import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from run_world import until, warm_parent

from intramural.domain.confinement import Level
from intramural.domain.spec import JobSpec
from intramural.errors import Unavailable
from intramural.scheduler.executor import Phase
from intramural.scheduler.executors.local import LocalExecutor
from intramural.walls.cgroup import started
from intramural.walls.processes import Process

SPEC = JobSpec(name="n", base="b", data="d")
ENTRY = "entries:main"


@pytest.fixture
def make_executor(home, environment):
    """Make executor objects for one home, as schedulers that follow each other do."""
    made = []

    def make(**options):
        made.append(LocalExecutor(home, options.pop("environment", environment), **{"entry": ENTRY, **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=[True, False], ids=["warm", "once"])
def new_executor(request, make_executor):
    return lambda: make_executor(warm=request.param)


@pytest.fixture
def warm_executor(make_executor):
    """Where nothing can confine: runs are forked from a resident parent."""
    return make_executor(level=Level.NONE)


def status(executor, attempt="run_1"):
    return executor.poll([attempt])[attempt]


def ended(executor, attempt="run_1"):
    return until(lambda: (s := status(executor, attempt)).phase is Phase.ENDED and s)


def brought_to_its_end(executor, folder):
    """Submit the run again where its parent left before it began; tell whether it has ended."""
    if status(executor, folder.name).phase is Phase.ABSENT:
        executor.submit(folder.name, folder, SPEC)
    return (folder / "exit.json").exists()


def process_of(folder):
    return until(lambda: Process.read(folder / "pid.json"))


def test_a_run_gets_its_own_session_folder_files_and_log(new_executor, make_run, monkeypatch):
    monkeypatch.setenv("SOMEBODYS_SECRET", "x")
    folder = make_run("environment")
    executor = new_executor()
    executor.submit("run_1", folder, SPEC)

    ended(executor)

    state = json.loads((folder / "state.json").read_text())
    assert Path(state.pop("cwd")).parent.parent == folder.parent.parent  # a spare's folder is renamed to the run's
    assert state == {"fds": [0, 1, 2], "session": state["session"], "blocked": []}
    assert (folder / "log").read_text() == "said on standard output\nsaid on standard error\n"
    assert stat.S_IMODE((folder / "log").stat().st_mode) == 0o600


def test_a_run_sees_the_environment_it_was_given_and_nothing_else(new_executor, environment, make_run, monkeypatch):
    monkeypatch.setenv("SOMEBODYS_SECRET", "x")
    folder = make_run("environment")
    executor = new_executor()
    executor.submit("run_1", folder, SPEC)

    ended(executor)

    seen = json.loads((folder / "environment.json").read_text())
    assert {name: seen[name] for name in environment} == environment
    of_walls = {"HOME", "TMPDIR", *(f"{each}_proxy" for each in ("http", "https", "all", "no"))}
    of_walls |= {each.upper() for each in of_walls}
    assert set(seen) - set(environment) <= of_walls | {"LC_CTYPE", "PWD"}  # Python sets these where there are none


def test_the_message_of_an_error_stays_out_of_the_log(new_executor, make_run):
    folder = make_run("fail")
    executor = new_executor()
    executor.submit("run_1", folder, SPEC)

    end = ended(executor)

    log = (folder / "log").read_text()
    assert end.exit_code == 1
    assert "builtins.RuntimeError" in log
    assert "in fail" in log
    assert "secret sentence" not in log


def test_a_run_outlives_the_process_that_submitted_it(new_executor, make_run):
    folder = make_run("sleep")

    starter = multiprocessing.get_context("fork").Process(target=_submit_and_die, args=(new_executor, folder))
    starter.start()
    starter.join()

    assert starter.exitcode == -signal.SIGKILL
    until((folder / "ready").exists)
    assert status(new_executor()).phase is Phase.RUNNING


def _submit_and_die(new_executor, folder):
    executor = new_executor()
    executor.submit("run_1", folder, SPEC)
    until(lambda: status(executor).phase is Phase.RUNNING)
    os.kill(os.getpid(), signal.SIGKILL)


def test_another_executor_finds_a_run_stops_it_and_sees_its_end(new_executor, make_run):
    folder = make_run("sleep")
    first = new_executor()
    first.submit("run_1", folder, SPEC)
    until(lambda: status(first).phase is Phase.RUNNING and (folder / "ready").exists())

    second = new_executor()
    second.stop("run_1", 300)

    assert ended(second).exit_code == 3
    assert ended(first).exit_code == 3


def test_a_run_survives_the_kill_of_its_parent_and_its_end_is_seen(warm_executor, home, make_run):
    folder = make_run("sleep")
    warm_executor.submit("run_1", folder, SPEC)
    until((folder / "ready").exists)

    os.kill(warm_parent(home), signal.SIGKILL)
    alive = status(warm_executor)
    warm_executor.stop("run_1", None)

    assert alive.phase is Phase.RUNNING
    assert ended(warm_executor).exit_code == 3


def test_a_run_that_is_killed_after_its_parent_is_gone_without_a_trace(warm_executor, home, make_run):
    folder = make_run("sleep")
    warm_executor.submit("run_1", folder, SPEC)
    until((folder / "ready").exists)

    os.kill(warm_parent(home), signal.SIGKILL)
    assert warm_executor.kill(folder)
    end = ended(warm_executor)

    assert (end.exit_code, end.signal) == (None, None)


def test_a_new_parent_takes_the_place_of_a_dead_one(warm_executor, home, make_run):
    warm_executor.submit("run_1", make_run("succeed"), SPEC)
    ended(warm_executor)
    os.kill(warm_parent(home), signal.SIGKILL)
    folder = make_run("succeed", "run_2")

    until(lambda: brought_to_its_end(warm_executor, folder))


def test_a_stranger_with_the_same_number_is_not_the_run(warm_executor, make_run):
    """The run's number now belongs to this very process, which must not be signalled."""
    folder = make_run("sleep")
    here = Process.here()
    reused = {"pid": here.pid, "start_time": here.start_time - 1, "boot_id": here.boot_id}
    (folder / "pid.json").write_text(json.dumps(reused))

    warm_executor.stop("run_1", 0)
    killed = warm_executor.kill(folder)

    assert not killed
    assert ended(warm_executor).signal is None


def test_a_process_of_an_earlier_boot_is_gone():
    here = Process.here()

    assert here.is_alive()
    assert not Process(here.pid, here.start_time, "another-boot").is_alive()


def test_a_process_that_nobody_waited_for_is_gone():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat_line = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    process = Process(child.pid, int(stat_line[19]), Process.here().boot_id)
    assert process.is_alive()

    child.kill()

    until(lambda: not process.is_alive())
    assert Path(f"/proc/{child.pid}").exists()
    child.communicate()


def test_many_submitters_at_once_start_a_run_once(new_executor, make_run):
    folder = make_run("succeed")
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(6, timeout=120)
    submitters = [fork.Process(target=_submit_at, args=(barrier, new_executor, folder)) for _ in range(6)]
    for each in submitters:
        each.start()
    for each in submitters:
        each.join(300)
        each.kill()

    assert {each.exitcode for each in submitters} == {0}
    assert len((folder / "events.jsonl").read_text().splitlines()) == 1


def _submit_at(barrier, new_executor, folder):
    executor = new_executor()
    barrier.wait()
    executor.submit("run_1", folder, SPEC)
    ended(executor)


def test_a_parent_of_other_code_is_replaced_and_its_run_goes_on(warm_executor, make_executor, home, environment, make_run):
    old_run = make_run("sleep")
    warm_executor.submit("run_1", old_run, SPEC)
    until((old_run / "ready").exists)
    old_parent = warm_parent(home)

    changed = make_executor(environment={**environment, "TZ": "UTC"}, level=Level.NONE)
    new_run = make_run("succeed", "run_2")
    changed.submit("run_2", new_run, SPEC)
    first_reply = until(lambda: (s := status(changed, "run_2")).phase is Phase.ABSENT and s)
    until(lambda: brought_to_its_end(changed, new_run))

    assert first_reply.problem == "other_version"
    assert ended(changed, "run_2").exit_code == 0
    assert warm_parent(home) != old_parent
    assert status(changed).phase is Phase.RUNNING
    changed.stop("run_1", None)
    assert ended(changed).exit_code == 3


def test_a_parent_whose_imports_start_threads_refuses_to_fork(home, make_executor, make_run):
    executor = make_executor(entry="entries_with_threads:main", level=Level.NONE)
    executor.submit("run_1", make_run("succeed"), SPEC)

    refused = until(lambda: (s := status(executor)).problem and s)

    assert refused.phase is Phase.ABSENT
    assert "cannot fork safely" in (home / "warm.log").read_text()


def test_an_idle_parent_leaves(home, make_executor):
    executor = make_executor(idle_seconds=0.05, level=Level.NONE)
    executor.prepare()
    parent = warm_parent(home)

    until(lambda: started(parent) is None)

    assert not (home / "warm.sock").exists()


def test_the_parent_answers_on_a_socket_for_this_user_only(warm_executor, home):
    warm_executor.prepare()

    assert stat.S_IMODE((home / "warm.sock").stat().st_mode) == 0o600


def test_a_home_that_cannot_be_written_is_named(home, make_executor, make_run):
    folder = make_run("succeed")
    (home / "warm.log").mkdir()
    executor = make_executor(level=Level.NONE)

    with pytest.raises(Unavailable):
        executor.submit("run_1", folder, SPEC)


def test_the_end_of_a_run_rings_the_bell(home, make_executor, make_run):
    bell = home / "bell"
    os.mkfifo(bell)
    reader = os.open(bell, os.O_RDWR | os.O_NONBLOCK)
    executor = make_executor(notify=bell)

    folder = make_run("sleep")
    executor.submit("run_1", folder, SPEC)
    until(lambda: status(executor).phase is Phase.RUNNING and (folder / "ready").exists())
    executor.stop("run_1", None)
    ended(executor)

    until(lambda: _read(reader))
    os.close(reader)


def _read(fd):
    try:
        return os.read(fd, 1)
    except BlockingIOError:
        return b""
