"""
What a supervisor writes while a run goes on: a receipt line by line, whole under its final name or not there.

    FOLDER/receipt.jsonl.partial    grows with every attempt; what is left when the supervisor was killed
    FOLDER/receipt.jsonl            the same with its last line, `{"ended_at": ...}`, forced to the disk

A connection has two lines, one when it is decided and one when it closes, so that an
attempt is on record before its first byte moves.
"""

from __future__ import annotations

import json
import os
import time

FINAL = "receipt.jsonl"
PARTIAL = "receipt.jsonl.partial"
MOST_ATTEMPTS = 10_000
"""A run that tries more is counted on, but not written down: the disk is not its to fill."""


class Record:
    """The receipt of one run under construction."""

    def __init__(self, folder: str, level: str, most: int = MOST_ATTEMPTS) -> None:
        self._folder = folder
        self._file = os.open(f"{folder}/{PARTIAL}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._most = most
        self._attempts = 0
        self._write({"level": level, "began_at": time.time()})

    def attempt(self, host: str, port: int, refusal: str | None) -> int:
        """Write an attempt down, refused or allowed; return its number for `closed`."""
        self._attempts += 1
        line = {"attempt": self._attempts, "at": time.time(), "host": host[:253], "port": port, "refusal": refusal}
        if self._attempts <= self._most:
            self._write(line)
        return self._attempts

    def closed(self, number: int, up_bytes: int, down_bytes: int, refusal: str | None) -> None:
        """Write down what an allowed connection carried, and why it was cut, if it was."""
        if number <= self._most:
            self._write({"closed": number, "up_bytes": up_bytes, "down_bytes": down_bytes, "refusal": refusal})

    def end(
        self, exit_code: int | None, around_proxy: int | None, limits: dict[str, str], stopped_for: str | None = None
    ) -> None:
        """Write the last line and put the receipt in place; *stopped_for* is the limit that the supervisor ended it for."""
        left_out = max(self._attempts - self._most, 0)
        rest = {"exit_code": exit_code, "left_out": left_out, "around_proxy": around_proxy, "limits": limits}
        self._write({"ended_at": time.time(), "stopped_for": stopped_for, **rest})
        os.fsync(self._file)
        os.close(self._file)
        os.replace(f"{self._folder}/{PARTIAL}", f"{self._folder}/{FINAL}")

    def _write(self, line: dict[str, object]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")
