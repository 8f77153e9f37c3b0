"""Ctrl-C is obeyed though it comes where a library loses it, and twice at once where nothing pauses."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from intramural.cli.follow import follow
from intramural.cli.interrupts import interruptible
from intramural.domain.job import JobState


class Losing:
    """A client in whose middle Ctrl-C comes, and in which every exception is lost."""

    def job_events(self, job_id, *, after, limit):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)
        except BaseException:  # noqa: S110 - as pydantic's check of an instance does
            pass
        return []

    def explain_job(self, job_id):
        return SimpleNamespace(state=JobState.RUNNING, summary="runs", waiting_since=None)


def test_an_interrupt_that_a_library_would_lose_ends_the_following():
    with pytest.raises(KeyboardInterrupt):
        follow(Losing(), "job", show=print, idle=print)

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_pause_ends_as_soon_as_it_is_interrupted():
    began = time.monotonic()
    soon = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT])

    def wait():
        with interruptible() as pause:
            soon.start()
            pause(500)

    with pytest.raises(KeyboardInterrupt):
        wait()

    assert time.monotonic() - began < 300


def test_pressed_twice_it_waits_for_no_pause():
    def press_twice():
        with interruptible():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_a_command_that_was_started_to_ignore_it_goes_on_ignoring_it():
    code = (
        "import os, signal\n"
        "from intramural.cli.interrupts import interruptible\n"
        "with interruptible() as pause:\n"
        "    os.kill(os.getpid(), signal.SIGINT); pause(0.01); print('went on')"
    )
    ignoring = f"trap '' INT; exec {sys.executable} -c \"$0\""

    done = subprocess.run(["/bin/sh", "-c", ignoring, code], capture_output=True, text=True, check=True)

    assert done.stdout == "went on\n"
