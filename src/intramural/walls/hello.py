"""Read the first message of a TLS connection, to learn which host it names."""

from __future__ import annotations

from enum import Enum

_HANDSHAKE_RECORD, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ENCRYPTED_HELLO = 0, 0xFE0D
_HEADER = 5
LONGEST = 65_536
"""No client says hello at greater length."""


class NotHello(Exception):
    """The bytes are no TLS handshake that a client opens."""


class Hidden(Exception):
    """The handshake encrypts the host's name."""


class Incomplete(Enum):
    """The bytes so far are the beginning of a hello."""

    MORE = 0


def named_host(first: bytes) -> str | Incomplete | None:
    """Return the host that the hello names, or none. Raises `NotHello` or `Hidden`."""
    message = b""
    place = 0
    while True:
        header = first[place : place + _HEADER]
        if header[:1] not in (b"", bytes([_HANDSHAKE_RECORD])) or header[1:2] not in (b"", b"\x03"):
            raise NotHello
        if len(header) < _HEADER:
            return _more(first)
        length = int.from_bytes(header[3:5], "big")
        if not 0 < length <= 16_384:
            raise NotHello
        message += first[place + _HEADER : place + _HEADER + length]
        if message[0:1] not in (b"", bytes([_CLIENT_HELLO])):
            raise NotHello
        place += _HEADER + length
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return _server_name(message[4 : 4 + int.from_bytes(message[1:4], "big")])
        if place > len(first):
            return _more(first)


def _more(first: bytes) -> Incomplete:
    if len(first) > LONGEST:
        raise NotHello
    return Incomplete.MORE


class _Reader:
    """Takes fields off the front of a message."""

    def __init__(self, content: bytes) -> None:
        self.rest = content

    def take(self, count: int) -> bytes:
        taken, self.rest = self.rest[:count], self.rest[count:]
        if len(taken) < count:
            raise NotHello
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def field(self, size: int) -> bytes:
        return self.take(self.number(size))


def _server_name(body: bytes) -> str | None:
    hello = _Reader(body)
    hello.take(2 + 32)  # version, random
    for size in (1, 2, 1):  # session, ciphers, compressions
        hello.field(size)
    if not hello.rest:
        return None
    extensions = _Reader(hello.field(2))
    name: str | None = None
    while extensions.rest:
        kind, content = extensions.number(2), extensions.field(2)
        if kind == _ENCRYPTED_HELLO:
            raise Hidden
        if kind == _SERVER_NAME:
            if name is not None:
                raise NotHello
            name = _first_name(content)
    return name


def _first_name(content: bytes) -> str:
    names = _Reader(_Reader(content).field(2))
    kind, name = names.number(1), names.field(2)
    if kind != 0 or names.rest:
        raise NotHello
    try:
        return name.decode("ascii").lower()
    except UnicodeDecodeError:
        raise NotHello from None
