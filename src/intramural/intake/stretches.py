"""Stretches of a file of JSON lines, which several readers share without a word between them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from intramural.errors import InvalidInput
from intramural.intake.bounds import BLOCK_BYTES

_BOM = b"\xef\xbb\xbf"


def is_plain_lines(opened: BinaryIO, name: str) -> bool:
    """Tell whether a file is JSON lines that are not packed, so that it can be cut anywhere."""
    if not opened.seekable() or re.search(r"\.(?:csv|tsv|txt|md)(?:\.|$)", name, re.IGNORECASE):
        return False
    return os.pread(opened.fileno(), 4096, 0).removeprefix(_BOM).lstrip().startswith(b"{")


class Stretch:
    """The lines that begin in one stretch of a file."""

    def __init__(self, descriptor: int, start: int, end: int, size: int) -> None:
        self._descriptor, self._start, self.end, self._size = descriptor, start, end, size
        self.count = 0

    def blocks(self) -> Iterator[bytes]:
        """Yield the lines as they lie there, some at a time, and count them."""
        block = b"\n"
        for block in self._blocks():
            self.count += block.count(b"\n")
            yield block
        self.count += not block.endswith(b"\n")

    def _blocks(self) -> Iterator[bytes]:
        first = self._start
        block = self._read(max(0, first - 1), self.end)
        if first == 0:
            block = block.removeprefix(_BOM)
        else:
            begins = block.find(b"\n", 0, -1) + 1
            if not begins:
                return  # all of it belongs to a line that began before
            block = block[begins:]
        yield block
        at = self.end
        while not block.endswith(b"\n") and at < self._size:
            block = self._read(at, min(self._size, at + BLOCK_BYTES))
            at += len(block)
            if ends := block.find(b"\n") + 1:
                block = block[:ends]
            yield block

    def _read(self, start: int, end: int) -> bytes:
        parts = []
        while start < end and (part := os.pread(self._descriptor, end - start, start)):
            parts.append(part)
            start += len(part)
        if start < end:
            raise InvalidInput("The file became shorter while it was read.", hint="Add it again when nobody writes to it.")
        return b"".join(parts)
