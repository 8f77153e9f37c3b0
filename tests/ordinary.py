"""
An ordinary user, for tests that the administrator runs: a user without an account, who owns one folder.

Whoever is no administrator is that user already, and the tests run once.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from intramural.walls.launch import python_view

ORDINARY = 54_322
EVERYBODY = ["as_root", "as_ordinary_user"]
"""What a test is given that each of them must pass."""
SKIPPED_BY_OTHERS = pytest.mark.skipif(os.getuid() != 0, reason="all tests of this user's run as an ordinary one")
PATIENCE_SECONDS = 1800
"""A machine that has much else to do needs many times what a quiet one does."""
TESTS = Path(__file__).parent


def uid_of(who):
    """Return the number of *who*, one of `EVERYBODY`; skip the test where it cannot be had."""
    if who == "as_root" and os.getuid() != 0:
        pytest.skip("not the administrator")
    return ORDINARY if who == "as_ordinary_user" and os.getuid() == 0 else os.getuid()


def become(uid):
    """Return the words that make a command run as *uid*: none for who this is."""
    if uid == os.getuid():
        return []
    shown = ",".join([*python_view(), str(TESTS.parent)])
    return [sys.executable, str(TESTS / "redteam" / "as_user.py"), str(uid), shown]


@contextmanager
def own_folder(uid):
    """Make a folder that only *uid* enters, and whose path is open to that user."""
    with tempfile.TemporaryDirectory(prefix="ordinary-") as place:
        Path(place).chmod(0o711)
        folder = Path(place) / "own"
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, uid)
        yield folder


def run_as(uid, folder, command, **environment):
    """Run a command as *uid*, at home and with its scratch in *folder*; return what it printed."""
    return subprocess.run(
        [*become(uid), *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder), **environment},
        timeout=PATIENCE_SECONDS - 60,
    )


def run_tests(file, only="", **environment):
    """Run the tests of *file* whose names match *only* as an ordinary user; all must pass, and none be skipped."""
    chosen = ["-k", only] if only else []
    with own_folder(ORDINARY) as folder:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={TESTS.parent}"]
        command += ["-c", TESTS.parent / "pyproject.toml", f"--basetemp={folder}/pytest", *chosen, file]
        done = run_as(ORDINARY, folder, command, **environment)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout, done.stdout
