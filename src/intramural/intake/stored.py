"""
Examples as they are stored: one JSON document a line, in one canonical form.

Equal examples are equal lines, so the digest of a line is the digest of its example.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from intramural.sealing import Files, PlainFiles

TRAIN_FILE = "train.jsonl"
HOLDOUT_FILE = "holdout.jsonl"

DIGEST_BYTES = 16

PLAIN = PlainFiles()


def line_of(example: dict[str, Any]) -> bytes:
    """Return the line of *example*, without its end; the intake builds every example's keys in one order."""
    return orjson.dumps(example)


def read_examples(path: Path, files: Files = PLAIN) -> Iterator[dict[str, Any]]:
    """Yield the examples of a stored file, one at a time; *files* opens it."""
    with files.open(path, path.name) as file:
        yield from examples_of(file)


def examples_of(file: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the examples of an open file."""
    for line in file:
        yield orjson.loads(line)


def example_digests(file: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the first 16 bytes of the SHA-256 of each example of an open file, in its order."""
    sha256 = hashlib.sha256
    for line in file:
        yield sha256(line.rstrip(b"\n")).digest()[:DIGEST_BYTES]
