"""
Scratch folders under the home: private, gone after their block, and swept when their process was killed.

Rows are sealed in them too; a base model lies there as it is while it is made.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from intramural.vault import disk_errors

LOCK = ".lock"
"""Beside each folder, held by the process that works in it."""


@contextmanager
def scratch(home: Path) -> Iterator[Path]:
    """Hand out an empty folder for the length of a block. Raises `DoesNotFit` or `Unavailable` when there is no room."""
    work = home / "work"
    with disk_errors(str(work)):
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(work / LOCK):
            _sweep(work)
            folder = Path(tempfile.mkdtemp(dir=work))
            held = os.open(folder.with_suffix(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(LOCK).unlink(missing_ok=True)
        os.close(held)


def _sweep(work: Path) -> None:
    """Remove the folders whose process is gone."""
    for folder in [each for each in work.iterdir() if each.is_dir()]:
        with suppress(BlockingIOError), _locked(folder.with_suffix(LOCK), fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(LOCK).unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, how: int = 0) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(handle)
