"""
Where an export is to be written, looked at before the act is recorded.

What cannot be written leaves no entry that says it left.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from intramural.errors import DoesNotFit, IntramuralError, InvalidInput


def check_new_file(file: Path) -> None:
    """Raise `InvalidInput` for a file that exists or that cannot be made, `DoesNotFit` on a full disk.

    A device, a pipe, and a link to one or to an empty file (`-o /dev/stdout > FILE`) are written into.
    """
    try:
        if file.is_dir() or (file.is_file() and not (file.is_symlink() and file.stat().st_size == 0)):
            raise InvalidInput(f"{file} exists already.", hint="Choose a new file.")
        if not file.exists():
            _write_beside(file.parent)
        elif not os.access(file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _not_written(file, error) from error


def check_new_folder(folder: Path) -> None:
    """Raise `InvalidInput` for a folder with something in it or that cannot be made, `DoesNotFit` on a full disk."""
    folder = folder.absolute()
    try:
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            raise InvalidInput(f"{folder} is there and not empty.", hint="Name a new folder.")
        _write_beside(next(each for each in folder.parents if each.exists()))
    except OSError as error:
        raise _not_written(folder, error) from error


def _write_beside(folder: Path) -> None:
    """Make a file without a name there, which is the only way to know that one can be made."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def _not_written(path: Path, error: OSError) -> IntramuralError:
    words = f"{path} cannot be written: {os.strerror(error.errno or 0)}."
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DoesNotFit(words, hint="Free disk space, or choose another place.")
    return InvalidInput(words, hint="Choose another place.")
