"""Disks for tests: small ones, and ones that cannot be written. They need the right to mount."""

import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def a_disk(folder, options="size=8m"):
    """Mount an empty disk on *folder*; skip the test where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_read_only(folder):
    """Let nothing be written on a disk any more."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
