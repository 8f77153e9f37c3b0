"""A short-lived program of ours that works on foreign bytes has what it was handed and nothing else, at every level."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from intramural.domain.confinement import Level
from intramural.errors import Refused, Unavailable
from intramural.walls.confined import adopt
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
    """Return what the program found, its walls, and where this side reached its run directory."""
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
        place = os.readlink(confined.run)
    return found, confined, place


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_it_reads_what_it_was_handed_and_reaches_nothing_else(library, world, level):
    found, _, _ = ask(library, world, level)

    assert len(found.pop("others")) == 3  # the two, and the listing's own
    assert found == {"read": "foreign bytes", "secret": False, "network": False, "own": True, "variables": ["GIVEN"]}


@pytest.mark.parametrize("level", list(Level))
def test_it_ends_with_the_block_and_leaves_nothing(library, world, level):
    _, confined, place = ask(library, world, level, "stay")

    soon_gone(confined)
    assert not confined.folder.exists()
    assert not (place.startswith("/dev/shm/") and Path(place).exists())  # where no namespace held it  # noqa: S108


STARTER = """
import json, os, sys, tempfile, time
from intramural.domain.confinement import Level
from intramural.walls.worker import worker
tempfile.tempdir = sys.argv[1]
with worker("foreign", environment={"PYTHONPATH": sys.argv[2]}, level=Level(sys.argv[3])) as confined:
    print(json.dumps([str(confined.folder), os.readlink(confined.run), confined.pid, confined.supervisor.pid]), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("does", ["stays", "ended"])
def test_it_ends_and_leaves_nothing_when_who_started_it_is_killed(library, tmp_path, level, does):
    (library / "foreign.py").write_text("import time; time.sleep(600)" if does == "stays" else "")
    command = [sys.executable, "-c", STARTER, str(tmp_path), str(library), level.value]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        try:
            folder, place, *numbers = json.loads(starter.stdout.readline())
            confined = adopt(Path(folder))
            if does == "ended":
                assert soon(lambda: not (Path(f"/proc/{numbers[0]}").exists()))
            assert confined.supervisor.is_alive()
        finally:
            starter.kill()

    assert soon(lambda: not confined.supervisor.is_alive())
    soon_gone(confined)
    assert not Path(folder).exists()
    assert not (place.startswith("/dev/shm/") and Path(place).exists())  # noqa: S108 - as above


def soon(condition):
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def soon_gone(confined):
    assert soon(lambda: not confined.is_alive())


def test_below_what_is_required_nothing_begins(library, tmp_path):
    with pytest.raises(Refused), worker("foreign", level=Level.NONE, required=Level.LANDLOCK):
        pytest.fail("it began")


def test_libraries_that_show_what_is_to_be_hidden_are_not_shown(library):
    with pytest.raises(Unavailable), worker("foreign", environment={"PYTHONPATH": str(library.parent)}, hidden=library):
        pytest.fail("it began")
