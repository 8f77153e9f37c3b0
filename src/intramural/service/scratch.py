"""
Scratch folders under the home: private, gone after their block, and swept when their process was killed.

Rows are sealed in them too; a base model lies there as it is while it is made.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from intramural.vault import disk_errors

LOCK = ".lock"
"""Beside each folder, held by the process that works in it."""
NOTES = "making"
NOTE = ".key.lock"
"""Ends the name of a file that tells of a key which no row names yet, held by the process that made the key."""


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


class Note:
    """A file in the home that says what this process is about to make, held until this object is gone."""

    def __init__(self, home: Path, name: str, words: str) -> None:
        notes = home / NOTES
        with disk_errors(str(notes)):
            notes.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(notes / LOCK):
                handle = os.open(notes / f"{name}{NOTE}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(handle, fcntl.LOCK_EX)
                os.write(handle, words.encode())
        weakref.finalize(self, os.close, handle)


def notes_of_the_gone(home: Path) -> dict[str, str]:
    """Return the notes, by name, whose process is gone, or is done with what it made."""
    found, notes = dict[str, str](), home / NOTES
    with _locked(notes / LOCK) if notes.is_dir() else nullcontext():
        for path in notes.glob(f"*{NOTE}"):
            with suppress(BlockingIOError), _locked(path, fcntl.LOCK_NB):
                found[path.name.removesuffix(NOTE)] = path.read_text(encoding="utf-8", errors="replace")
    return found


def drop_note(home: Path, name: str) -> None:
    """Remove a note of the gone: what it told of is recorded, or gone too."""
    (home / NOTES / f"{name}{NOTE}").unlink(missing_ok=True)


def sweep_scratch(home: Path) -> None:
    """Remove the folders of processes that are gone."""
    work = home / "work"
    if work.is_dir():
        with _locked(work / LOCK):
            _sweep(work)


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
