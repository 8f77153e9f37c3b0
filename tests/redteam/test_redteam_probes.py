"""What a hostile job tries must work outside the walls and fail inside, whoever runs the platform, time and again."""

import errno

import pytest

from redteam import probes
from redteam.conftest import AT_ONCE

REPEATS = 20
"""Some side by side: most of the time they wait, at random, and two that start at once are in each other's way."""
QUICK = [name for name in probes.ALL if name not in probes.TOO_MUCH]
FOR_ROOT = {
    "raw_socket",
    "packet_socket",
    "shadow",
    "system_program",
    "kernel_setting",
    "magic_key",
    "handle",
    "new_root",
    "kernel_programs",
}
"""An ordinary user can do none of these outside either."""
NOT_EVERYWHERE = {
    "terminal",
    "magic_key",
    "vsock",
    "bluetooth_and_others",
    "io_uring",
    "performance_events",
    "user_faults",
    "ipv6",
    "hard_link",
}
"""A machine may forbid these to all; where it does not, they must work outside."""


@pytest.fixture(scope="session")
def outside(attacker):
    """What works without walls."""
    [found] = attacker.attack("outside", QUICK)
    return found["found"]


def test_every_probe_works_without_walls(attacker, outside):
    """A check that cannot fail is no check."""
    excused = NOT_EVERYWHERE | (set() if attacker.uid == 0 else FOR_ROOT)

    assert {name: said for name, said in outside.items() if said != "reached" and name not in excused} == {}


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_nothing_is_reached_from_inside(attacker, level):
    rounds = attacker.attack(level, QUICK, REPEATS // AT_ONCE, at_once=AT_ONCE)

    open_doors = [{name: said for name, said in each["found"].items() if said == "reached"} for each in rounds]
    assert open_doors == [{}] * REPEATS
    assert all(len(each["found"]) == len(QUICK) and each["complete"] and each["by"] == attacker.uid for each in rounds)


LITTLE = {"memory_bytes": 96 * 2**20, "processes": 64, "scratch_bytes": 8 * 2**20}


def test_every_bomb_works_without_walls(attacker):
    [found] = attacker.attack("outside", probes.TOO_MUCH)

    assert set(found["found"].values()) == {"reached"}


def test_no_bomb_goes_off_inside(attacker):
    rounds = attacker.attack("namespaces", probes.TOO_MUCH, 2, in_memory=True, **LITTLE)

    for each in rounds:
        unlimited = {name for name, by in each["limits"].items() if by == "nothing"}
        survived = {name for name, said in each["found"].items() if said == "reached"}
        assert survived == ({"fork_bomb"} if "processes" in unlimited else set())


def test_a_file_in_a_run_directory_of_this_machine_has_a_largest_size(attacker):
    [found] = attacker.attack("namespaces", ["fill_run_directory"], file_bytes=8 * 2**20)

    assert found["found"] == {"fill_run_directory": f"OSError {errno.EFBIG}"}
