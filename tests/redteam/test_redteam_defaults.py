"""What a run may use when its job asks for no limit: the bombs, set off through the executor as every run is started."""

import json
import os
import sys
from pathlib import Path

import pytest

from intramural.domain.confinement import Confinement, Level
from intramural.walls.launch import launch
from intramural.walls.receipts import read_receipt
from redteam.conftest import HERE

GIB = 2**30
BOMBS = {"bomb_bytes": GIB + GIB // 2, "bomb_processes": 480}
"""More than half of the smaller machine, less than half of the larger one; with `threads`, more than a run may have."""


def run(attacker, name, level, *, warm, machine_bytes, names):
    place = Path(attacker.world["scratch"]) / f"defaults-{name}-{level}"
    place.mkdir()
    asked = {"level": level, "warm": warm, "machine_bytes": machine_bytes, "names": names, "world": BOMBS, "threads": 4000}
    (place / "asked.json").write_text(json.dumps(asked))
    for each in (place, place / "asked.json"):
        os.chown(each, attacker.uid, attacker.uid)
    done = attacker.run([sys.executable, str(HERE / "drive_defaults.py"), str(place), str(place / "asked.json")])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["by_spare"] is warm
    return said


def assert_stopped(said, name):
    """It failed inside, or the whole run was ended over it."""
    assert said["found"].get(name) != "reached"
    assert name in said["found"] or said["status"]["signal"] == 9, said


@pytest.mark.parametrize(("level", "warm"), [("namespaces", True), ("landlock", False)])
def test_no_bomb_goes_off_in_a_run_that_asked_for_no_limit(attacker, level, warm):
    said = run(attacker, "bombs", level, warm=warm, machine_bytes=2 * GIB, names=["fork_bomb", "memory_bomb"])

    assert_stopped(said, "memory_bomb")
    if said["limits"]["processes"] == "nothing":
        assert (level, attacker.uid) == ("landlock", 0)
    else:
        assert_stopped(said, "fork_bomb")
    assert said["limits"]["memory"] in {"cgroup", "rlimit"}
    assert said["limits"]["processors"] in {"cgroup", "nothing"}
    assert said["limits"]["swap"] in {"cgroup", "machine", "nothing"}
    assert said["ended_first"] == "1000"


def test_a_run_started_cold_has_the_same_limit(attacker):
    said = run(attacker, "cold", "namespaces", warm=False, machine_bytes=2 * GIB, names=["memory_bomb"])

    assert_stopped(said, "memory_bomb")


def test_a_run_without_walls_has_a_limit_on_memory_too(attacker):
    said = run(attacker, "none", "none", warm=False, machine_bytes=2 * GIB, names=["memory_bomb"])

    assert_stopped(said, "memory_bomb")
    assert said["limits"] is None


@pytest.mark.parametrize(("level", "warm"), [("namespaces", True), ("landlock", False), ("none", False)])
def test_on_a_larger_machine_a_run_has_the_memory(attacker, level, warm):
    """The same bomb goes off: it was the limit that stopped it."""
    said = run(attacker, "larger", level, warm=warm, machine_bytes=8 * GIB, names=["memory_bomb"])

    assert said["found"] == {"memory_bomb": "reached"}


HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize(("listed", "kept"), [("", "machine"), ("/swapfile file 2097148 0 -2\n", "nothing")])
def test_a_receipt_says_what_keeps_memory_out_of_swap(tmp_path, level, listed, kept):
    (tmp_path / "swaps").write_text(HEAD + listed)
    for each in ("run", "walls"):
        (tmp_path / each).mkdir()
    wish = Confinement(run_directory=str(tmp_path / "run"), required=Level.NONE)

    confined = launch(["/bin/true"], wish, folder=tmp_path / "walls", level=level, swaps=tmp_path / "swaps")
    try:
        assert confined.wait(60)
    finally:
        confined.close()

    limits = read_receipt(tmp_path / "walls").limits
    assert limits["swap"] in {"cgroup", kept}
    assert {"memory", "processes", "processors"} <= set(limits)
