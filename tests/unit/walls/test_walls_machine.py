"""What a process within walls may have by default, of what the machine and its control groups have."""

import pytest

from intramural.domain.confinement import Limits
from intramural.walls.machine import Machine, memory_of_groups
from intramural.walls.swap import is_swap_on

MIB, GIB = 2**20, 2**30


@pytest.mark.parametrize(
    ("total", "given"),
    [
        (512 * MIB, 256 * MIB),
        (2 * GIB, 2 * GIB - 512 * MIB),
        (24 * GIB, 21 * GIB),
        (1024 * GIB, 1008 * GIB),
    ],
)
def test_a_part_of_the_memory_is_kept_back(total, given):
    assert Machine(total, 2).limits().memory_bytes == given


def test_by_default_every_limit_is_set():
    limits = Machine(24 * GIB, 2).limits()

    assert (limits.memory_bytes, limits.processors, limits.processes) == (21 * GIB, 2.0, 4096)


def test_less_may_be_asked_for_and_not_more():
    machine = Machine(24 * GIB, 2)

    assert machine.limits(Limits(memory_bytes=GIB, processors=0.5, processes=64)) == Limits(
        memory_bytes=GIB, processors=0.5, processes=64
    )
    assert machine.limits(Limits(memory_bytes=100 * GIB, processors=16)) == machine.limits()


def test_this_machine_has_memory_and_processors():
    machine = Machine.here()

    assert machine.memory_bytes > machine.limits().memory_bytes > 0
    assert machine.processors >= 1


MOUNTS = """\
30 20 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
31 20 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 20 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
"""


@pytest.fixture
def root(tmp_path):
    """A machine whose groups a test makes up."""

    def make(groups, mounts, files):
        for path, text in {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, **files}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return make


def test_the_group_of_version_2_and_those_above_it_count(root):
    here = "sys/fs/cgroup/unified"
    found = root(
        "0::/a/b\n",
        MOUNTS,
        {f"{here}/a/memory.max": "1000\n", f"{here}/a/b/memory.max": "max\n", f"{here}/other/memory.max": "1\n"},
    )

    assert list(memory_of_groups(found)) == [1000]


def test_a_group_of_version_1_counts(root):
    files = {"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2000\n", "sys/fs/cgroup/cpu/x/memory.limit_in_bytes": "1\n"}
    found = root("4:memory:/x\n1:cpu:/x\n0::/\n", MOUNTS, files)

    assert list(memory_of_groups(found)) == [2000]


def test_within_a_container_the_mount_shows_its_own_group(root):
    mounts = "30 20 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
    found = root("0::/docker/1\n", mounts, {"sys/fs/cgroup/memory.max": "3000\n"})

    assert list(memory_of_groups(found)) == [3000]


def test_a_machine_without_control_groups_has_no_such_limit(tmp_path):
    assert list(memory_of_groups(tmp_path)) == []


HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


@pytest.mark.parametrize(("listed", "on"), [(HEAD, False), (HEAD + "/swapfile file 2097148 0 -2\n", True), ("", False)])
def test_swap_is_on_where_the_kernel_lists_some(tmp_path, listed, on):
    (tmp_path / "swaps").write_text(listed)

    assert is_swap_on(tmp_path / "swaps") is on


def test_a_kernel_without_swap_has_no_list(tmp_path):
    assert not is_swap_on(tmp_path / "none")


def test_a_list_that_cannot_be_read_is_no_all_clear(tmp_path):
    assert is_swap_on(tmp_path)
