"""Searches bytes, and what is packed in them, for canaries."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

from intramural.app.leak_test.canaries import Canary, Needle, Nest
from intramural.domain.leaks import Planted

MOST_UNPACKED = 64 << 20
"""Bytes that one packed stream may give."""
PIECE_BYTES = 16
"""Of a stream whose library gives nothing of a piece in which it finds a fault."""
DEEPEST = 3
"""Packed in packed in packed."""
AROUND = 400
"""Bytes before and after a needle in which the rest of its canary stands."""


_ONE_SCAN = Lock()
"""A database of hyperscan has one scratch space, so it scans for one thread at a time."""


class Found(NamedTuple):
    """One canary in some bytes."""

    canary: str
    planted: Planted
    offset: int
    encoding: str
    inside: str


def search(nest: Nest, content: bytes, inside: str = "", depth: int = 0) -> Iterator[Found]:
    """Yield each canary once for each form in which *content* holds it."""
    told: set[tuple[str, str]] = set()
    for needle, at in _places(nest, content):
        window = content[max(0, at - AROUND) : at + AROUND]
        canary: Canary | None = nest.which(window, needle.encoding)
        name = canary.name if canary else "a part of a canary"
        if (name, needle.encoding) not in told:
            told.add((name, needle.encoding))
            yield Found(name, canary.planted if canary else Planted.CONTENT, at, needle.encoding, inside)
    if depth < DEEPEST:
        for place, unpacked in unpacked_streams(content):
            yield from search(nest, unpacked, f"{inside} in {place}" if inside else place, depth + 1)


def _places(nest: Nest, content: bytes) -> list[tuple[Needle, int]]:
    """Return every needle in *content* and where it begins, in one pass over the bytes."""
    if not content:
        return []
    needles, ends = nest.needles, list[tuple[int, int]]()
    with _ONE_SCAN:
        _database(needles).scan(content, lambda number, _start, end, _flags, _context: ends.append((end, number)))
    return [(needles[number], end - len(needles[number].content)) for end, number in sorted(ends)]


@lru_cache(maxsize=4)
def _database(needles: tuple[Needle, ...]) -> Any:
    import hyperscan  # noqa: PLC0415 - loaded by the first search

    database = hyperscan.Database()
    patterns = ["".join(map("\\x{:02x}".format, each.content)).encode() for each in needles]
    database.compile(expressions=patterns, ids=list(range(len(patterns))), elements=len(patterns))
    return database


def unpacked_streams(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what each packed stream in *content* holds, as far as it can be unpacked."""
    whole = memoryview(content)
    for name, (mark, unpacker) in PACKINGS.items():
        end = 0
        for found in mark.finditer(content):
            if found.start() < end:
                continue  # within a stream that was unpacked
            begins = found.start()
            if found.groups():  # in a zip archive the member's name and extra field stand between its header and its stream
                begins = found.end() + sum(int.from_bytes(each, "little") for each in found.groups())
            unpacked, used = _unpacked(unpacker, whole[begins:])
            if len(unpacked) > 8:
                end = begins + used
                yield f"{name} at {found.start()}", unpacked


def _unpacked(unpacker: Callable[[], Any], packed: memoryview) -> tuple[bytes, int]:
    """Return what could be unpacked before the end or the first fault, and how many bytes that took."""
    stream, out = unpacker(), bytearray()
    step, at = len(packed) if getattr(stream, "whole", False) else 1 << 16, 0
    try:
        while at < len(packed) and len(out) < MOST_UNPACKED and not getattr(stream, "eof", False):
            out += stream.decompress(packed[at : at + step])
            at += step
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        pass
    return bytes(out), min(at, len(packed)) - len(getattr(stream, "unused_data", b""))


class _Zstd:
    """Unpacks whole Zstandard frames, with the library that reads Parquet."""

    whole = True
    eof = False
    unused_data = b""

    def decompress(self, packed: memoryview) -> bytes:
        import pyarrow as pa  # noqa: PLC0415 - only where a frame's mark stands

        out = bytearray()
        try:
            with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
                while len(out) < MOST_UNPACKED and (piece := stream.read1(PIECE_BYTES)):
                    out += piece
        except (pa.ArrowException, OSError):
            pass  # what came before the fault was unpacked
        return bytes(out)


PACKINGS: dict[str, tuple[re.Pattern[bytes], Callable[[], Any]]] = {
    "gzip": (re.compile(rb"\x1f\x8b\x08"), lambda: zlib.decompressobj(31)),
    "zlib": (re.compile(rb"\x78[\x01\x5e\x9c\xda]"), zlib.decompressobj),
    "zip": (re.compile(rb"PK\x03\x04.{4}\x08\x00.{16}(..)(..)", re.DOTALL), lambda: zlib.decompressobj(-15)),
    "bzip2": (re.compile(rb"BZh[1-9]1AY&SY"), bz2.BZ2Decompressor),
    "xz": (re.compile(rb"\xfd7zXZ\x00"), lzma.LZMADecompressor),
    "zstd": (re.compile(rb"\x28\xb5\x2f\xfd"), _Zstd),
}
"""The mark with which a stream begins, and what unpacks it."""
