"""Ctrl-C at any moment of a command: it ends soon, with 130 and one word, and leaves nothing half done."""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cli_world import chat, write_rows

from intramural.intake.crew import Team
from intramural.intake.findings.screen import Screening
from intramural.intake.reading import ReadAs
from intramural.intake.worker import Orders

LONG = 600
"""Seconds that nothing here takes unless it hangs."""
ADDING = Path(__file__).parent / "interrupted_adding.py"
WHOLE = """
import os, signal, sys, threading, time
from intramural.cli import interrupts

def press():
    os.kill(os.getpid(), signal.SIGINT)

def work():
{work}

sys.exit(interrupts.met(work, longest_seconds={longest}))
"""


def ended(tmp_path, work, longest=LONG):
    """Run a process whose work is the lines *work*; return its exit code and what it said."""
    lines = "\n".join(f"    {line}" for line in work.strip("\n").splitlines())
    (tmp_path / "a_command.py").write_text(WHOLE.format(work=lines, longest=longest))
    command = [sys.executable, "-m", "a_command"]  # as a command is run; where a script is, Python differs
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, cwd=tmp_path, check=False)
    return done.returncode, done.stdout.split(), done.stderr


INTERRUPTED = "Interrupted.\n"


def test_in_the_middle_of_an_import_it_leaves_no_lock_held(tmp_path):
    work = """
def hit(frame, event, function):
    if event == "c_return" and function.__name__ == "acquire_lock":
        sys.setprofile(None)
        press()
try:
    sys.setprofile(hit)
    import wave
    time.sleep(100)
finally:
    other = threading.Thread(target=__import__, args=("colorsys",), daemon=True)
    other.start()
    other.join(60)
    print("held" if other.is_alive() else "free")
"""
    assert ended(tmp_path, work) == (130, ["free"], INTERRUPTED)


def test_where_it_is_lost_it_is_raised_again(tmp_path):
    work = """
try:
    press()
    time.sleep(0)
except BaseException:
    pass  # as pydantic's check of an instance does
print("lost")
time.sleep(100)
"""
    assert ended(tmp_path, work) == (130, ["lost"], INTERRUPTED)


def test_pressed_again_while_it_is_noted_and_lost_then_it_is_raised_again(tmp_path):
    work = """
def hit(frame, event, function):
    if event == "c_call" and function.__name__ in {"monotonic", "start_new_thread"}:
        press()
sys.setprofile(hit)
try:
    press()
    time.sleep(0)
except BaseException:
    pass
sys.setprofile(None)
time.sleep(100)
"""
    assert ended(tmp_path, work) == (130, [], INTERRUPTED)


def test_pressed_again_it_does_not_disturb_what_cleans_up(tmp_path):
    work = """
try:
    press()
    time.sleep(100)
finally:
    for _ in range(5):
        press()
        time.sleep(0.05)
    print("clean")
"""
    assert ended(tmp_path, work) == (130, ["clean"], INTERRUPTED)


def test_a_block_is_entered_and_left_wholly(tmp_path):
    work = """
class Block:
    def __enter__(self):
        print("enters")
        press()
        time.sleep(0.1)
        print("entered")
    def __exit__(self, *_):
        print("leaves")
        press()
        time.sleep(0.1)
        print("left")
with Block():
    time.sleep(100)
"""
    assert ended(tmp_path, work) == (130, ["enters", "entered", "leaves", "left"], INTERRUPTED)


def test_a_read_that_waits_is_broken_off_though_it_began_after(tmp_path):
    work = """
class Block:
    def __enter__(self):
        press()
    def __exit__(self, *_):
        print("left")
out, into = os.pipe()
later = threading.Timer(100, os.close, [into])
later.daemon = True
later.start()
with Block(), open(out, "rb") as waits:
    waits.readline()
    print("read")
"""
    assert ended(tmp_path, work, longest=60) == (130, ["left"], INTERRUPTED)


def test_an_error_that_it_caused_is_not_told(tmp_path):
    work = """
try:
    press()
    time.sleep(100)
finally:
    raise ValueError("generator already executing")
"""
    assert ended(tmp_path, work) == (130, [], INTERRUPTED)


def test_an_exec_of_text_that_it_leaves_does_not_end_the_process_as_if_killed(tmp_path):
    work = """
exec("press(); time.sleep(100)")
"""
    assert ended(tmp_path, work) == (130, [], INTERRUPTED)


def test_what_hangs_is_ended(tmp_path):
    work = """
try:
    press()
    time.sleep(100)
finally:
    print("hangs", flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGALRM])
    time.sleep(100)
"""
    assert ended(tmp_path, work, longest=0.5) == (130, ["hangs"], INTERRUPTED)


