"""The S3 back-end against a real server: the contract of every back-end, and what only a network does."""

import os
import time

import pytest
from provider_world import a_seaweed

from factories import a_digest
from intramural.errors import Conflict, IntegrityFailure, InvalidInput, Unavailable
from intramural.sealing import Keyring, ScopeKey, SealContext, SealedFiles
from intramural.vault import Vault

obstore = pytest.importorskip("obstore", reason="the extra s3 is not installed")

from obstore.store import S3Store  # noqa: E402 - after the check

from intramural.vault.s3 import HOMES, SMALL_BYTES, S3Blobs  # noqa: E402 - as above


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with a_seaweed(tmp_path_factory.mktemp("weed")) as (address, _):
        yield address


@pytest.fixture
def raw(server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
    make_bucket(server)
    return S3Store("vault", endpoint=server, region="us-east-1", client_options={"allow_http": True})


def make_bucket(server):
    import boto3  # noqa: PLC0415 - makes the bucket, nothing else

    client = boto3.session.Session().client("s3", endpoint_url=server, region_name="us-east-1")
    if "vault" not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket="vault")


@pytest.fixture
def blobs(server, raw, tmp_path):
    return S3Blobs(f"s3://vault/{tmp_path.name}", tmp_path / "work", endpoint=server)


def waiting(tmp_path):
    """What waits beside the bucket; the home's own mark does not."""
    return [each for each in (tmp_path / "work").rglob("*") if each.is_file() and each.name != HOMES]


def key_of(tmp_path, digest):
    return f"{tmp_path.name}/{digest[7:9]}/{digest[9:]}"


def test_the_contract_of_every_back_end(blobs):
    digest, size = blobs.write([b"by", b"tes"])

    assert (digest, size, blobs.size(digest)) == (a_digest("bytes"), 5, 5)
    assert blobs.write([b"bytes"]) == (digest, 5)
    with blobs.open(digest) as file:
        assert file.read() == b"bytes"
    blobs.remove(digest)
    assert blobs.size(digest) is None
    blobs.remove(digest)
    with pytest.raises(IntegrityFailure):
        blobs.open(digest)
    empty, _ = blobs.write([])
    with blobs.open(empty) as file:
        assert file.read() == b""


def test_a_large_object_goes_in_parts_and_is_read_at_any_place(blobs, tmp_path):
    body = os.urandom(1 << 20) * 20

    digest, size = blobs.write(body[at : at + 700_000] for at in range(0, len(body), 700_000))

    assert size == len(body) > SMALL_BYTES
    with blobs.open(digest) as file:
        file.seek(9_999_999)
        assert file.read(17) == body[9_999_999:10_000_016]
        file.seek(0)
        assert file.read() == body
    assert not waiting(tmp_path)


def test_a_stream_that_breaks_leaves_no_object(blobs, raw, tmp_path):
    with pytest.raises(ZeroDivisionError):
        blobs.write(b"x" * 1000 for _ in [1, 1 // 0])

    assert not [each for page in obstore.list(raw, prefix=tmp_path.name) for each in page]


@pytest.mark.parametrize("size", [5, SMALL_BYTES + 5])
def test_writing_again_mends_a_damaged_object(blobs, raw, tmp_path, size):
    body = os.urandom(size)
    digest, _ = blobs.write([body])
    obstore.put(raw, key_of(tmp_path, digest), b"\0" + body[1:])

    blobs.write([body])

    with blobs.open(digest) as file:
        assert file.read() == body


def test_a_vault_over_it_seals_stages_and_exports(blobs, tmp_path, raw):
    vault = Vault(blobs)
    key = ScopeKey.new("key-1")
    files = SealedFiles(Keyring([key]), SealContext("default", "output", "job-1"), "key-1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "weights").write_bytes(b"the customer's secret sentence" * 1000)

    digest, tree = vault.put_sealed_tree(tmp_path / "out", files)
    vault.export_tree(digest, tmp_path / "export", files)
    vault.stage_tree(digest, tmp_path / "staged")

    assert (tmp_path / "export" / "weights").read_bytes() == (tmp_path / "out" / "weights").read_bytes()
    assert b"secret sentence" not in (tmp_path / "staged" / "weights").read_bytes()
    stored = bytes(obstore.get(raw, key_of(tmp_path, tree.files["weights"].blob)).bytes())
    assert b"secret sentence" not in stored


def test_wrong_credentials_are_said_so(server, raw, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")

    with pytest.raises(Unavailable) as caught:
        S3Blobs("s3://vault/x", tmp_path, endpoint=server).write([b"bytes"])
    assert "another" not in caught.value.message


def test_a_server_that_is_lost_is_named_and_nothing_is_left_behind(tmp_path_factory, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
    with a_seaweed(tmp_path_factory.mktemp("weed")) as (address, process):
        make_bucket(address)
        blobs = S3Blobs("s3://vault/lost", tmp_path / "work", endpoint=address)

        def kills_the_server():
            yield b"first half"
            process.kill()
            process.wait()
            yield b"second half"

        with pytest.raises(Unavailable, match="bucket vault"):
            blobs.write(kills_the_server())
    assert not waiting(tmp_path)


@pytest.mark.parametrize("url", ["", "vault", "http://vault", "s3://"])
def test_an_address_that_is_none_is_said_so(url, tmp_path):
    with pytest.raises(InvalidInput):
        S3Blobs(url, tmp_path)


def test_an_endpoint_in_clear_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="not encrypted"):
        S3Blobs("s3://vault", tmp_path, endpoint="http://storage.example")


def test_what_a_home_wrote_is_listed_and_nothing_else(blobs, raw, tmp_path):
    before = "sha256:" + "0" * 64
    obstore.put(raw, key_of(tmp_path, before), b"of another home, from before homes left marks")
    time.sleep(1.1)  # S3 tells times in seconds
    digests = {blobs.write([each])[0] for each in (b"one", b"two")}
    obstore.put(raw, f"{tmp_path.name}/ab/note", b"no blob")

    assert set(blobs.digests()) == digests


def test_where_two_homes_share_a_place_neither_is_told_what_is_there(blobs, server, tmp_path):
    other = S3Blobs(f"s3://vault/{tmp_path.name}", tmp_path / "other", endpoint=server)
    for each in (blobs, other):
        each.write([b"bytes"])

    with pytest.raises(Conflict, match="2 homes"):
        list(blobs.digests())
