"""The traps of a start: a gate that fails open, descriptors left open, a supervisor or a starter that dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chance import seeded
from intramural.domain.confinement import Confinement, Level, Limits
from intramural.errors import Conflict, InvalidInput, NotFound, Refused, Unavailable
from intramural.walls.confined import adopt
from intramural.walls.launch import launch
from intramural.walls.receipts import read_receipt

REPEATS = 20
LEVELS = [Level.NAMESPACES, Level.LANDLOCK]
ANY = Confinement(required=Level.NONE)
UNIQUE = f"4321.{os.getpid()}"
"""Seconds that no other process of this machine sleeps, those of the same tests by another user included."""


@pytest.fixture
def start(tmp_path):
    """Start processes in run directories of this machine, and end what is left of them."""
    started = []

    def one(script, level=Level.NAMESPACES, *, output=None, wish=ANY, **options):
        folder = tmp_path / f"supervised-{len(started)}"
        run = folder / "run"
        run.mkdir(parents=True)
        wish = wish.model_copy(update={"run_directory": str(run)})
        confined = launch(["/bin/sh", "-c", script], wish, folder=folder, level=level, output=output, **options)
        started.append(confined)
        return confined

    yield one
    for each in started:
        each.close()


@pytest.fixture
def pause():
    """Wait for a moment of random length."""
    chance = seeded()
    return lambda: time.sleep(chance.uniform(0, 0.03))


def soon(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


@pytest.mark.parametrize("level", LEVELS)
def test_a_process_whose_supervisor_dies_at_the_gate_never_begins(start, pause, level):
    for _ in range(REPEATS):
        held = start("echo begun > mark; sleep 60", level, hold=True)
        pause()
        held.supervisor.send(signal.SIGKILL)

        assert soon(lambda held=held: not held.job.is_alive() and not held.first.is_alive())
        assert not (held.run / "mark").exists()


@pytest.mark.parametrize("level", LEVELS)
def test_a_process_dies_with_its_supervisor(start, pause, level):
    for _ in range(REPEATS):
        running = start("echo begun > mark; exec sleep 60", level)
        pause()
        running.supervisor.send(signal.SIGKILL)

        assert soon(lambda running=running: not running.job.is_alive() and not running.first.is_alive())


def test_all_descendants_die_with_the_supervisor_in_a_namespace(start):
    running = start(f"sleep {UNIQUE} & setsid sleep {UNIQUE} & echo $! > mark; wait")
    assert soon((running.run / "mark").exists)

    running.supervisor.send(signal.SIGKILL)

    assert soon(lambda: UNIQUE.encode() not in b"".join(_command_lines()))


@pytest.mark.parametrize("level", LEVELS)
def test_no_descendant_outlives_the_end_of_the_process(start, level):
    running = start(f"setsid sleep {UNIQUE} & sleep 0.05", level)

    assert running.wait(60)
    assert soon(lambda: UNIQUE.encode() not in b"".join(_command_lines()))
    assert read_receipt(running.folder).complete


def _command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        yield line if b"\0sleep\0" in b"\0" + line and b"-c" not in line else b""


STARTER = """
import os, sys
from pathlib import Path
from intramural.domain.confinement import Confinement, Level, Limits
from intramural.walls.launch import launch
folder = Path(sys.argv[1])
wish = Confinement(run_directory=str(folder / "run"))
script = "echo begun > mark; sleep 0.2; echo done >> mark"
launch(["/bin/sh", "-c", script], wish, folder=folder, level=Level.NAMESPACES, hold=sys.argv[2] == "hold")
os._exit(0)
"""


@pytest.mark.parametrize(("hold", "result"), [("hold", None), ("go", "begun\ndone\n")])
def test_a_run_outlives_its_starter_once_released_and_never_begins_otherwise(tmp_path, hold, result):
    (tmp_path / "run").mkdir()
    subprocess.run([sys.executable, "-c", STARTER, str(tmp_path), hold], check=True)

    found = adopt(tmp_path)

    assert found.wait(60)
    mark = tmp_path / "run" / "mark"
    assert (mark.read_text() if mark.exists() else None) == result
    assert read_receipt(tmp_path).exit_code == (137 if hold == "hold" else 0)


def test_what_is_in_memory_is_gone_only_when_it_is_let_go(tmp_path):
    confined = launch(["/bin/sh", "-c", "echo made > made"], Confinement(), folder=tmp_path, level=Level.NAMESPACES, hold=True)
    (confined.run / "given").write_text("given")
    confined.release()

    assert confined.wait(60)
    assert adopt(tmp_path).run.joinpath("made").read_text() == "made\n"

    confined.close()

    assert soon(lambda: not confined.supervisor.is_alive())
    with pytest.raises((FileNotFoundError, PermissionError)):  # the latter while nobody has buried the supervisor
        (confined.run / "made").stat()


@pytest.mark.parametrize("level", [*LEVELS, Level.NONE])
def test_only_named_descriptors_come_along(start, tmp_path, level):
    named, kept = os.pipe()
    hidden = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(hidden, True)
    with open(tmp_path / "said", "w+") as said:
        running = start(
            "echo /proc/self/fd/*; exec cat /proc/self/fd/$NAMED",
            level,
            output=said.fileno(),
            pass_fds=[named],
            environment={"NAMED": str(named)},
        )
        os.write(kept, b"through")
        os.close(kept)

        assert running.wait(60)
        said.seek(0)
        text = said.read()
    os.close(named)
    os.close(hidden)
    assert text.endswith("through")
    listed = [int(each.rpartition("/")[2]) for each in text.split() if each.rpartition("/")[2].isdigit()]
    assert set(listed) - {0, 1, 2, named} <= {3}  # the listing's own


def test_an_open_folder_is_not_passed(start, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(InvalidInput):
        start("true", pass_fds=[folder])
    os.close(folder)


def test_the_environment_is_what_was_given_and_stays_out_of_command_lines(start, tmp_path):
    with open(tmp_path / "said", "w+") as said:
        running = start(
            "env; while ! test -e seen; do sleep 0.01; done", output=said.fileno(), environment={"MINE": "canary-e1"}
        )
        numbers = (running.pid, running.first.pid, running.supervisor.pid)
        lines = b"".join(Path(f"/proc/{each}/cmdline").read_bytes() for each in numbers)
        (running.run / "seen").touch()

        assert running.wait(60)
        said.seek(0)
        names = {line.partition("=")[0] for line in said.read().splitlines()}
    assert b"canary-e1" not in lines
    proxies = {each for each in names if each.lower().endswith("_proxy")}
    assert names - proxies == {"MINE", "HOME", "TMPDIR", "PATH", "PWD"}


def test_signals_reach_the_process(start):
    running = start("trap 'echo asked > mark; exit 3' USR1; echo > ready; while :; do sleep 0.01; done")
    assert soon((running.run / "ready").exists)

    assert running.send(signal.SIGUSR1)

    assert running.wait(60)
    assert (running.run / "mark").read_text() == "asked\n"
    assert read_receipt(running.folder).exit_code == 3
    assert not running.send(signal.SIGUSR1)


def test_a_kill_leaves_a_finished_receipt(start):
    running = start("sleep 60")

    assert running.kill()
    assert running.wait(60)
    receipt = read_receipt(running.folder)
    assert (receipt.complete, receipt.exit_code, receipt.level) == (True, 137, Level.NAMESPACES)


def test_a_folder_starts_one_process(start):
    running = start("true")
    with pytest.raises(Conflict):
        launch(["/bin/true"], ANY, folder=running.folder, level=Level.NAMESPACES)


def test_nothing_is_started_below_the_required_level(tmp_path):
    with pytest.raises(Refused):
        launch(["/bin/true"], Confinement(), folder=tmp_path, level=Level.LANDLOCK)
    with pytest.raises(NotFound):
        adopt(tmp_path)


def test_a_state_names_its_processes(start):
    running = start("sleep 1")
    state = json.loads((running.folder / "walls.json").read_text())

    assert state["job"]["pid"] == running.pid
    assert state["level"] == "namespaces"
    assert adopt(running.folder) == running


@pytest.mark.parametrize("level", [*LEVELS, Level.NONE])
def test_what_a_process_prints_is_kept_up_to_its_limit(start, tmp_path, level):
    wish = ANY.model_copy(update={"limits": Limits(output_bytes=100_000)})
    with open(tmp_path / "said", "wb") as said:
        running = start("head -c 1000000 /dev/zero; echo end >&2; exit 4", level, output=said.fileno(), wish=wish)
        assert running.wait(60)

    assert (tmp_path / "said").stat().st_size == 100_000
    assert read_receipt(running.folder).exit_code == 4


SPARE = "read -r name <&0; . ./$name"
"""A stand-in for a program that has loaded its libraries and waits to hear which work is its own."""


def test_a_spare_is_started_before_its_work_is_known(start, pause):
    hear, tell = os.pipe()
    spare = start(f"exec 0</proc/self/fd/{hear}; {SPARE}", pass_fds=[hear])
    os.close(hear)
    pause()

    (spare.run / "work").write_text("echo worked > result")
    os.write(tell, b"work\n")
    os.close(tell)

    assert spare.wait(60)
    assert (spare.run / "result").read_text() == "worked\n"


def test_a_spare_whose_owner_dies_ends(start):
    hear, tell = os.pipe()
    spare = start(f"exec 0</proc/self/fd/{hear}; read -r name || exit 9", pass_fds=[hear])
    os.close(hear)

    os.close(tell)

    assert spare.wait(60)
    assert read_receipt(spare.folder).exit_code == 9


def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path):
    before = set(os.listdir("/proc/self/fd"))
    wish = ANY.model_copy(update={"read_only": (str(tmp_path / "absent"),)})

    with pytest.raises(Unavailable, match="absent"):
        launch(["/bin/true"], wish, folder=tmp_path, level=Level.NAMESPACES)

    assert not (tmp_path / "walls.json").exists()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_program_that_is_not_there_ends_as_a_shell_tells_it(start):
    running = start("no-such-program")

    assert running.wait(60)
    assert read_receipt(running.folder).exit_code == 127
