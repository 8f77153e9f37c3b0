"""What the local executor holds every run to: the level its data needs, and limits that the machine sets."""

import json
import resource

import pytest
from run_world import until
from world import job_of, member, submit

from intramural.domain.cause import Cause
from intramural.domain.confinement import Level
from intramural.domain.job import JobState
from intramural.domain.policy import Grant
from intramural.domain.spec import JobSpec
from intramural.errors import Refused
from intramural.scheduler.executor import Phase
from intramural.scheduler.executors.local import LocalExecutor
from intramural.service.policies import set_policy
from intramural.walls.level import level as machine_level
from intramural.walls.machine import Machine
from intramural.walls.processes import Process

SPEC = JobSpec(name="n", base="b", data="d")
GIB = 2**30
SECONDS = 60

needs_namespaces = pytest.mark.skipif(machine_level() is not Level.NAMESPACES, reason="user namespaces are forbidden here")


class Memory:
    """A machine whose memory a test changes."""

    def __init__(self, total):
        self.total = total

    def __call__(self):
        return Machine(self.total, 2)

    @property
    def limit(self):
        return self().limits().memory_bytes


@pytest.fixture
def memory():
    return Memory(16 * GIB)


@pytest.fixture
def make_executor(home, environment, memory):
    made = []

    def make(**options):
        made.append(LocalExecutor(home, environment, **{"entry": "entries:main", "machine": memory, **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def asking(gigabytes):
    return JobSpec(name="n", base="b", data="d", resources={"memory_gb": gigabytes})


def ready(folder):
    until((folder / "ready").exists, SECONDS)
    return until(lambda: Process.read(folder / "pid.json"), SECONDS).pid


def memory_limit(pid):
    """Return what the kernel holds the process to, where no control group does."""
    return resource.prlimit(pid, resource.RLIMIT_DATA)[0]


def enforced_by_rlimit(home, attempt):
    state = home / "walls" / attempt / "walls.json"
    return not state.exists() or json.loads(state.read_text())["limits"]["memory"] == "rlimit"


def spare_of(home):
    [spare] = (home / "spares").iterdir()
    return spare.name


def serves(home, attempt):
    return (home / "walls" / attempt).resolve().name


@pytest.mark.parametrize(("level", "warm"), [(Level.LANDLOCK, False), (Level.NONE, True), (Level.NONE, False)])
def test_a_run_below_the_level_that_its_data_needs_is_not_started(make_executor, make_run, home, level, warm):
    folder = make_run("succeed")
    executor = make_executor(level=level, warm=warm)

    with pytest.raises(Refused, match=f"The level namespaces is required; this machine reaches {level.value}") as caught:
        executor.submit("run_1", folder, SPEC, grant=Grant(level=Level.NAMESPACES))

    assert caught.value.about["rule"] == "isolation.level"
    assert executor.poll(["run_1"])["run_1"].phase is Phase.ABSENT
    assert not (folder / "begun").exists()
    assert list(home.glob("walls/*")) == []


@pytest.mark.parametrize("level", [Level.LANDLOCK, Level.NONE])
def test_a_run_at_the_level_that_its_data_needs_is_started(make_executor, make_run, level):
    executor = make_executor(level=level, warm=False)

    executor.submit("run_1", make_run("succeed"), SPEC, grant=Grant(level=level))

    assert until(lambda: (s := executor.poll(["run_1"])["run_1"]).phase is Phase.ENDED and s, SECONDS).exit_code == 0


def test_a_job_whose_level_is_not_there_when_its_run_starts_fails_and_says_what_would_mend_it(world, home, environment):
    """The machine reached it when the job was accepted and claimed; the executor does not."""
    set_policy(member(home), "every_class: {isolation: namespaces}")
    job = submit(home, "succeed")
    executor = LocalExecutor(home, environment, warm=False, entry="entries:main", level=Level.LANDLOCK)
    loop = world.loop(executor=executor)

    loop.tick()

    ended = job_of(home, job)
    assert (ended.state, ended.failure.cause) == (JobState.FAILED, Cause.REFUSED)
    assert ended.failure.evidence == (
        "`isolation.level`: The level namespaces is required; this machine reaches landlock. "
        "Allow user namespaces on this machine, or let `isolation` in the policy require less."
    )
    assert list(home.glob("runs/*/begun")) == []
    executor.close()


@needs_namespaces
def test_a_spare_serves_a_run_whose_data_needs_its_level(make_executor, make_run, home):
    executor = make_executor()
    executor.prepare()
    spare = spare_of(home)

    executor.submit("run_1", make_run("succeed"), SPEC, grant=Grant(level=Level.NAMESPACES))

    assert serves(home, "run_1") == spare


@needs_namespaces
def test_a_spare_that_is_not_firm_enough_is_left_alone(make_executor, make_run, home):
    executor = make_executor()
    executor.prepare()
    spare = spare_of(home)
    state = home / "walls" / spare / "walls.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "level": "landlock"}))

    executor.submit("run_1", make_run("succeed"), SPEC, grant=Grant(level=Level.NAMESPACES))

    assert serves(home, "run_1").startswith("run_1-")
    assert (home / "spares" / spare / "idle").exists()


@pytest.mark.parametrize(
    ("level", "warm"),
    [
        pytest.param(Level.NAMESPACES, True, marks=needs_namespaces),
        pytest.param(Level.NAMESPACES, False, marks=needs_namespaces),
        (Level.LANDLOCK, False),
        (Level.NONE, True),
        (Level.NONE, False),
    ],
)
def test_a_run_that_asks_for_nothing_has_the_limit_of_the_machine(make_executor, make_run, home, memory, level, warm):
    executor = make_executor(level=level, warm=warm)
    executor.prepare()
    folder = make_run("sleep")

    executor.submit("run_1", folder, SPEC)

    pid = ready(folder)
    if enforced_by_rlimit(home, "run_1"):
        assert memory_limit(pid) == memory.limit
    if level is not Level.NONE:
        limits = json.loads((home / "walls" / "run_1" / "walls.json").read_text())["limits"]
        assert {"memory", "processes", "processors", "swap"} <= set(limits)


@pytest.mark.parametrize("level", [pytest.param(Level.NAMESPACES, marks=needs_namespaces), Level.NONE])
def test_less_memory_may_be_asked_for_and_not_more(make_executor, make_run, home, memory, level):
    executor = make_executor(level=level)
    executor.prepare()
    less, more = make_run("sleep"), make_run("sleep", "run_2")

    executor.submit("run_1", less, asking(2.0))
    executor.submit("run_2", more, asking(1000.0))

    found = ready(less), ready(more)
    if enforced_by_rlimit(home, "run_1"):
        assert tuple(memory_limit(each) // 1024 for each in found) == (2_000_000_000 // 1024, memory.limit // 1024)


@needs_namespaces
def test_a_spare_with_another_limit_than_the_machine_sets_now_is_not_used(make_executor, make_run, home, memory):
    executor = make_executor()
    executor.prepare()
    spare = spare_of(home)
    memory.total = 8 * GIB
    folder = make_run("sleep")

    executor.submit("run_1", folder, SPEC)

    assert serves(home, "run_1") != spare
    pid = ready(folder)
    if enforced_by_rlimit(home, "run_1"):
        assert memory_limit(pid) == memory.limit
