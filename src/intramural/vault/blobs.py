"""
Where blobs lie: the seam for back-ends, the directory back-end, and one in memory for tests.

A blob is written beside, fsynced and renamed, so it is whole or absent. Writing bytes that
are there already puts fresh ones in their place: adding a file again mends a damaged blob.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from intramural.domain.value import Digest, digest_of_bytes
from intramural.errors import Conflict, DoesNotFit, IntegrityFailure, Unavailable

CHUNK_BYTES = 1 << 20
PARTIAL = ".partial"
YOUNG_SECONDS = 60


class BlobStore(Protocol):
    """A back-end: immutable bytes by their digest."""

    def write(self, chunks: Iterable[bytes]) -> tuple[Digest, int]:
        """Store a stream and return its digest and size in bytes. Raises `DoesNotFit` or `Unavailable`."""

    def open(self, digest: Digest) -> BinaryIO:
        """Return a reader at the first byte. Raises `IntegrityFailure` when there is no such blob."""

    def size(self, digest: Digest) -> int | None:
        """Return the size in bytes, or None when there is no such blob."""

    def remove(self, digest: Digest) -> None:
        """Forget a blob; nothing happens when there is none."""

    def local_path(self, digest: Digest) -> Path | None:
        """Return a file that may be hard-linked, where the back-end has one."""

    def digests(self) -> Iterator[Digest]:
        """Yield every blob that is here. Raises `Conflict` where others keep theirs in the same place."""

    def held(self, *, alone: bool, wait: bool = True) -> AbstractContextManager[None]:
        """Share the blobs with others for the length of a block, or have them *alone*.

        Raises `Conflict` where others have them and this one shall not *wait*.
        """


class DirectoryBlobs:
    """Blobs as read-only files, `ab/cdef…`, under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._swept = False

    def write(self, chunks: Iterable[bytes]) -> tuple[Digest, int]:
        """Store a stream and return its digest and size in bytes."""
        digest, size = sha256(), 0
        with self._partial() as (path, file):
            for chunk in chunks:
                with disk_errors("The vault"):
                    file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            with disk_errors("The vault"):
                self._keep(path, file, f"sha256:{digest.hexdigest()}")
        return f"sha256:{digest.hexdigest()}", size

    def open(self, digest: Digest) -> BinaryIO:
        """Return a reader at the first byte."""
        try:
            return open(self._path(digest), "rb")
        except FileNotFoundError:
            raise missing(digest) from None

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

    def digests(self) -> Iterator[Digest]:
        """Yield every blob."""
        for path in self._root.glob("??/*"):
            digest = f"sha256:{path.parent.name}{path.name}"
            if is_digest(digest):
                yield digest

    def held(self, *, alone: bool, wait: bool = True) -> AbstractContextManager[None]:
        """Lock the folder, shared or *alone*, against the other processes of this machine."""
        return held_folder(self._root, alone=alone, wait=wait)

    @contextmanager
    def _partial(self) -> Iterator[tuple[Path, BinaryIO]]:
        """Hand out a file that is gone after the block unless it was kept."""
        path = self._root / f".{secrets.token_hex(8)}{PARTIAL}"
        with disk_errors("The vault"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            file = open(path, "xb", opener=_private)  # noqa: SIM115  closed below, after errors of its own
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield path, file
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # what was kept is flushed already
                file.close()

    def _keep(self, path: Path, file: BinaryIO, digest: Digest) -> None:
        file.flush()
        os.fchmod(file.fileno(), 0o400)
        os.fsync(file.fileno())
        target = self._path(digest)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        path.rename(target)
        _sync_folder(target.parent)

    def _sweep(self) -> None:
        """Remove what killed writers left: partial files that nobody holds."""
        if self._swept:
            return
        self._swept = True
        for path in self._root.glob(f".*{PARTIAL}"):
            with suppress(OSError), open(path, "rb") as file:
                if path.stat().st_mtime > time.time() - YOUNG_SECONDS:
                    continue  # its writer may be about to lock it
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    def _path(self, digest: Digest) -> Path:
        hexadecimal = digest.removeprefix("sha256:")
        return self._root / hexadecimal[:2] / hexadecimal[2:]


class MemoryBlobs:
    """Blobs in this process, for tests."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}

    def write(self, chunks: Iterable[bytes]) -> tuple[Digest, int]:
        """Store a stream and return its digest and size in bytes."""
        body = b"".join(chunks)
        self._blobs[digest_of_bytes(body)] = body
        return digest_of_bytes(body), len(body)

    def open(self, digest: Digest) -> BinaryIO:
        """Return a reader at the first byte."""
        if digest not in self._blobs:
            raise missing(digest)
        return BytesIO(self._blobs[digest])

    def size(self, digest: Digest) -> int | None:
        """Return the size in bytes, or None."""
        body = self._blobs.get(digest)
        return None if body is None else len(body)

    def remove(self, digest: Digest) -> None:
        """Forget a blob."""
        self._blobs.pop(digest, None)

    def local_path(self, digest: Digest) -> Path | None:
        """Return None: there is no file."""
        return None

    def digests(self) -> Iterator[Digest]:
        """Yield every blob."""
        yield from list(self._blobs)

    def held(self, *, alone: bool, wait: bool = True) -> AbstractContextManager[None]:
        """Do nothing: no other process has these blobs."""
        return nullcontext()


def is_digest(name: str) -> bool:
    """Tell whether *name* is what a blob is called by; other files may lie beside."""
    return re.fullmatch("sha256:[0-9a-f]{64}", name) is not None


def missing(digest: Digest) -> IntegrityFailure:
    """Return the error of a blob that is not there."""
    return IntegrityFailure(f"The vault lacks {digest[:19]}….", hint="Add the model or data again.", digest=digest)


@contextmanager
def held_folder(folder: Path, *, alone: bool, wait: bool) -> Iterator[None]:
    """Lock a folder, made if need be, shared or *alone* for the length of a block, against this machine's processes."""
    with disk_errors("The vault"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Conflict("Something is being stored or removed just now.", hint="Try again when it is done.") from None
        yield
    finally:
        os.close(handle)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Translate an operating system's error while *what* is written: `DoesNotFit` for a full disk, else `Unavailable`."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DoesNotFit(f"{what} cannot be written: {reason}.", hint="Free disk space, then try again.") from error
        raise Unavailable(f"{what} cannot be written: {reason}.", hint="Check that its disk is there and writable.") from error


def read_chunks(file: BinaryIO) -> Iterable[bytes]:
    """Yield a file's bytes a mebibyte at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
