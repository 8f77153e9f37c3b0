"""A container opens with its key, in its place, whole; everything else is found."""

import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intramural.errors import IntegrityFailure, InvalidInput
from intramural.sealing import (
    Keyring,
    ScopeKey,
    SealContext,
    SealingWriter,
    open_sealed,
    plain_size,
    seal,
    sealed_chunks,
    unseal,
)
from intramural.sealing.container import HEADER_BYTES, key_id_of
from intramural.sealing.keys import TAG_BYTES, WRAPPED_BYTES

KEY = ScopeKey.new("key-1")
KEYS = Keyring([KEY])
PLACE = SealContext("default", "dataset", "tickets/train.jsonl")
SMALL = 16


def sealed(plain, segment_bytes=SMALL, key=KEY, context=PLACE):
    target = io.BytesIO()
    writer = SealingWriter(target, key, context, segment_bytes)
    writer.write(plain)
    writer.finish()
    return target.getvalue()


def opened(body, keys=KEYS, context=PLACE):
    with open_sealed(io.BytesIO(body), keys, context) as reader:
        return reader.read()


@given(plain=st.binary(max_size=200), pieces=st.lists(st.integers(1, 60), max_size=10))
def test_what_was_sealed_in_any_pieces_is_what_opens(plain, pieces):
    target = io.BytesIO()
    writer = SealingWriter(target, KEY, PLACE, SMALL)
    at = 0
    for each in pieces:
        writer.write(plain[at : at + each])
        at += each
    writer.write(plain[at:])
    writer.finish()

    assert opened(target.getvalue()) == plain
    assert (writer.plain_size, plain_size(len(target.getvalue()), SMALL)) == (len(plain), len(plain))


@given(plain=st.binary(min_size=1, max_size=200), data=st.data())
def test_any_place_is_read_alone(plain, data):
    start = data.draw(st.integers(0, len(plain)))
    count = data.draw(st.integers(0, 250))
    with open_sealed(io.BytesIO(sealed(plain)), KEYS, PLACE) as reader:
        reader.seek(start)
        assert reader.read(count) == plain[start : start + count]
        assert reader.tell() == min(len(plain), start + count)
        reader.seek(-1, io.SEEK_END)
        assert reader.read() == plain[-1:]


def test_lines_are_read_as_from_a_plain_file():
    rows = [os.urandom(each).hex().encode() + b"\n" for each in range(1, 400, 7)]

    assert list(open_sealed(io.BytesIO(sealed(b"".join(rows), 100)), KEYS, PLACE)) == rows


def test_a_stream_is_sealed_as_a_whole_is():
    body = os.urandom(3_000_000)

    assert unseal(b"".join(sealed_chunks([body[:7], body[7:2_500_000], body[2_500_000:]], KEY, PLACE)), KEYS, PLACE) == body
    assert unseal(seal(body, KEY, PLACE), KEYS, PLACE) == body


@settings(max_examples=300)
@given(place=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_found(place, bit):
    body = bytearray(sealed(b"rows of a customer, fifty bytes or a little more.."))
    body[place % len(body)] ^= 1 << bit

    with pytest.raises(IntegrityFailure):
        opened(bytes(body))


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL, 3 * SMALL + 5])
def test_every_cut_is_found_on_a_boundary_too(size):
    body = sealed(b"x" * size)

    for end in range(len(body)):
        with pytest.raises(IntegrityFailure):
            opened(body[:end])
    with pytest.raises(IntegrityFailure):
        opened(body + b"\0")


def test_a_container_that_was_not_finished_does_not_open():
    target = io.BytesIO()
    SealingWriter(target, KEY, PLACE, SMALL).write(b"x" * 5 * SMALL)

    with pytest.raises(IntegrityFailure):
        opened(target.getvalue())


