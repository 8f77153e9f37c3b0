"""Whom a TLS client says hello to."""

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramural.walls.hello import Hidden, Incomplete, NotHello, named_host


def hello(name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = name is not None
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


FIRST = hello("models.example.org")


def with_extensions(*extensions):
    """A hello made by hand."""
    packed = b"".join(kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content for kind, content in extensions)
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + len(packed).to_bytes(2, "big") + packed
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def server_name(*names):
    listed = b"".join(b"\x00" + len(name).to_bytes(2, "big") + name for name in names)
    return 0, len(listed).to_bytes(2, "big") + listed


def test_the_name_is_read_in_lower_case():
    assert named_host(FIRST) == "models.example.org"
    assert named_host(with_extensions(server_name(b"MODELS.example"))) == "models.example"
    assert named_host(FIRST + b"more") == "models.example.org"


def test_a_hello_may_name_nobody():
    assert named_host(hello(None)) is None


def test_a_hello_in_pieces_is_waited_for():
    for cut in range(len(FIRST)):
        assert named_host(FIRST[:cut]) is Incomplete.MORE


def test_a_hello_in_several_records_is_put_together():
    message = FIRST[5:]
    pieces = [message[at : at + 50] for at in range(0, len(message), 50)]
    split = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)

    assert named_host(split) == "models.example.org"


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\n",
        b"SSH-2.0-x",
        b"\x16\x02\x00",
        b"\x17\x03\x03\x00\x01a",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01a",
        with_extensions(server_name(b"a.example"), server_name(b"b.example")),
        with_extensions(server_name(b"a.example", b"b.example")),
        with_extensions(server_name(b"\xff.example")),
        with_extensions((0, b"\x00")),
    ],
)
def test_what_is_no_hello_is_refused(first):
    with pytest.raises(NotHello):
        named_host(first)


def test_an_encrypted_name_is_refused():
    with pytest.raises(Hidden):
        named_host(with_extensions(server_name(b"a.example"), (0xFE0D, b"x")))


def test_no_hello_is_endless():
    piece = b"\x16\x03\x01\x40\x00" + bytes([1, 255, 255, 255]) + bytes(16380)
    with pytest.raises(NotHello):
        named_host(piece + (b"\x16\x03\x01\x40\x00" + bytes(16384)) * 5)


@given(st.binary(max_size=200))
def test_any_bytes_have_an_answer(rest):
    for first in (rest, b"\x16\x03\x01" + rest, FIRST[:60] + rest):
        with contextlib.suppress(NotHello, Hidden):
            named_host(first)
