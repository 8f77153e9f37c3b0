"""What every blob back-end promises, and what the directory keeps when it is killed, damaged or full."""

import os
import signal
import subprocess
import sys
import time

import pytest

from disks import a_disk
from factories import a_digest
from intramural.errors import Conflict, DoesNotFit, IntegrityFailure, Unavailable
from intramural.vault.blobs import DirectoryBlobs, MemoryBlobs


@pytest.fixture(params=["directory", "memory"])
def blobs(request, tmp_path):
    return DirectoryBlobs(tmp_path / "vault") if request.param == "directory" else MemoryBlobs()


def test_what_was_written_is_read_back_by_its_digest(blobs):
    digest, size = blobs.write([b"by", b"tes"])

    assert (digest, size, blobs.size(digest)) == (a_digest("bytes"), 5, 5)
    with blobs.open(digest) as file:
        assert file.read() == b"bytes"


def test_an_empty_stream_is_a_blob(blobs):
    digest, size = blobs.write([])

    with blobs.open(digest) as file:
        assert (size, file.read()) == (0, b"")


def test_the_same_bytes_twice_are_one_blob(blobs):
    assert blobs.write([b"bytes"]) == blobs.write([b"b", b"ytes"])


def test_a_blob_that_is_not_there_is_said_so(blobs):
    assert blobs.size(a_digest("none")) is None
    with pytest.raises(IntegrityFailure) as caught:
        blobs.open(a_digest("none"))
    assert caught.value.hint
    blobs.remove(a_digest("none"))


def test_what_was_removed_is_gone(blobs):
    digest, _ = blobs.write([b"bytes"])

    blobs.remove(digest)

    assert blobs.size(digest) is None


def test_a_stream_that_breaks_leaves_no_blob(blobs):
    def broken():
        yield b"half"
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        blobs.write(broken())

    assert blobs.size(a_digest("half")) is None


def files_under(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_a_stream_that_breaks_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError):
        DirectoryBlobs(tmp_path).write(b"x" for _ in [1, 1 // 0])

    assert files_under(tmp_path) == []


def test_blobs_are_for_their_owner_alone_and_read_only(tmp_path):
    root = tmp_path / "vault"
    digest, _ = DirectoryBlobs(root).write([b"bytes"])

    path = DirectoryBlobs(root).local_path(digest)
    assert (path.stat().st_mode & 0o777, root.stat().st_mode & 0o777) == (0o400, 0o700)


def test_writing_again_mends_a_damaged_blob(tmp_path):
    blobs = DirectoryBlobs(tmp_path)
    digest, _ = blobs.write([b"bytes"])
    path = blobs.local_path(digest)
    path.chmod(0o600)
    path.write_bytes(b"bytez")

    blobs.write([b"bytes"])

    assert path.read_bytes() == b"bytes"


WRITER = """
import sys
from pathlib import Path
from intramural.vault.blobs import DirectoryBlobs

def slow():
    for line in sys.stdin.buffer:
        yield line
        print("taken", flush=True)

print(DirectoryBlobs(Path(sys.argv[1])).write(slow())[0])
"""


def test_a_writer_killed_in_the_middle_leaves_no_blob_and_its_rest_is_swept(tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    with writer:
        writer.stdin.write(b"first half\n")
        assert writer.stdout.readline() == b"taken\n"
        writer.send_signal(signal.SIGKILL)
    (rest,) = files_under(tmp_path)
    assert rest.name.endswith(".partial")
    assert DirectoryBlobs(tmp_path).size(a_digest("first half\n")) is None

    an_hour_ago = time.time() - 3600
    os.utime(rest, (an_hour_ago, an_hour_ago))
    digest, _ = DirectoryBlobs(tmp_path).write([b"bytes"])

    assert files_under(tmp_path) == [DirectoryBlobs(tmp_path).local_path(digest)]


def test_a_writer_at_work_is_not_swept(tmp_path):
    def slow():
        yield b"first"
        for path in tmp_path.glob(".*.partial"):
            os.utime(path, (0, 0))
        DirectoryBlobs(tmp_path).write([b"another"])
        yield b"second"

    digest, _ = DirectoryBlobs(tmp_path).write(slow())

    assert DirectoryBlobs(tmp_path).size(digest) == 11


@pytest.fixture
def small_disk(tmp_path):
    with a_disk(tmp_path / "disk", "size=1m") as folder:
        yield folder


def test_a_full_disk_is_said_so_and_leaves_nothing(small_disk):
    blobs = DirectoryBlobs(small_disk / "vault")

    with pytest.raises(DoesNotFit) as caught:
        blobs.write(bytes(1 << 18) for _ in range(8))

    assert "No space left" in caught.value.message
    assert files_under(small_disk) == []
    assert blobs.write([b"bytes"])[1] == 5


def test_a_vault_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(Unavailable) as caught:
        DirectoryBlobs(tmp_path / "file" / "vault").write([b"bytes"])
    assert caught.value.hint


def test_every_blob_is_listed_and_nothing_that_is_none(blobs):
    digests = {blobs.write([each])[0] for each in (b"one", b"two")}
    with pytest.raises(ZeroDivisionError):
        blobs.write(b"x" for _ in [1, 1 // 0])

    assert set(blobs.digests()) == digests


def test_whoever_does_not_wait_is_told_that_others_are_at_work(tmp_path):
    one, other = DirectoryBlobs(tmp_path), DirectoryBlobs(tmp_path)

    with one.held(alone=False), pytest.raises(Conflict, match="just now"), other.held(alone=True, wait=False):
        pass

    with other.held(alone=True, wait=False):
        pass
