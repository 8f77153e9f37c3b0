"""A shredding that was not carried to its end is told by every command about the data, and the same command ends it."""

import sqlite3
from contextlib import closing

import pytest
from cli_world import chat, write_rows

from intramural.app.open import local_user, open_context
from intramural.cli.main import run
from intramural.settings import load_settings


@pytest.fixture
def data_home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("INTRAMURAL_HOME", str(home))
    rows = write_rows(tmp_path / "tickets.jsonl", [chat(n) for n in range(60)])
    assert run(["data", "add", str(rows), "--name", "tickets"]) == 0
    return home


@pytest.fixture
def half(data_home, document):
    """A home with half-shredded data: a wrapped copy of its key was left in the database. Returns how to take it away."""
    ctx = open_context(load_settings(data_home, {}), local_user())
    with ctx.read() as tx:
        [key] = tx.scope_keys.all(ctx.project)
    ctx.store.close()
    with closing(sqlite3.connect(data_home / "intramural.db")) as database, database:
        database.execute("CREATE TABLE left_by_somebody (body)")
        database.execute("INSERT INTO left_by_somebody VALUES (?)", [key.wrapped.body])
    error = document("data", "shred", "tickets", "--yes", code=6)["error"]
    assert "still holds the wrapped form" in error["message"]

    def mend():
        with closing(sqlite3.connect(data_home / "intramural.db")) as database, database:
            database.execute("PRAGMA secure_delete = ON")
            database.execute("DELETE FROM left_by_somebody")

    return mend


def test_a_half_shredded_data_set_is_told_everywhere_and_the_same_command_completes_it(half, document, capsys):
    error = document("data", "certificate", "tickets", code=2)["error"]
    assert "interrupted, or its proof failed" in error["message"]
    assert "`intramural data shred tickets` again" in error["hint"]
    assert [each["shred_certified"] for each in document("data", "list")] == [False]
    assert run(["data", "list"]) == run(["data", "show", "tickets"]) == 0
    told = capsys.readouterr()
    assert "half shredded" in told.out
    assert "`intramural data shred tickets` completes it" in told.err
    assert "`intramural data shred tickets` completes it" in told.out

    half()
    certificate = document("data", "shred", "tickets", "--yes")

    assert document("data", "certificate", "tickets") == certificate
    assert [each["shred_certified"] for each in document("data", "list")] == [True]
    assert run(["data", "list"]) == 0
    told = capsys.readouterr()
    assert "half" not in told.out
    assert told.err == ""


def test_a_certificate_for_people_says_of_each_key_what_was_tried(data_home, capsys):
    assert run(["data", "shred", "tickets", "--yes"]) == 0

    told = capsys.readouterr().out
    assert "given to its provider: refused; it opened before" in told
    assert "looked for in every byte of the database and its log: not there" in told
