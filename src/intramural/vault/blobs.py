"""
Where blobs lie: the seam for back-ends, and the directory back-end.

A blob is written beside, fsynced and renamed, so it is whole or absent; a second write
of the same bytes changes nothing.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

from intramural.domain.value import Digest
from intramural.errors import IntegrityFailure, Unavailable

CHUNK_BYTES = 1 << 20


class BlobStore(Protocol):
    """A back-end: immutable bytes by their digest."""

    def write(self, chunks: Iterable[bytes]) -> tuple[Digest, int]:
        """Store a stream and return its digest and size. Raises `Unavailable`."""

    def open(self, digest: Digest) -> BinaryIO:
        """Return a reader at the first byte. Raises `IntegrityFailure` when there is no such blob."""

    def size(self, digest: Digest) -> int | None:
        """Return the size in bytes, or None when there is no such blob."""

    def remove(self, digest: Digest) -> None:
        """Forget a blob; nothing happens when there is none."""

    def local_path(self, digest: Digest) -> Path | None:
        """Return a file that may be hard-linked, where the back-end has one."""


class DirectoryBlobs:
    """Blobs as read-only files, `ab/cdef…`, under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, chunks: Iterable[bytes]) -> tuple[Digest, int]:
        """Store a stream and return its digest and size."""
        partial = self._root / f".{secrets.token_hex(8)}.partial"
        digest, size = sha256(), 0
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(partial, "xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                file.flush()
                os.fsync(file.fileno())
            partial.chmod(0o400)
            target = self._path(f"sha256:{digest.hexdigest()}")
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if target.exists() and target.stat().st_size == size:
                partial.unlink()
            else:
                partial.rename(target)
                _sync_folder(target.parent)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise Unavailable(
                f"The vault cannot be written: {os.strerror(error.errno or 0)}.", hint="Free disk space under INTRAMURAL_HOME."
            ) from error
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return f"sha256:{digest.hexdigest()}", size

    def open(self, digest: Digest) -> BinaryIO:
        """Return a reader at the first byte."""
        try:
            return open(self._path(digest), "rb")
        except FileNotFoundError:
            raise IntegrityFailure(
                f"The vault lacks {digest[:19]}….", hint="Add the model or data again.", digest=digest
            ) from None

    def size(self, digest: Digest) -> int | None:
        """Return the size in bytes, or None."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def remove(self, digest: Digest) -> None:
        """Forget a blob."""
        self._path(digest).unlink(missing_ok=True)

    def local_path(self, digest: Digest) -> Path | None:
        """Return the blob's file."""
        return self._path(digest)

    def _path(self, digest: Digest) -> Path:
        hexadecimal = digest.removeprefix("sha256:")
        return self._root / hexadecimal[:2] / hexadecimal[2:]


def read_chunks(file: BinaryIO) -> Iterable[bytes]:
    """Yield a file's bytes a mebibyte at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
