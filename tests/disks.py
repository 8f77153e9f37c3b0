"""Disks for tests: small ones, and ones that cannot be written. They need the right to mount."""

import ctypes
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

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
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # whoever wrote on it may not quite have ended


def make_read_only(folder):
    """Let nothing be written on a disk any more."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


class FailingDisk:
    """A disk with a journal in a file, which can fail as a broken one does: from one moment on nothing can be written."""

    def __init__(self, folder, image):
        self.folder = folder
        self._image = image

    def mount(self):
        """Tell whether that is allowed here."""
        arguments = ["mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.folder)]
        return subprocess.run(arguments, capture_output=True, check=False).returncode == 0

    def fail(self):
        number = os.stat(self.folder).st_dev
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")

    def come_back(self):
        """Repair the disk and mount it, as the next start of a machine does; whoever holds it open is about to end."""
        until = time.monotonic() + 60
        while (left := subprocess.run(["umount", str(self.folder)], capture_output=True, text=True, check=False)).returncode:
            assert time.monotonic() < until, left.stderr
            time.sleep(0.1)
        repaired = subprocess.run(["fsck.ext4", "-p", str(self._image)], capture_output=True, text=True, check=False)
        assert repaired.returncode in {0, 1}, repaired.stdout
        assert self.mount()


@contextmanager
def a_failing_disk(folder, image):
    """Mount an empty `FailingDisk` on *folder*; skip the test where that is not allowed."""
    if not own_mounts() or shutil.which("mkfs.ext4") is None:
        pytest.skip("no right to mount a disk, or no tool to make one")
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(256 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    disk = FailingDisk(folder, image)
    if not disk.mount():
        pytest.skip("no right to mount a file")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
