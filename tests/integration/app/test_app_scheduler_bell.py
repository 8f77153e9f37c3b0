"""Waking a scheduler: one that was killed holds its bell until it is quite gone, and does not hear it."""

import os
import threading

import pytest

from intramural.app import scheduler


@pytest.fixture
def started(monkeypatch):
    """The command lines of schedulers that were started; none is."""
    commands = []

    class Started:
        def __init__(self, command, **_):
            commands.append(command)

        def wait(self):
            return 0

    monkeypatch.setattr(scheduler.subprocess, "Popen", Started)
    return commands


def listen(home):
    os.mkfifo(home / scheduler.BELL)
    return os.open(home / scheduler.BELL, os.O_RDWR | os.O_NONBLOCK)


def test_where_the_listener_dies_without_hearing_another_is_started(tmp_path, started):
    dying = threading.Timer(0.3, os.close, [listen(tmp_path)])
    dying.start()

    scheduler.ensure_scheduler(tmp_path)

    dying.join()
    assert len(started) == 1


def test_a_listener_that_is_busy_for_long_is_left_to_hear_it_later(tmp_path, started):
    bell = listen(tmp_path)

    scheduler.ensure_scheduler(tmp_path)

    assert started == []
    assert os.read(bell, 9) == b"j"
    os.close(bell)
