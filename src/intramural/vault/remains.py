"""
A search of files for bytes that should be gone from them.

A file may be a database that this process works with, which loses its locks on it as soon as the
process closes another handle of the file: so another process reads it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from re import Match, Pattern

from intramural.errors import Unavailable

PIECE_BYTES = 1 << 20
OVERLAP_BYTES = 1 << 14
"""What is looked for is shorter than this."""
READER = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer, 1 << 20)"


def found_in(path: Path, patterns: Sequence[Pattern[bytes]]) -> dict[Pattern[bytes], Match[bytes]]:
    """Return the first place of each of *patterns* that is in a file. Raises `Unavailable` where it cannot be read."""
    found: dict[Pattern[bytes], Match[bytes]] = {}
    for piece in _pieces(path):
        for each in patterns:
            if each not in found and (match := each.search(piece)) is not None:
                found[each] = match
    return found


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes in pieces, each with the end of the one before it."""
    command = [sys.executable, "-I", "-S", "-c", READER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:
        end = b""
        while piece := reader.stdout.read(PIECE_BYTES) if reader.stdout is not None else b"":
            yield end + piece
            end = (end + piece)[-OVERLAP_BYTES:]
    if reader.returncode != 0:
        raise Unavailable(f"{path} cannot be read.", hint="Check the file and its rights, then try again.")
