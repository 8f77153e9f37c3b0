"""
Take a file out of a run directory that a process within walls has written.

The process chose every name there. A link would lead whoever follows it from this side
to a file of this side, and a pipe would keep it waiting; so neither is opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from intramural.errors import NotFound, Refused


def open_inside(run: Path, name: str) -> BinaryIO:
    """Open the regular file *name* below *run* for reading, through no link. Raises `Refused` or `NotFound`."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise Refused("A file of a run is named by a path below its directory.", hint="Name it without `..`.")
    place = os.open(run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = _open(part, os.O_PATH | os.O_DIRECTORY, place)
            os.close(place)
            place = below
        file = _open(parts[-1], os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, place)
    finally:
        os.close(place)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise Refused("What the run left there is no file.", hint="Nothing of it was read.")
    return open(file, "rb")


def _open(part: str, flags: int, place: int) -> int:
    try:
        return os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    except FileNotFoundError:
        raise NotFound("The run left no such file.", hint="It may have ended before it wrote it.") from None
    except OSError as error:  # a link, or something else that is no folder
        raise Refused("What the run left there is no file.", hint="Nothing of it was read.") from error