def test_swapped_and_repeated_segments_are_found():
    body = sealed(bytes(range(4 * SMALL)))
    stride = SMALL + TAG_BYTES
    first, second, rest = (
        body[HEADER_BYTES:][:stride],
        body[HEADER_BYTES + stride :][:stride],
        body[HEADER_BYTES + 2 * stride :],
    )

    for changed in (second + first + rest, first + first + rest, first + rest, first + second + second + rest):
        with pytest.raises(IntegrityFailure):
            opened(body[:HEADER_BYTES] + changed)


def test_a_segment_of_another_object_is_found():
    one, other = sealed(b"a" * 40), sealed(b"b" * 40)
    stride = SMALL + TAG_BYTES

    with pytest.raises(IntegrityFailure):
        opened(one[:HEADER_BYTES] + other[HEADER_BYTES : HEADER_BYTES + stride] + one[HEADER_BYTES + stride :])
    with pytest.raises(IntegrityFailure):
        opened(other[:HEADER_BYTES] + one[HEADER_BYTES:])


@pytest.mark.parametrize(
    "context",
    [
        SealContext("other", "dataset", "tickets/train.jsonl"),
        SealContext("default", "checkpoint", "tickets/train.jsonl"),
        SealContext("default", "dataset", "tickets/holdout.jsonl"),
        SealContext("default", "dataset/tickets", "train.jsonl"),
    ],
)
def test_another_place_does_not_open(context):
    with pytest.raises(IntegrityFailure):
        opened(sealed(b"rows"), context=context)


def test_another_key_of_the_same_name_does_not_open():
    with pytest.raises(IntegrityFailure):
        opened(sealed(b"rows"), Keyring([ScopeKey.new("key-1")]))


def test_a_key_that_is_not_at_hand_is_said_so():
    with pytest.raises(IntegrityFailure, match="key is not at hand"):
        opened(sealed(b"rows"), Keyring([ScopeKey.new("key-2")]))


def test_wrapping_the_object_key_anew_changes_no_segment():
    """The header's right part is replaced; the segments stay as they are and open with the new key."""
    body = sealed(b"rows of a customer" * 5)
    salt = body[12:44]
    object_key = KEY.unwrap(body[HEADER_BYTES - WRAPPED_BYTES : HEADER_BYTES], salt, PLACE)
    new = ScopeKey.new("key-2")
    header = body[: HEADER_BYTES - WRAPPED_BYTES - 32] + b"key-2".ljust(32, b"\0") + new.wrap(object_key, salt, PLACE)

    assert opened(header + body[HEADER_BYTES:], Keyring([new])) == b"rows of a customer" * 5


def test_the_same_bytes_are_never_sealed_alike():
    assert seal(b"rows", KEY, PLACE) != seal(b"rows", KEY, PLACE)


def test_nothing_of_the_plain_bytes_is_in_the_sealed_ones():
    assert b"secret sentence" not in sealed(b"the customer's secret sentence" * 10, 1 << 20)


def test_the_header_names_the_key_it_needs():
    assert key_id_of(io.BytesIO(sealed(b"rows"))) == "key-1"


@pytest.mark.parametrize("body", [b"", b"IMSEAL", b'{"messages": []}\n' * 50, b"IMSEAL" + b"\xff" * 400])
def test_bytes_that_are_no_container_are_said_so(body):
    with pytest.raises(IntegrityFailure):
        opened(body)


def test_a_keyring_goes_through_a_pipe_and_shows_no_key():
    keys = Keyring([KEY, ScopeKey.new("key-2")])
    again = Keyring.decode(keys.encode())

    assert again.get("key-1") == KEY
    assert KEY.secret.hex() not in repr(keys) + repr(KEY)
    assert "secret" not in repr(KEY)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"key-1": 5}', b'{"key-1": "c2hvcnQ="}', b'{"key-1": "!"}'])
def test_a_torn_keyring_is_said_so(line):
    with pytest.raises((IntegrityFailure, InvalidInput)):
        Keyring.decode(line)


@pytest.mark.parametrize("key_id", ["", "k" * 33, "schlüssel"])
def test_a_key_has_an_id_that_a_header_can_hold(key_id):
    with pytest.raises(InvalidInput):
        ScopeKey.new(key_id)
