"""A short-lived program of ours that works on foreign bytes has what it was handed and nothing else, at every level."""

import json
import os
import time
from pathlib import Path

import pytest

from intramural.domain.confinement import Level
from intramural.errors import Refused, Unavailable
from intramural.walls.worker import worker

PROGRAM = """
import json, os, socket, sys, time
source, answer, secret = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
def tried(work):
    try: work()
    except OSError: return False
    return True
found = {
    "read": os.read(source, 64).decode(),
    "secret": tried(lambda: open(secret)),
    "network": tried(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[4])), 1)),
    "own": tried(lambda: open("made", "w")),
    "others": [each for each in os.listdir("/proc/self/fd") if int(each) > 2],
    "variables": sorted(set(os.environ) & {"SECRET", "GIVEN"}),
}
os.write(answer, json.dumps(found).encode())
os.close(answer)
if sys.argv[5] == "stay": time.sleep(600)
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A folder on Python's path with the program in it."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "foreign.py").write_text(PROGRAM)
    monkeypatch.setenv("SECRET", "of the shell")
    return folder


def ask(library, world, level, then="end"):
    """Return what the program found, how long it lived beyond the block, and the walls' folder."""
    source, given = os.pipe()
    told, answer = os.pipe()
    os.write(given, b"foreign bytes")
    secret = library.parent / "secret"
    secret.write_text("secret")
    words = [str(source), str(answer), str(secret), str(world["tcp"]), then]
    environment = {"PYTHONPATH": str(library), "GIVEN": "1"}
    with worker("foreign", words, environment=environment, pass_fds=(source, answer), level=level) as confined:
        for each in (source, answer, given):
            os.close(each)
        with open(told, "rb") as pipe:
            found = json.loads(pipe.read())
    return found, confined


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_it_reads_what_it_was_handed_and_reaches_nothing_else(library, world, level):
    found, _ = ask(library, world, level)

    assert len(found.pop("others")) == 3  # the two, and the listing's own
    assert found == {"read": "foreign bytes", "secret": False, "network": False, "own": True, "variables": ["GIVEN"]}


@pytest.mark.parametrize("level", list(Level))
def test_it_ends_with_the_block_and_leaves_nothing(library, world, level):
    before = set(Path("/dev/shm").iterdir())  # noqa: S108 - it is looked at

    _, confined = ask(library, world, level, "stay")

    until = time.monotonic() + 60
    while confined.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    assert not confined.is_alive()
    assert not confined.folder.exists()
    assert {each for each in Path("/dev/shm").iterdir() if each.name.startswith("intramural-")} <= before  # noqa: S108 - as above


def test_below_what_is_required_nothing_begins(library, tmp_path):
    with pytest.raises(Refused), worker("foreign", level=Level.NONE, required=Level.LANDLOCK):
        pytest.fail("it began")


def test_libraries_that_show_what_is_to_be_hidden_are_not_shown(library):
    with pytest.raises(Unavailable), worker("foreign", environment={"PYTHONPATH": str(library.parent)}, hidden=library):
        pytest.fail("it began")
