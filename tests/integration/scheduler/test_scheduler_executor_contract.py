"""What every executor promises: the same tests for each of them."""

import pytest
from fake_executor import FakeExecutor
from run_world import until

from intramural.domain.spec import JobSpec
from intramural.scheduler.executor import Phase, Signal
from intramural.scheduler.executors.local import LocalExecutor
from intramural.sealing import Keyring, ScopeKey
from intramural.walls.processes import Process

SPEC = JobSpec(name="n", base="b", data="d")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["fake", "warm", "once"])
def executor(request, home, environment, clock):
    if request.param == "fake":
        made = FakeExecutor(home, clock)
    else:
        made = LocalExecutor(home, environment, warm=request.param == "warm", entry="entries:main", clock=clock)
    yield made
    made.close()


def status(executor, attempt):
    return executor.poll([attempt])[attempt]


def ended(executor, attempt):
    return until(lambda: (s := status(executor, attempt)).phase is Phase.ENDED and s)


def running(executor, folder, marker="ready"):
    until(lambda: status(executor, folder.name).phase is Phase.RUNNING)
    if not isinstance(executor, FakeExecutor):
        until((folder / marker).exists)


def test_an_attempt_that_was_never_submitted_is_absent(executor, make_run):
    make_run("sleep")

    assert status(executor, "run_1").phase is Phase.ABSENT
    assert status(executor, "run_of_nobody").phase is Phase.ABSENT


def test_a_run_gets_its_keys_and_none_of_the_run_before(executor, make_run):
    if isinstance(executor, FakeExecutor):
        pytest.skip("it has no processes")
    two = Keyring([ScopeKey.new("key-1"), ScopeKey.new("key-2")]).encode()

    executor.submit("run_1", make_run("keys"), SPEC, two)
    executor.submit("run_2", make_run("keys", "run_2"), SPEC)

    assert [ended(executor, each).exit_code for each in ("run_1", "run_2")] == [12, 10]


@pytest.mark.parametrize(("behaviour", "code"), [("succeed", 0), ("leave-1", 1), ("leave-3", 3)])
def test_the_exit_code_of_a_run_is_told(executor, make_run, behaviour, code):
    executor.submit("run_1", make_run(behaviour), SPEC)

    assert ended(executor, "run_1").exit_code == code


def test_the_signal_that_ended_a_run_is_told(executor, make_run):
    executor.submit("run_1", make_run("die-9"), SPEC)

    end = ended(executor, "run_1")

    assert (end.signal, end.exit_code) == (9, None)


def test_one_poll_tells_of_many_attempts(executor, make_run):
    executor.submit("run_1", make_run("leave-1"), SPEC)
    executor.submit("run_2", make_run("succeed", "run_2"), SPEC)

    ended(executor, "run_1")
    ended(executor, "run_2")
    statuses = executor.poll(["run_1", "run_2", "run_3"])

    assert {attempt: (s.phase, s.exit_code) for attempt, s in statuses.items()} == {
        "run_1": (Phase.ENDED, 1),
        "run_2": (Phase.ENDED, 0),
        "run_3": (Phase.ABSENT, None),
    }


def test_a_second_submission_starts_nothing(executor, make_run):
    folder = make_run("succeed")
    executor.submit("run_1", folder, SPEC)
    ended(executor, "run_1")
    events = (folder / "events.jsonl").read_text() if (folder / "events.jsonl").exists() else ""

    executor.submit("run_1", folder, SPEC)

    assert ended(executor, "run_1").exit_code == 0
    assert (folder / "events.jsonl").exists() is (events != "")
    assert events == "" or (folder / "events.jsonl").read_text() == events


def test_a_run_that_is_asked_to_stop_stops(executor, make_run):
    folder = make_run("sleep")
    executor.submit("run_1", folder, SPEC)
    running(executor, folder)

    executor.stop("run_1", None)
    executor.stop("run_1", 30)

    assert ended(executor, "run_1").exit_code == 3


def test_a_run_that_does_not_listen_is_killed_after_its_grace_and_not_before(executor, make_run, clock):
    folder = make_run("deaf")
    executor.submit("run_1", folder, SPEC)
    running(executor, folder)

    executor.stop("run_1", 30)
    clock.now = 29
    before = status(executor, "run_1")
    clock.now = 31

    assert before.phase is Phase.RUNNING
    assert ended(executor, "run_1").signal == 9


def test_a_run_without_grace_is_killed_without_another_poll(executor, make_run):
    folder = make_run("deaf")
    executor.submit("run_1", folder, SPEC)
    running(executor, folder)

    executor.stop("run_1", 0)

    if not isinstance(executor, FakeExecutor):
        until(lambda: not Process.read(folder / "pid.json").is_alive())
    assert ended(executor, "run_1").signal == 9


def test_a_checkpoint_request_reaches_the_run(executor, make_run):
    folder = make_run("sleep")
    executor.submit("run_1", folder, SPEC)
    running(executor, folder)

    executor.signal("run_1", Signal.CHECKPOINT)

    until((folder / "checkpoint-asked").exists)
    assert status(executor, "run_1").phase is Phase.RUNNING


def test_requests_to_a_run_that_is_not_there_do_nothing(executor):
    executor.stop("run_9", 1)
    executor.signal("run_9", Signal.CHECKPOINT)

    assert status(executor, "run_9").phase is Phase.ABSENT


def test_the_log_lies_in_the_run_directory(executor, make_run):
    folder = make_run("succeed")
    executor.submit("run_1", folder, SPEC)
    ended(executor, "run_1")

    assert executor.log_path("run_1") == folder / "log"
    assert executor.log_path("run_1").exists()
