"""What a home or a disk in a bad state costs: an exit code, a cause, a next step, and nothing half-written."""

import os

import pytest

from disks import a_disk, make_read_only

ANY = [["ps"], ["data", "list"], ["show", "router"], ["why", "router"], ["cancel", "router"], ["audit", "tail"]]


def error_of(document, arguments, code):
    error = document(*arguments, code=code)["error"]
    assert error["message"]
    assert error["hint"]
    return error


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("body", [b"\x00garbage" * 900, b"SQLite format 3\x00" + b"\xff" * 9000])
def test_a_damaged_store_is_unavailable_whatever_is_asked_and_stays_as_it_is(quiet_home, platform, document, body):
    (quiet_home / "intramural.db").write_bytes(body)
    before = files(quiet_home)

    for arguments in [
        *ANY,
        ["run", str(platform / "tune.yaml")],
        ["data", "add", str(platform / "tickets.jsonl"), "--name", "x"],
    ]:
        assert "backup" in error_of(document, arguments, 8)["hint"]

    assert (quiet_home / "intramural.db").read_bytes() == body
    assert files(quiet_home) == before


def test_a_home_that_cannot_be_made_or_is_none_is_unavailable(platform, tmp_path, monkeypatch, document):
    (tmp_path / "file").write_text("")
    for home in ("/proc/nowhere", tmp_path / "file"):
        monkeypatch.setenv("INTRAMURAL_HOME", str(home))
        for arguments in [*ANY, ["run", str(platform / "tune.yaml")]]:
            assert "INTRAMURAL_HOME" in error_of(document, arguments, 8)["hint"]


def test_a_read_only_disk_is_unavailable(platform, tmp_path, monkeypatch, document):
    with a_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("INTRAMURAL_HOME", str(disk / "home"))
        assert document("ps") == []
        make_read_only(disk)
        for arguments in [*ANY, ["data", "add", str(platform / "tickets.jsonl"), "--name", "x"]]:
            assert "Read-only" in error_of(document, arguments, 8)["message"]


def test_a_disk_that_fills_up_takes_no_data_and_keeps_none_of_it(platform, tmp_path, monkeypatch, document):
    """There is room for the rows once, but not for their copy in the vault as well."""
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes((platform / "tickets.jsonl").read_bytes().replace(b"about", b"about" * 5000))
    with a_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("INTRAMURAL_HOME", str(disk / "home"))
        assert document("data", "list") == []
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "filler").write_bytes(b"f" * (free - rows.stat().st_size * 3 // 2))

        error = error_of(document, ["data", "add", str(rows), "--name", "x"], 7)

        assert "No space left" in error["message"]
        assert [each for each in files(disk / "home") if "jsonl" in each or "vault" in each] == []
        assert document("data", "list") == []


def test_settings_that_are_wrong_are_usage_errors(quiet_home, document):
    for text, words in (("parallel = 2\n", "parallel_runs"), ("parallel_runs = 0\n", "parallel_runs"), ("= 2", "not TOML")):
        (quiet_home / "intramural.toml").write_text(text)
        error = error_of(document, ["ps"], 2)
        assert words in error["message"] + error["hint"]


def test_a_page_that_cannot_be_written_is_a_usage_error_and_nothing_half_written(home, tmp_path, document):
    assert "No such file" in error_of(document, ["show", "router", "-o", str(tmp_path / "no" / "page.html")], 2)["message"]
    with a_disk(tmp_path / "disk", "size=4k") as disk:
        assert "No space left" in error_of(document, ["show", "router", "-o", str(disk / "page.json")], 2)["message"]
        assert list(disk.iterdir()) == []


def test_nothing_is_removed_where_nobody_can_be_asked(quiet_home, document):
    assert "--yes" in error_of(document, ["remove", "job-nope"], 2)["hint"]


def test_a_home_whose_database_is_gone_is_not_begun_anew(platform, tmp_path, monkeypatch, document):
    home = tmp_path / "home"
    monkeypatch.setenv("INTRAMURAL_HOME", str(home))
    document("data", "add", str(platform / "tickets.jsonl"), "--name", "x")
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in home.glob("intramural.db*"):
        path.rename(kept / path.name)
    before = files(home)

    for arguments in [*ANY, ["sweep"], ["run", str(platform / "tune.yaml")]]:
        error = error_of(document, arguments, 8)
        assert "not there" in error["message"]
        assert "restore" in error["hint"]
    (home / "intramural.db").touch()
    error_of(document, ["sweep"], 8)
    (home / "intramural.db").unlink()

    assert files(home) == before
    for path in kept.iterdir():
        path.rename(home / path.name)
    assert [each["name"] for each in document("data", "list")] == ["x"]
