"""`intramural audit` as a person types it, in a home of its own."""

import json
import pwd
import sqlite3
from contextlib import closing

import pytest

from intramural.app.open import local_user
from intramural.cli.main import run


@pytest.fixture
def trail(tmp_path, monkeypatch, capsys):
    """A home with four refusals and holds on record; what a command printed, after its exit code is checked."""
    monkeypatch.setenv("INTRAMURAL_HOME", str(tmp_path / "home"))
    for name in ("case-1", "case-2", "case-3"):
        assert run(["audit", "hold", name]) == 0
    assert run(["audit", "release", "case-3"]) == 0
    capsys.readouterr()

    def typed(*words, code=0):
        found = run(["audit", *map(str, words)])
        captured = capsys.readouterr()
        assert found == code, captured
        return captured.out + captured.err

    return typed


def test_audit_alone_prints_the_newest_entries(trail):
    assert trail() == trail("tail")
    assert trail().splitlines()[0].split() == ["ID", "AT", "WHO", "ACTION", "DECISION", "ABOUT", "RULE"]
    assert "case-1" in trail()


def test_search_finds_by_what_it_is_asked(trail):
    found = json.loads(trail("search", "--action", "audit:hold", "--object", "case-2", "--json"))

    assert [each["target"] for each in found] == ["case-2"]
    assert found[0]["origin"]["uid"] is not None
    assert "No entry" in trail("search", "--until", "2020-01-01")
    assert "Invalid value" in trail("search", "--since", "yesterday", code=2)


def test_who_acts_is_who_the_system_says_not_the_environment(trail, monkeypatch):
    for name in ("USER", "LOGNAME", "SUDO_USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    trail("hold", "case-4")

    newest = json.loads(trail("tail", "-n", "1", "--json"))[0]

    import os  # noqa: PLC0415  only here

    assert newest["subject"] == local_user().subject == f"user:{pwd.getpwuid(os.getuid()).pw_name}"
    assert newest["origin"] == {"host": os.uname().nodename, "uid": os.getuid(), "pid": os.getpid(), "address": None}


def test_verify_says_what_is_whole_and_names_the_first_bad_entry_with_exit_six(trail, tmp_path):
    assert "4 entries from 1 on, all signed up to entry 4" in trail("verify")
    assert json.loads(trail("verify", "--json"))["entries"] == 4
    with closing(sqlite3.connect(tmp_path / "home" / "intramural.db")) as raw, raw:
        raw.execute("UPDATE audit_trail SET body = replace(body, 'case-2', 'case-9')")

    assert "Entry 2 was changed" in trail("verify", code=6)
    assert json.loads(trail("verify", "--json", code=6))["error"]["about"] == {"seq": 2, "fault": "changed"}


def test_a_file_is_verified_with_nothing_but_the_public_key(trail, tmp_path, monkeypatch):
    file = tmp_path / "trail.jsonl"
    assert "5 entries, 1 to 5" in trail("export", "-o", file)
    assert "all signed up to entry 5" in trail("verify", file)

    key = (tmp_path / "home" / "keys" / "audit.pub").rename(tmp_path / "audit.pub")
    monkeypatch.setenv("INTRAMURAL_HOME", str(tmp_path / "elsewhere"))
    assert "all signed up to entry 5" in trail("verify", file, "--key", key)
    assert "--key" in trail("verify", file, code=2)
    assert not (tmp_path / "elsewhere").exists()

    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    assert "cut off" in trail("verify", file, "--key", key, code=6)
    assert "not the public key" in trail("verify", file, "--key", file, code=2)


def test_prove_prints_a_proof_with_its_head(trail, tmp_path):
    assert "— intramural/" in trail("prove", "2")
    trail("prove", "2", "-o", tmp_path / "proof.json")
    assert json.loads((tmp_path / "proof.json").read_text())["entry"]["target"] == "case-2"
    assert "no audit entry 99" in trail("prove", "99", code=2)
    assert "Invalid value" in trail("prove", "two", code=2)


def test_holds_are_listed_and_a_retention_is_asked_for(trail, monkeypatch):
    assert [line.split()[0] for line in trail("holds").splitlines()[1:]] == ["case-1", "case-2"]
    assert "audit_keep_access_days" in trail("prune", code=2)
    monkeypatch.setenv("INTRAMURAL_AUDIT_KEEP_CHANGE_DAYS", "30")
    assert "Would take away 0 of change" in trail("prune", "--dry-run")
    assert "Took away 0 of change" in trail("prune")
    monkeypatch.setenv("INTRAMURAL_AUDIT_KEEP_CHANGE_DAYS", "soon")
    assert "audit_keep_change_days" in trail("prune", code=2)


@pytest.mark.parametrize("words", [["verify", "--key", "x"], ["verify", "x", "--accept"], ["export"], ["hold"], ["nonsense"]])
def test_what_makes_no_sense_is_said_so(trail, words):
    trail(*words, code=2)
