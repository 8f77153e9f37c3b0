"""
Files as the intake and the workloads see them: written and read, sealed on the disk or not.

The platform always hands out `SealedFiles`. `PlainFiles` is for a workload that a person
runs by hand on a folder of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

from intramural.sealing.container import SealingWriter, open_sealed, seal, unseal
from intramural.sealing.context import SealContext
from intramural.sealing.keys import Keyring


class PlainWriter:
    """Writes as it is; tells the digest and size of what was written, as `SealingWriter` does."""

    def __init__(self, target: BinaryIO) -> None:
        self._target, self._digest, self.plain_size = target, sha256(), 0

    def write(self, plain: bytes) -> int:
        """Write *plain*."""
        self._digest.update(plain)
        self.plain_size += len(plain)
        return self._target.write(plain)

    def finish(self) -> None:
        """Do nothing: the file is whole as it is."""

    @property
    def plain_digest(self) -> str:
        """The digest of what was written."""
        return f"sha256:{self._digest.hexdigest()}"


class Writer(Protocol):
    """Takes bytes for one file."""

    def write(self, plain: bytes, /) -> int:
        """Take bytes."""

    def finish(self) -> None:
        """Make the file whole."""

    @property
    def plain_digest(self) -> str:
        """The digest of what was written, once it is finished."""

    @property
    def plain_size(self) -> int:
        """How many bytes were written, once it is finished."""


class Files(Protocol):
    """How files are written and read; *name* is the file's place in its context, whatever the path is."""

    def writer(self, target: BinaryIO, name: str) -> Writer:
        """Return what writes into *target*."""

    def open(self, path: Path, name: str) -> BinaryIO:
        """Return a reader of the plain bytes. Raises `IntegrityFailure`."""

    def body(self, plain: bytes, name: str) -> bytes:
        """Return the bytes to write to a disk for *plain*."""

    def plain(self, body: bytes, name: str) -> bytes:
        """Return what `body` was given. Raises `IntegrityFailure`."""


class PlainFiles:
    """Files as they are."""

    def writer(self, target: BinaryIO, name: str) -> Writer:
        """Return what writes into *target*."""
        del name
        return PlainWriter(target)

    def open(self, path: Path, name: str) -> BinaryIO:
        """Return a reader."""
        del name
        return open(path, "rb")

    def body(self, plain: bytes, name: str) -> bytes:
        """Return *plain*."""
        del name
        return plain

    def plain(self, body: bytes, name: str) -> bytes:
        """Return *body*."""
        del name
        return body


@dataclass(frozen=True)
class SealedFiles:
    """Files that open with *keys* under parts of *context*; what is written is sealed with the key *key_id*."""

    keys: Keyring
    context: SealContext
    key_id: str

    def writer(self, target: BinaryIO, name: str) -> Writer:
        """Return what seals into *target*."""
        return SealingWriter(target, self.keys.get(self.key_id), self.context.of(name))

    def open(self, path: Path, name: str) -> BinaryIO:
        """Return a reader of the plain bytes."""
        return open_sealed(open(path, "rb"), self.keys, self.context.of(name))

    def body(self, plain: bytes, name: str) -> bytes:
        """Return *plain* sealed."""
        return seal(plain, self.keys.get(self.key_id), self.context.of(name))

    def plain(self, body: bytes, name: str) -> bytes:
        """Return what is sealed in *body*."""
        return unseal(body, self.keys, self.context.of(name))

    def inside(self, folder: str) -> SealedFiles:
        """Return the same for the files of a folder, by their names in it."""
        return SealedFiles(self.keys, self.context.of(folder), self.key_id)


@contextmanager
def written(files: Files, path: Path, name: str) -> Iterator[Writer]:
    """Write a new private file at *path* through *files*; it is whole when the block ends well."""
    with open(path, "xb", opener=_private) as target:
        writer = files.writer(target, name)
        yield writer
        writer.finish()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
