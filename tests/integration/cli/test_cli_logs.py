"""`intramural logs` of a run that logged nothing: a person is told, a pipe is not."""

import os
import pty
import select
import subprocess
import sys

import pytest

from intramural.cli.main import run


def logs_on_a_terminal(*options):
    """Call `logs` with a terminal for standard error; return what came out of both streams."""
    above, terminal = pty.openpty()
    try:
        command = [sys.executable, "-m", "intramural.cli.main", "logs", "router", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, check=True, timeout=120)
        said = select.select([above], [], [], 0)[0]  # it has ended: what it said is there
        return done.stdout, os.read(above, 4096).decode() if said else ""
    finally:
        os.close(terminal)
        os.close(above)


@pytest.mark.parametrize("options", [[], ["-f"]])
def test_a_person_is_told_that_nothing_was_logged_and_the_pipe_stays_empty(home, options):
    out, told = logs_on_a_terminal(*options)

    assert out == b""
    assert told.strip() == "Nothing was logged; `intramural watch router` shows progress."


def test_off_a_terminal_and_with_json_nothing_is_added(home, document, capsys):
    capsys.readouterr()
    assert run(["logs", "router"]) == 0

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert document("logs", "router") == {"job": "router", "text": ""}
