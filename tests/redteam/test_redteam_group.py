"""A run's processes are limited together where the machine delegates that; which it does is found out, not guessed."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from intramural.domain.confinement import Confinement, Level, Limits
from intramural.walls import cgroup
from intramural.walls.launch import launch
from intramural.walls.receipts import read_receipt

PLACE = """
import sys; from intramural.walls import cgroup
print(cgroup.place_for((sys.argv[1],)))
"""
JOIN = 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"'


@pytest.fixture
def service():
    """A group of its own with another in it, as a service manager makes them, and a controller that they may hand down."""
    root = next((Path(each) for each in cgroup._places()), None)
    if root is None or os.getuid() != 0:
        pytest.skip("no group of version 2 may be made here")
    free = set((root / "cgroup.controllers").read_text().split())
    if not free:
        pytest.skip("this machine has no controller of version 2")
    name = min(free & set(cgroup.CONTROLLERS) or free)
    above = root / f"redteam-{os.getpid()}"
    (above / "service").mkdir(parents=True)
    before = (root / "cgroup.subtree_control").read_text().split()
    try:
        (root / "cgroup.subtree_control").write_text(f"+{name}")
        yield above, name
    finally:
        for each in (above / "service", above):
            with contextlib.suppress(OSError):
                each.rmdir()
        if name not in before:
            (root / "cgroup.subtree_control").write_text(f"-{name}")


def test_from_a_group_that_holds_processes_a_run_goes_into_the_one_above(service):
    above, name = service

    said = subprocess.run(
        ["/bin/sh", "-c", JOIN, "sh", str(above / "service"), sys.executable, "-c", PLACE, name],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert said.stdout.strip() == str(above)
    assert name in (above / "cgroup.subtree_control").read_text().split()
    assert name not in (above / "service" / "cgroup.subtree_control").read_text().split()


BOMB = """
import os
left = [bytes(32 * 2**20) for _ in range(2)]
if os.fork() == 0:
    more = [b"x" * (32 * 2**20) for _ in range(4)]
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]) and 1)
"""


def test_memory_of_all_processes_of_a_run_is_limited_together(tmp_path):
    if cgroup.place_for(("memory",)) is None or not _has("memory"):
        pytest.skip("this machine delegates no memory controller of version 2")
    wish = Confinement(limits=Limits(memory_bytes=128 * 2**20), read_only=(sys.prefix, sys.base_prefix))
    confined = launch([sys.executable, "-c", BOMB], wish, folder=tmp_path, level=Level.NAMESPACES)
    assert confined.wait(20)
    confined.close()

    receipt = read_receipt(tmp_path)

    assert receipt.limits["memory"] == "cgroup"
    assert receipt.exit_code != 0


def _has(controller):
    place = cgroup.place_for((controller,))
    return controller in Path(f"{place}/cgroup.subtree_control").read_text().split()
