"""Homes in which processes still write and remove while a test looks."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def files_of(folder: Path, most_bytes: int = 1 << 40) -> Iterator[tuple[Path, bytes]]:
    """Yield every regular file below *folder* that is no larger, with its content; what is removed meanwhile is passed over."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, each) for each in names):
            try:
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_size <= most_bytes:
                    yield path, path.read_bytes()
            except FileNotFoundError:
                continue