def test_at_the_very_end_it_changes_nothing(tmp_path):
    work = """
import atexit
atexit.register(lambda: [press() or time.sleep(0.03) for _ in range(5)])
return 3
"""
    assert ended(tmp_path, work) == (3, [], "")
    assert ended(tmp_path, work.replace("return 3", "press(); time.sleep(100)")) == (130, [], INTERRUPTED)


def test_an_error_of_its_own_is_told_as_ever(tmp_path):
    code, _, said = ended(tmp_path, "raise ValueError('of its own')")

    assert (code, said.splitlines()[-1]) == (1, "ValueError: of its own")


def test_a_start_that_was_under_way_is_ended_once_it_is_there():
    begun, interrupted, go, over = (threading.Event() for _ in range(4))

    @contextmanager
    def start(module, arguments, *, pass_fds, read_only):
        begun.set()
        go.wait(LONG)
        try:
            yield
        finally:
            over.set()

    def press():
        begun.wait(LONG)
        os.kill(os.getpid(), signal.SIGINT)
        interrupted.wait(LONG)
        time.sleep(0.2)
        go.set()

    def wait_for_it():
        with Team(start, size=1, end_seconds=LONG) as team:
            try:
                person.start()
                team.members[0].order(Orders(ReadAs(), Screening()))
            finally:
                interrupted.set()

    person = threading.Thread(target=press)
    with pytest.raises(KeyboardInterrupt):
        wait_for_it()
    person.join(LONG)

    assert over.is_set()


def test_a_start_that_does_not_return_keeps_nobody_waiting():
    go = threading.Event()

    @contextmanager
    def start(module, arguments, *, pass_fds, read_only):
        go.wait(LONG)
        yield

    began = time.monotonic()
    with Team(start, size=2, end_seconds=0.1):
        pass
    go.set()

    assert time.monotonic() - began < LONG / 2


@pytest.mark.parametrize("pressed", ["once", "on"])
def test_at_every_moment_of_the_reading_it_leaves_nothing(tmp_path, pressed):
    file = tmp_path / "rows.jsonl"
    write_rows(file, [chat(n) for n in range(12_000)])
    (tmp_path / "home").mkdir(mode=0o700)
    command = [sys.executable, ADDING, file, tmp_path / "home", pressed]

    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)

    *pressed_at, whole = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, whole) == (0, {"code": 0, "left": [".lock"], "is_pressed": False})
    assert len(pressed_at) > 10
    assert all(each["left"] == [".lock"] for each in pressed_at)
    # Pressed when the last reader has said its last, there may be nothing left to interrupt.
    assert {each["code"] for each in pressed_at[:-4]} == {130}
    assert set(done.stderr.splitlines()) == {"Interrupted."}


READY = """
import sys
from intramural.cli import interrupts, main

def work():
    print("ready", flush=True)
    return main.run(sys.argv[1:])

sys.exit(interrupts.met(work))
"""


@pytest.fixture
def adding(tmp_path, monkeypatch):
    """Start `data add` of some megabytes in a process group of its own; return once Ctrl-C is met."""
    monkeypatch.setenv("INTRAMURAL_HOME", str(tmp_path / "home"))
    write_rows(tmp_path / "rows.jsonl", [chat(n) for n in range(40_000)])
    started = []

    def start(name):
        command = [sys.executable, "-c", READY, "data", "add", str(tmp_path / "rows.jsonl"), "--name", name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_pressed_at_random_it_ends_and_leaves_a_home_that_takes_the_same_rows(adding, tmp_path, document):
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    began = time.monotonic()
    whole = adding("whole")
    whole.communicate(timeout=LONG)
    assert whole.returncode == 0
    takes = time.monotonic() - began

    for number in range(6):
        process = adding(f"tickets-{number}")
        time.sleep(chance.uniform(0, takes))
        for _ in range(chance.choice([1, 2, 3])):
            # As a terminal does, which tells the whole group; or as a program that tells this process.
            with suppress(ProcessLookupError):  # it has ended
                os.killpg(process.pid, signal.SIGINT) if chance.random() < 0.5 else process.send_signal(signal.SIGINT)
            time.sleep(chance.choice([0, 0.1]))
        out, said = process.communicate(timeout=LONG)
        ending = (process.returncode, said.strip().splitlines()[-1:])
        # Python itself is killed by one that comes in its last moments, when the answer has been given.
        assert ending == (130, ["Interrupted."]) or (process.returncode in {0, -signal.SIGINT} and "training" in out)
        assert "Traceback" not in said
        assert [each.name for each in (tmp_path / "home").glob("work/*") if each.name != ".lock"] == []

    assert document("data", "add", str(tmp_path / "rows.jsonl"), "--name", "whole")["version"] == 1
    document("audit", "verify")
