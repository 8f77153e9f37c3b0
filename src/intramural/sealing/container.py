"""
The sealed container: AES-256-GCM in segments, seekable, opened in its own place only.

    header    magic, version, segment size, salt, nonce prefix │ id of the scope key, the object's key wrapped by it
    segments  1 MiB each, the last one shorter or equal; each with a tag of 16 bytes

Every object has a key of its own. The segments' key is HKDF-SHA-256(object key, salt,
context); a segment's nonce is prefix, counter and last-flag (STREAM: Hoang, Reyhanitabar,
Rogaway, Vizár, *Online authenticated-encryption and its nonce-reuse misuse-resistance*,
2015), so a flipped bit, a segment elsewhere, an end cut off and another context are all
found. The left part of the header is authenticated with every segment, the right part
is not: wrapping the key anew changes no segment.

An older whole container in the place of a newer one opens; whoever names containers
must keep the digest of the sealed bytes.
"""

from __future__ import annotations

import io
import secrets
import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import BinaryIO

from intramural.errors import IntegrityFailure
from intramural.sealing.context import SealContext
from intramural.sealing.keys import ID_BYTES, KEY_BYTES, TAG_BYTES, WRAPPED_BYTES, Keyring, ScopeKey

MAGIC = b"IMSEAL"
VERSION = 1
SEGMENT_BYTES = 1 << 20
LARGEST_SEGMENT_BYTES = 1 << 26
SALT_BYTES = 32
PREFIX_BYTES = 7

_FIXED = struct.Struct(f">{len(MAGIC)}sHI{SALT_BYTES}s{PREFIX_BYTES}s")
_KEY = struct.Struct(f">{ID_BYTES}s{WRAPPED_BYTES}s")
_NONCE = struct.Struct(f">{PREFIX_BYTES}sI?")
HEADER_BYTES = _FIXED.size + _KEY.size


class _Cipher:
    """Seals and opens the segments of one object."""

    def __init__(self, object_key: bytes, fixed: bytes, context: SealContext) -> None:
        _, _, self.segment_bytes, salt, self._prefix = _FIXED.unpack(fixed)
        self._bound = fixed + context.encoded()
        from intramural.sealing import primitives  # noqa: PLC0415 - the command line starts without a cipher

        self._primitives = primitives
        self._key = primitives.derived(object_key, salt, b"intramural segments " + context.encoded())

    def seal(self, number: int, is_last: bool, plain: bytes | memoryview) -> bytes:
        return self._primitives.encrypted(self._key, _NONCE.pack(self._prefix, number, is_last), plain, self._bound)

    def open(self, number: int, is_last: bool, sealed: bytes) -> bytes:
        plain = self._primitives.decrypted(self._key, _NONCE.pack(self._prefix, number, is_last), sealed, self._bound)
        if plain is None:
            raise IntegrityFailure(
                f"Sealed bytes are damaged or cut off in segment {number + 1}.", hint="Restore them from a backup."
            )
        return plain


