"""
Blobs in an S3 bucket: the extra `s3`. Credentials are those of the usual AWS variables, or of the machine's role.

A blob's name is its digest, known when its last byte is. Small ones wait in memory, larger ones in a file
without a name; both hold what the bucket will hold, sealed bytes or public ones. An
object is created if absent; one that is there but damaged is replaced if nobody else did (compare and swap).
"""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from intramural.domain.value import Digest
from intramural.errors import Conflict, InvalidInput, Unavailable
from intramural.vault.blobs import disk_errors, held_folder, is_digest, missing

SMALL_BYTES = 8 << 20
"""Above this an object is written in parts, several at once."""
READ_BYTES = 8 << 20
RETRIES = 4
HOMES = "homes"
"""Below it lies an empty object for each home that ever wrote here; the file in the home says which one is its own."""
SECONDS = 20


class S3Blobs:
    """Blobs as objects `PREFIX/ab/cdef…` of one bucket."""

    def __init__(self, url: str, work: Path, endpoint: str | None = None) -> None:
        """*url* is `s3://BUCKET/PREFIX`; *work* is a folder for what waits, and for the lock of this machine's processes."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise InvalidInput("The vault's address is not `s3://BUCKET/PREFIX`.", hint="Mend vault_url.")
        if endpoint is not None and not endpoint.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise InvalidInput("The vault's endpoint is not encrypted.", hint="Use https, except on this machine itself.")
        try:
            import obstore  # noqa: PLC0415 - an extra
            from obstore import exceptions  # noqa: PLC0415 - as above
            from obstore.store import S3Store  # noqa: PLC0415 - as above
        except ImportError:
            raise InvalidInput("The package obstore is not installed.", hint="pip install 'intramural[s3]'") from None
        self._obstore, self._exceptions = obstore, exceptions
        self._marked: str | None = None
        self._absent = (exceptions.NotFoundError, FileNotFoundError)
        self._prefix, self._work, self._name = parts.path.strip("/"), work, f"bucket {parts.netloc}"
        self._store = S3Store(
            parts.netloc,
            endpoint=endpoint,
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            conditional_put="etag",
            client_options={"allow_http": bool(endpoint and endpoint.startswith("http://")), "timeout": f"{SECONDS}s"},
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=SECONDS)},
        )

    def write(self, chunks: Iterable[bytes]) -> tuple[Digest, int]:
        """Store a stream and return its digest and size in bytes."""
        found, size = sha256(), 0
        with self._waiting() as file:
            for chunk in chunks:
                with disk_errors("What waits for the vault"):
                    file.write(chunk)
                found.update(chunk)
                size += len(chunk)
            file.seek(0)
            self._keep(f"sha256:{found.hexdigest()}", file, size)
        return f"sha256:{found.hexdigest()}", size

    def open(self, digest: Digest) -> BinaryIO:
        """Return a reader at the first byte."""
        size = self.size(digest)
        if size is None:
            raise missing(digest)
        return io.BufferedReader(_ObjectReader(self, digest, size), READ_BYTES)

    def size(self, digest: Digest) -> int | None:
        """Return the size in bytes, or None."""
        head = self._head(digest)
        return None if head is None else int(head["size"])

    def remove(self, digest: Digest) -> None:
        """Forget a blob."""
        with self._translated():
            self._obstore.delete(self._store, self._key(digest))

    def local_path(self, digest: Digest) -> Path | None:
        """Return None: there is no file."""
        del digest
        return None

    def digests(self) -> Iterator[Digest]:
        """Yield every blob that was written since this home first wrote here. Raises `Conflict` where other homes write too."""
        mine = self._mark()
        homes = {each["path"].rpartition("/")[2]: each["last_modified"] for each in self._listed(HOMES)}
        if set(homes) != {mine}:
            raise Conflict(
                f"{len(homes)} homes keep their blobs in one place of the {self._name}: one cannot tell what the others need.",
                hint=f"Give each a prefix of its own; remove the marks under {HOMES}/ of homes that are no more.",
            )
        for each in self._listed():
            digest = "sha256:" + "".join(each["path"].split("/")[-2:])
            if is_digest(digest) and each["last_modified"] >= homes[mine]:
                yield digest

    def held(self, *, alone: bool, wait: bool = True) -> AbstractContextManager[None]:
        """Lock the folder of what waits, shared or *alone*: one machine's control plane writes to the bucket."""
        return held_folder(self._work, alone=alone, wait=wait)

    def piece(self, digest: Digest, start: int, length: int) -> bytes:
        """Return some bytes of a blob."""
        with self._translated():
            try:
                return bytes(self._obstore.get_range(self._store, self._key(digest), start=start, length=length))
            except self._absent:
                raise missing(digest) from None

    def _listed(self, below: str = "") -> Iterator[dict[str, Any]]:
        with self._translated():
            for page in self._obstore.list(self._store, prefix="/".join(filter(None, (self._prefix, below))) or None):
                yield from page

    def _mark(self) -> str:
        """Leave this home's mark beside the blobs, once; return its name."""
        if self._marked is None:
            path = self._work / HOMES
            with disk_errors("The vault's folder"):
                self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not path.exists():
                    beside = path.with_name(f".{secrets.token_hex(8)}")
                    beside.write_text(secrets.token_hex(16))
                    with suppress(FileExistsError):
                        os.link(beside, path)
                    beside.unlink()
                name = path.read_text()
            with self._translated(), suppress(self._exceptions.AlreadyExistsError):
                self._obstore.put(self._store, "/".join(filter(None, (self._prefix, HOMES, name))), b"", mode="create")
            self._marked = name
        return self._marked

    def _keep(self, digest: Digest, file: BinaryIO, size: int) -> None:
        self._mark()
        key = self._key(digest)
        with self._translated():
            if size <= SMALL_BYTES:
                self._keep_small(digest, key, file.read())
            elif self.size(digest) != size or not self._is_whole(digest):
                self._obstore.put(self._store, key, file, use_multipart=True)

    def _keep_small(self, digest: Digest, key: str, body: bytes) -> None:
        try:
            self._obstore.put(self._store, key, body, mode="create")
        except self._exceptions.AlreadyExistsError:
            head = self._head(digest)
            if head is not None and not self._is_whole(digest):
                try:
                    self._obstore.put(self._store, key, body, mode={"e_tag": head["e_tag"]})
                except self._exceptions.PreconditionError:
                    return  # another writer has mended it with the same bytes

    def _is_whole(self, digest: Digest) -> bool:
        found = sha256()
        with self.open(digest) as file:
            while piece := file.read(READ_BYTES):
                found.update(piece)
        return f"sha256:{found.hexdigest()}" == digest

    def _head(self, digest: Digest) -> Any:
        with self._translated():
            try:
                return self._obstore.head(self._store, self._key(digest))
            except self._absent:
                return None

    @contextmanager
    def _waiting(self) -> Iterator[Any]:
        """Hand out a file for what waits: in memory while it is small, without a name after that."""
        with disk_errors("What waits for the vault"):
            self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(max_size=SMALL_BYTES, dir=str(self._work)) as file:
            yield file

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (*self._absent, self._exceptions.AlreadyExistsError, self._exceptions.PreconditionError):
            raise
        except (self._exceptions.PermissionDeniedError, self._exceptions.UnauthenticatedError) as error:
            raise Unavailable(f"The vault's {self._name} refuses the credentials.", hint="Check AWS_ACCESS_KEY_ID.") from error
        except self._exceptions.BaseError as error:
            raise Unavailable(
                f"The vault's {self._name} does not answer ({type(error).__name__}).", hint="What waits goes on by itself."
            ) from error

    def _key(self, digest: Digest) -> str:
        hexadecimal = digest.removeprefix("sha256:")
        return "/".join(each for each in (self._prefix, hexadecimal[:2], hexadecimal[2:]) if each)


class _ObjectReader(io.RawIOBase):
    """An object, read in ranges."""

    def __init__(self, blobs: S3Blobs, digest: Digest, size: int) -> None:
        super().__init__()
        self._blobs, self._digest, self._size, self._at = blobs, digest, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        piece = self._blobs.piece(self._digest, self._at, length)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
