"""The index of a version tells which hashes a side holds; it is sealed and refuses what is no index."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intramural.errors import IntegrityFailure
from intramural.intake.index import Hashed, hashes_of, read_index, seen_in, write_index
from intramural.intake.sides import hash_of
from intramural.intake.spilled import Spilled
from intramural.intake.stored import PLAIN
from intramural.sealing import Keyring, ScopeKey, SealContext, SealedFiles

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=30)


def hashed(folder, files, side, stored, before=()):
    taken = Hashed(Spilled(folder, f"{side}.stored", files), Spilled(folder, f"{side}.before", files))
    taken.stored.extend(stored)
    taken.before.extend(before)
    return taken


def indexed(folder, files, train, holdout, before=((), ())):
    sides = zip(("train", "holdout"), (train, holdout), before, strict=True)
    return write_index(folder, files, *(hashed(folder, files, *each) for each in sides))


def through(folder, train, holdout, before=((), ())):
    indexed(folder, PLAIN, train, holdout, before)
    with open(folder / "index", "rb") as file:
        return read_index(file)


@settings(deadline=None)  # the first example imports what the others have
@given(HASHES, HASHES)
def test_both_sides_come_back_sorted_and_once(tmp_path_factory, train, holdout):
    index = through(tmp_path_factory.mktemp("index"), train, holdout)

    assert index.train.tolist() == sorted(set(train))
    assert index.holdout.tolist() == sorted(set(holdout))


@settings(deadline=None)  # the first example imports what the others have
@given(HASHES, HASHES)
def test_a_hash_is_seen_where_it_is_and_nowhere_else(tmp_path_factory, wanted, known):
    index = through(tmp_path_factory.mktemp("index"), known, wanted)

    assert seen_in(index.holdout, index.train).tolist() == [each in set(known) for each in sorted(set(wanted))]


def test_a_redacted_example_is_found_on_its_side_by_what_it_was(tmp_path):
    index = through(tmp_path, [1, 2], [3], before=([20], [30]))

    assert index.train.tolist() == [1, 2, 20]
    assert index.holdout.tolist() == [3, 30]


def test_hashes_are_those_that_part_the_rows():
    rows = [b'{"messages":[1]}', b'{"messages":["\xc3\xa9"]}']

    assert hashes_of(each + b"\n" for each in rows).tolist() == [hash_of(each) for each in rows]


def test_it_is_sealed_like_the_rows(tmp_path):
    key = ScopeKey.new("key-1")
    files = SealedFiles(Keyring([key]), SealContext("default", "dataset", "tickets"), key.id)
    digest = indexed(tmp_path, files, [7], []).digest

    assert b"IMINDEX1" not in (tmp_path / "index").read_bytes()
    with files.open(tmp_path / "index", "index") as file:
        assert read_index(file).train.tolist() == [7]
    assert digest == indexed(tmp_path, PLAIN, [7], []).digest


@pytest.mark.parametrize("content", [b"", b"IMINDEX1", b"x" * 24, b"IMINDEX1" + bytes([1] + [0] * 15)])
def test_what_is_no_index_is_refused(content):
    with pytest.raises(IntegrityFailure):
        read_index(io.BytesIO(content))