class SealingWriter:
    """
    Seals what is written to it into *target*, a mebibyte at a time.

    Without `finish` the container has no last segment and does not open, whatever it holds.
    """

    def __init__(self, target: BinaryIO, key: ScopeKey, context: SealContext, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._target = target
        self._digest = sha256()
        self._number = 0
        self._held = bytearray()
        self._size = 0
        salt, prefix = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(PREFIX_BYTES)
        object_key = secrets.token_bytes(KEY_BYTES)
        fixed = _FIXED.pack(MAGIC, VERSION, segment_bytes, salt, prefix)
        self._cipher = _Cipher(object_key, fixed, context)
        target.write(fixed + _KEY.pack(key.id.encode(), key.wrap(object_key, salt, context)))

    def write(self, plain: bytes) -> int:
        """Take bytes; whole segments leave at once."""
        if not self._held and len(plain) > self._cipher.segment_bytes:
            with memoryview(plain) as view:
                self._held += view[self._drain(view) :]
            return len(plain)
        self._held += plain
        if len(self._held) > self._cipher.segment_bytes:
            with memoryview(self._held) as view:
                sealed = self._drain(view)
            del self._held[:sealed]
        return len(plain)

    def finish(self) -> None:
        """Write the last segment; nothing can be written after it."""
        self._seal(bytes(self._held), is_last=True)
        self._held.clear()

    @property
    def plain_digest(self) -> str:
        """The digest of what was written, once it is finished."""
        return f"sha256:{self._digest.hexdigest()}"

    @property
    def plain_size(self) -> int:
        """How many bytes were sealed, once it is finished."""
        return self._size

    def _drain(self, plain: memoryview) -> int:
        """Seal every segment that is surely not the last one; return how many bytes that took."""
        size, at = self._cipher.segment_bytes, 0
        while len(plain) - at > size:
            self._seal(plain[at : at + size], is_last=False)
            at += size
        return at

    def _seal(self, plain: bytes | memoryview, *, is_last: bool) -> None:
        self._digest.update(plain)
        self._size += len(plain)
        self._target.write(self._cipher.seal(self._number, is_last, plain))
        self._number += 1


class SealedReader(io.RawIOBase):
    """Opens a container segment by segment; seekable. Owns *source* and closes it."""

    def __init__(self, source: BinaryIO, keys: Keyring, context: SealContext) -> None:
        super().__init__()
        self._source = source
        fixed, key_id, wrapped = _read_header(source)
        salt = _FIXED.unpack(fixed)[3]
        self._cipher = _Cipher(keys.get(key_id).unwrap(wrapped, salt, context), fixed, context)
        body = source.seek(0, io.SEEK_END) - HEADER_BYTES
        self._segments = max(1, -(-body // (self._cipher.segment_bytes + TAG_BYTES)))
        if body < self._segments * TAG_BYTES:
            raise IntegrityFailure("Sealed bytes are cut off.", hint="Restore them from a backup.")
        self.size = body - self._segments * TAG_BYTES
        self._at = 0
        self._number, self._plain = -1, b""
        self._segment(self._segments - 1)  # a container that was cut off is told now, not after its rows were used

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place in the plain bytes."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the place in the plain bytes."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # io's own stub is wider
        """Fill *buffer* from the present segment; raise `IntegrityFailure` for a damaged one."""
        if self._at >= self.size:
            return 0
        number, offset = divmod(self._at, self._cipher.segment_bytes)
        piece = self._segment(number)[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """Return the rest, a segment at a time."""
        pieces = []
        while self._at < self.size:
            number, offset = divmod(self._at, self._cipher.segment_bytes)
            pieces.append(self._segment(number)[offset:])
            self._at += len(pieces[-1])
        return b"".join(pieces)

    def close(self) -> None:
        """Close the source as well."""
        self._plain = b""
        if not self.closed:
            self._source.close()
        super().close()

    def _segment(self, number: int) -> bytes:
        if number != self._number:
            stride = self._cipher.segment_bytes + TAG_BYTES
            self._source.seek(HEADER_BYTES + number * stride)
            sealed = self._source.read(stride)
            self._plain = self._cipher.open(number, number == self._segments - 1, sealed)
            self._number = number
        return self._plain


def open_sealed(source: BinaryIO, keys: Keyring, context: SealContext) -> io.BufferedReader:
    """Return a buffered reader of the plain bytes; it closes *source*. Raises `IntegrityFailure`."""
    try:
        return io.BufferedReader(SealedReader(source, keys, context), SEGMENT_BYTES)
    except BaseException:
        source.close()
        raise


def seal(plain: bytes, key: ScopeKey, context: SealContext) -> bytes:
    """Return *plain* sealed."""
    target = io.BytesIO()
    writer = SealingWriter(target, key, context)
    writer.write(plain)
    writer.finish()
    return target.getvalue()


def unseal(sealed: bytes, keys: Keyring, context: SealContext) -> bytes:
    """Return the plain bytes of a whole container. Raises `IntegrityFailure`."""
    with open_sealed(io.BytesIO(sealed), keys, context) as reader:
        return reader.read()


def sealed_chunks(chunks: Iterable[bytes], key: ScopeKey, context: SealContext) -> Iterator[bytes]:
    """Yield the sealed form of a stream, a segment at a time."""
    target = io.BytesIO()
    writer = SealingWriter(target, key, context)
    for chunk in chunks:
        writer.write(chunk)
        yield _taken(target)
    writer.finish()
    yield _taken(target)


def is_sealed(head: bytes) -> bool:
    """Tell whether bytes begin as a container does."""
    return head.startswith(MAGIC)


def key_id_of(source: BinaryIO) -> str:
    """Return the id of the scope key that a container needs; the reader stands after the header then."""
    return _read_header(source)[1]


def plain_size(sealed_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> int:
    """Return how many plain bytes a container of that many bytes holds."""
    body = sealed_bytes - HEADER_BYTES
    return body - max(1, -(-body // (segment_bytes + TAG_BYTES))) * TAG_BYTES


def _taken(target: io.BytesIO) -> bytes:
    """Return what was written so far and empty the buffer."""
    body = target.getvalue()
    target.seek(0)
    target.truncate()
    return body


def _read_header(source: BinaryIO) -> tuple[bytes, str, bytes]:
    """Return the authenticated part of the header, the key's id and the wrapped key."""
    header = source.read(HEADER_BYTES)
    if len(header) != HEADER_BYTES or not header.startswith(MAGIC):
        raise IntegrityFailure("These bytes are not sealed, or cut off.", hint="Restore them from a backup.")
    fixed, rest = header[: _FIXED.size], header[_FIXED.size :]
    _, version, segment_bytes, _, _ = _FIXED.unpack(fixed)
    if version != VERSION or not 0 < segment_bytes <= LARGEST_SEGMENT_BYTES:
        raise IntegrityFailure(f"Sealed bytes of version {version} are not known here.", hint="Upgrade intramural.")
    key_id, wrapped = _KEY.unpack(rest)
    return fixed, key_id.rstrip(b"\0").decode("ascii", "replace"), wrapped
