"""What is asked of a control group, whose files stand in for the kernel's."""

import pytest

from intramural.walls.cgroup import Group

FILES = {"memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"}


@pytest.fixture
def group(tmp_path):
    def make(*names):
        for each in names:
            (tmp_path / each).touch()
        return Group(str(tmp_path))

    return make


def test_every_limit_is_set(group, tmp_path):
    kept = group(*FILES).limit(2**30, 64, 1.5)

    assert kept == {"memory", "swap", "processes", "processors"}
    assert {name: (tmp_path / name).read_text() for name in FILES} == {
        "memory.max": str(2**30),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "64",
        "cpu.max": "150000 100000",
    }


def test_nothing_is_swapped_where_memory_is_not_limited_either(group, tmp_path):
    assert group("memory.max", "memory.swap.max").limit(None, 64, None) == {"swap"}
    assert (tmp_path / "memory.swap.max").read_text() == "0"


def test_what_the_machine_does_not_delegate_is_not_claimed(group):
    assert group("pids.max").limit(2**30, 64, 2.0) == {"processes"}
    assert Group(None).limit(2**30, 64, 2.0) == set()
