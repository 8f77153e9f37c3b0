"""
Files that people point at: their first lines whatever they are packed in, and clear words when they cannot be read.

Packed files (gzip, zstd) are unpacked in a stream and never written to disk in clear.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, cast

from intramural.errors import InvalidInput, NotFound

HEAD_BYTES = 256 * 1024
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PACKED = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
_MOST_RULE_BYTES = 1_000_000


def opened(path: Path) -> IO[bytes]:
    """Open *path* for its clear bytes; the caller closes it."""
    try:
        start = _start(path)
        if start.startswith(_GZIP):
            return cast("IO[bytes]", gzip.open(path, "rb"))
        if start.startswith(_ZSTD):
            from pyarrow import CompressedInputStream, OSFile  # noqa: PLC0415 - a second of start only for such a file

            return cast("IO[bytes]", CompressedInputStream(OSFile(str(path)), "zstd"))
        return path.open("rb")
    except OSError as error:
        raise unreadable(path, error) from error


def is_packed(path: Path) -> bool:
    """Tell whether the file is packed with gzip or zstd."""
    return _start(path).startswith((_GZIP, _ZSTD))


def head(path: Path) -> bytes:
    """Return the first bytes of *path*, unpacked; raise when it is missing, unreadable, empty or packed otherwise."""
    try:
        with opened(path) as file:
            first = file.read(HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise unreadable(path, error) from error
    if not first.strip():
        raise InvalidInput(f"{path.name} is empty.", hint="Export the records again.", file=path.name)
    return first


def text_of(path: Path) -> str:
    """Return the text of a file that a person wrote; raise `InvalidInput` when it is none."""
    try:
        if path.is_file() and path.stat().st_size > _MOST_RULE_BYTES:
            raise InvalidInput(f"{path.name} is too large for such a file.", hint="Was a file of records meant?")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path.name} is not UTF-8 text.", hint="Save it as UTF-8.", file=path.name) from None
    except OSError as error:
        raise unreadable(path, error) from error


def _start(path: Path) -> bytes:
    if not path.exists():
        raise NotFound(f"There is no file {path.name}.", hint="Check the path.", file=path.name)
    if path.is_dir():
        raise InvalidInput(f"{path.name} is a folder.", hint="Give the files in it.", file=path.name)
    with path.open("rb") as file:
        start = file.read(8)
    for sign, name in _PACKED.items():
        if start.startswith(sign):
            hint = "Unpack it, or pack it with gzip or zstd."
            raise InvalidInput(f"{path.name} is packed with {name}, which is not read.", hint=hint, file=path.name)
    return start


def unreadable(path: Path, error: BaseException) -> InvalidInput:
    """Say that *path* cannot be read, with the system's reason."""
    reason = (error.strerror if isinstance(error, OSError) else None) or "it is damaged or cut off"
    return InvalidInput(f"{path.name} cannot be read: {reason}.", hint="Check the file and its permissions.", file=path.name)
