"""Folders by digest: the same bytes come out, each one checked, and nothing leaves or enters sideways."""

import fcntl
import os
import threading

import pytest

from factories import a_digest
from intramural.errors import Conflict, IntegrityFailure, InvalidInput, Unavailable
from intramural.vault import Tree, TreeFile, Vault
from intramural.vault.blobs import MemoryBlobs


@pytest.fixture
def vault(tmp_path):
    return Vault.in_folder(tmp_path / "vault")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "deep" / "er" / "weights").write_bytes(bytes(range(256)) * 9000)
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def damage(vault, tmp_path, digest):
    """Flip one byte of a blob."""
    path = tmp_path / "vault" / digest[7:9] / digest[9:]
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(body)


def test_a_folder_comes_out_as_it_went_in(vault, folder, tmp_path):
    digest, tree = vault.put_tree(folder)

    exported = vault.export_tree(digest, tmp_path / "a" / "out")
    vault.stage_tree(digest, tmp_path / "staged")

    assert exported == tree == vault.verify_tree(digest)
    assert contents(tmp_path / "a" / "out") == contents(tmp_path / "staged") == contents(folder)
    assert tree.size_bytes == 2 + 256 * 9000


def test_the_digest_names_the_content_not_the_place(vault, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name, body in reversed(contents(folder).items()):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes(body)

    assert vault.put_tree(folder)[0] == vault.put_tree(other)[0]


def test_a_back_end_without_files_stages_copies(folder, tmp_path):
    vault = Vault(MemoryBlobs())
    digest, _ = vault.put_tree(folder)

    vault.stage_tree(digest, tmp_path / "staged")

    assert contents(tmp_path / "staged") == contents(folder)


def test_staging_costs_no_second_copy(vault, folder, tmp_path):
    digest, _ = vault.put_tree(folder)

    vault.stage_tree(digest, tmp_path / "staged")

    assert (tmp_path / "staged" / "config.json").stat().st_nlink == 2


def test_a_flipped_byte_is_found_by_verify_and_export(vault, folder, tmp_path):
    digest, tree = vault.put_tree(folder)
    damage(vault, tmp_path, tree.files["deep/er/weights"].digest)

    with pytest.raises(IntegrityFailure, match="deep/er/weights"):
        vault.verify_tree(digest)
    with pytest.raises(IntegrityFailure):
        vault.export_tree(digest, tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model", "vault"]


def test_a_damaged_file_is_not_staged(vault, folder, tmp_path):
    digest, tree = vault.put_tree(folder)
    damage(vault, tmp_path, tree.files["deep/er/weights"].digest)

    with pytest.raises(IntegrityFailure, match="weights"):
        vault.stage_tree(digest, tmp_path / "staged")

    assert contents(tmp_path / "staged").keys() == {"config.json"}


def test_a_damaged_manifest_is_found(vault, folder, tmp_path):
    digest, _ = vault.put_tree(folder)
    damage(vault, tmp_path, digest)

    with pytest.raises(IntegrityFailure, match="manifest"):
        vault.tree(digest)


def test_a_missing_file_is_found(vault, folder, tmp_path):
    digest, tree = vault.put_tree(folder)
    lost = tree.files["config.json"].digest
    (tmp_path / "vault" / lost[7:9] / lost[9:]).unlink()

    with pytest.raises(IntegrityFailure, match=r"config\.json is missing"):
        vault.verify_tree(digest)
    with pytest.raises(IntegrityFailure, match="lacks"):
        vault.stage_tree(digest, tmp_path / "staged")


def test_a_blob_that_is_no_folder_is_said_so(vault):
    with pytest.raises(IntegrityFailure, match="is no folder"):
        vault.tree(vault.put_bytes(b"plain text"))


@pytest.mark.parametrize("make", ["link to a file", "link to a folder", "dangling link", "pipe"])
def test_links_and_special_files_are_refused(vault, folder, make):
    match make:
        case "link to a file":
            (folder / "x").symlink_to("/etc/passwd")
        case "link to a folder":
            (folder / "x").symlink_to("/etc")
        case "dangling link":
            (folder / "x").symlink_to("nowhere")
        case _:
            os.mkfifo(folder / "x")

    with pytest.raises(InvalidInput, match="x is a link or a special file"):
        vault.put_tree(folder)


@pytest.mark.parametrize("name", [b"not-utf8-\xff", b"new\nline", b"back\\slash"])
def test_names_that_do_not_travel_are_refused(vault, folder, name):
    with open(os.path.join(os.fsencode(folder), name), "wb"):
        pass

    with pytest.raises(InvalidInput, match="name holds signs"):
        vault.put_tree(folder)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a//b", "./x", "", "a\\..\\x", "a/"])
def test_a_manifest_cannot_name_a_place_outside_its_folder(name):
    with pytest.raises(ValueError, match="leaves its folder"):
        Tree(files={name: TreeFile(digest=a_digest(), size=1)})


def test_export_overwrites_nothing(vault, folder, tmp_path):
    digest, _ = vault.put_tree(folder)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path)

    for taken in (full, full / "mine", link):
        with pytest.raises(Conflict):
            vault.export_tree(digest, taken)
    assert contents(full) == {"mine": b"mine"}


def test_an_export_removes_what_a_killed_one_left_in_clear_but_not_one_at_work(vault, folder, tmp_path):
    digest, _ = vault.put_tree(folder)
    left, at_work, other = (tmp_path / name for name in (".out.0001.partial", ".out.0002.partial", ".another.0003.partial"))
    for each in (left, at_work, other):
        each.mkdir()
        (each / "weights").write_text("in clear")
    handle = os.open(at_work, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)

    vault.export_tree(digest, tmp_path / "out")

    os.close(handle)
    assert [each.exists() for each in (left, at_work, other)] == [False, True, True]
    assert contents(tmp_path / "out") == contents(folder)


def test_export_fills_an_empty_folder(vault, folder, tmp_path):
    digest, _ = vault.put_tree(folder)
    (tmp_path / "empty").mkdir()

    vault.export_tree(digest, tmp_path / "empty")

    assert contents(tmp_path / "empty") == contents(folder)


def test_export_to_a_place_that_cannot_be_written_is_unavailable(vault, folder, tmp_path):
    digest, _ = vault.put_tree(folder)
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(Unavailable):
        vault.export_tree(digest, tmp_path / "file" / "out")


def blobs(tmp_path):
    return {f"sha256:{path.parent.name}{path.name}" for path in (tmp_path / "vault").rglob("*") if path.is_file()}


def test_a_removed_folder_frees_what_no_other_has(vault, folder, tmp_path):
    (folder / "shared").write_bytes(b"in both")
    (folder / "empty").write_bytes(b"")
    other = tmp_path / "other"
    other.mkdir()
    (other / "shared").write_bytes(b"in both")
    rows = vault.put_bytes(b"")
    kept, kept_tree = vault.put_tree(other)
    digest, _ = vault.put_tree(folder)

    vault.remove_tree(digest, trees=[kept], files=[rows])

    assert blobs(tmp_path) == {kept, rows, kept_tree.files["shared"].digest}
    assert vault.put_tree(folder)[0] == digest
    assert contents(folder).keys() == vault.verify_tree(digest).files.keys()


@pytest.mark.parametrize("damaged", ["the folder", "another"])
def test_nothing_is_removed_where_a_damaged_manifest_hides_what_is_shared(vault, folder, tmp_path, damaged):
    digest, _ = vault.put_tree(folder)
    other = vault.put_bytes(b'{"files": {}}')
    before = blobs(tmp_path)
    damage(vault, tmp_path, digest if damaged == "the folder" else other)

    vault.remove_tree(digest, trees=[other], files=[])

    assert blobs(tmp_path) == before


def test_nothing_is_removed_while_somebody_adds(vault):
    told = []

    def remove():
        with vault.removing():
            told.append("removed")

    remover = threading.Thread(target=remove)
    with vault.adding(), vault.adding():
        remover.start()
        remover.join(0.1)
        told.append("added")
    remover.join()

    assert told == ["added", "removed"]
