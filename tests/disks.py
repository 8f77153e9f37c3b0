"""Disks for tests: small ones, and ones that cannot be written. They need the right to mount."""

import ctypes
import subprocess
from contextlib import contextmanager
from functools import cache

import pytest

NEW_MOUNTS = 0x00020000
"""CLONE_NEWNS of unshare(2)."""


@cache
def own_mounts():
    """Give this process mounts of its own, so that a test that is killed leaves none behind; tell whether that went."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS):
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode == 0


@contextmanager
def a_disk(folder, options="size=8m"):
    """Mount an empty disk on *folder*; skip the test where that is not allowed."""
    if not own_mounts():
        pytest.skip("no right to mount a disk")
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
