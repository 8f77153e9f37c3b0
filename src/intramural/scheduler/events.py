"""
Read what a run tells, while it is still writing.

Events have the numbers of their lines, counted from 1, so that a second reading after a
restart is recorded as the first. A line without its end is left for later: the run may
be in the middle of it, or was killed there.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from pydantic import ValidationError

from intramural.domain.workload import EVENT, Event, NoticeEvent

MOST_BYTES = 1 << 20
"""Read in one go; a tick stays short after a long absence."""
LONGEST_LINE = 8 << 20
"""A line beyond this is no event; it is passed over, so that memory stays bounded."""
LOG_TAIL_BYTES = 16_384


class EventTail:
    """A reader of one events file; it goes on only when what it read was stored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._number = 1
        self._at = 0.0
        self._seen = (0, 0)
        """Bytes and lines of the last reading."""
        self.at_end = False
        """The last reading came to the end of the file."""

    def peek(self) -> tuple[int, list[Event]]:
        """Return the number of the first new event, and the new events; the same again until `advance`."""
        lines = self._lines()
        return self._number, [self._event(line, number) for number, line in enumerate(lines, start=self._number)]

    def advance(self) -> None:
        """Go on behind what `peek` returned."""
        self._offset += self._seen[0]
        self._number += self._seen[1]
        self._seen = (0, 0)

    def _lines(self) -> list[bytes]:
        chunk, size = b"", MOST_BYTES
        try:
            with open(self._path, "rb", opener=through_no_link) as file:
                while True:
                    file.seek(self._offset)
                    chunk = file.read(size)
                    if len(chunk) < size or b"\n" in chunk or size >= LONGEST_LINE:
                        break
                    size *= 2
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ELOOP}:  # nothing yet, or a link of the run's own making
                raise
        self.at_end = len(chunk) < size
        whole, newline, _ = chunk.rpartition(b"\n")
        if not newline and not self.at_end:
            whole = chunk  # no event is that long: pass over it, piece by piece
        lines = whole.split(b"\n") if whole or newline else []
        self._seen = (len(whole) + len(newline), len(lines))
        return lines

    def _event(self, line: bytes, number: int) -> Event:
        """Read one line; what is no event becomes a notice that says so, and nothing of it."""
        try:
            event = EVENT.validate_json(line)
        except ValidationError:
            message = f"Line {number} of the run's events is not an event of the contract; it was left out."
            return NoticeEvent(at=self._at, message=message)
        self._at = event.at
        return event


def through_no_link(path: str, flags: int) -> int:
    """Open a file that the run may have put there: a link would lead to a file of this side, a pipe would keep it waiting."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def log_tail(path: Path) -> str:
    """Return the end of a log, or nothing where there is none."""
    try:
        with open(path, "rb", opener=through_no_link) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL_BYTES))
            return file.read(LOG_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
