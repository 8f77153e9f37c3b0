"""Each row that holds a document has a tag: whoever edits one without the home's key is found out."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Float, Integer, LargeBinary, String, insert

from factories import a_dataset_version, a_model
from intramural.errors import IntegrityFailure, Unavailable
from intramural.store import Store
from intramural.store.documents import TAG, RowKey, tagged_tables

TABLES = {each.name: each for each in tagged_tables()}
COLUMNS = [
    pytest.param(table, column.name, id=f"{table.name}-{column.name}")
    for table in TABLES.values()
    for column in table.columns
    if column is not table.autoincrement_column
]


@pytest.fixture
def store(tmp_path):
    return Store.in_file(tmp_path / "intramural.db")


def raw(tmp_path, statement, *values):
    with closing(sqlite3.connect(tmp_path / "intramural.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


def a_row(table):
    """Return a value for each column, by its type."""
    made = {String: "a-name", Integer: 1, Float: 1790000000.25}
    return {
        each.name: made.get(type(each.type), {"class": "restricted"})
        for each in table.columns
        if each.name != TAG and each is not table.autoincrement_column
    }


def test_every_table_with_a_document_has_tags():
    assert TABLES.keys() == {
        "base_models", "dataset_versions", "jobs", "runs", "artifacts", "policies", "quarantines", "approvals", "scope_keys",
        "shred_certificates",
    }  # fmt: skip


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_an_edited_column_is_found(store, tmp_path, table, column):
    row = a_row(table)
    key = RowKey(tmp_path / "keys" / "records.key")
    with store.writing() as tx:
        tx._connection.execute(insert(table).values({**row, TAG: key.tag(table, row)}))
    with store.reading() as tx:
        assert tx.check_rows() == 1

    kind = type(table.c[column].type)
    other = {String: "another", Integer: 0, Float: 1.5, LargeBinary: bytes(32)}.get(kind, '{"class": "public"}')
    raw(tmp_path, f"UPDATE {table.name} SET {column} = ?", other)  # noqa: S608 - a test's words

    with store.reading() as tx, pytest.raises(IntegrityFailure, match=table.name):
        tx.check_rows()


def test_a_row_under_another_name_or_without_a_tag_is_not_believed(store, tmp_path):
    with store.writing() as tx:
        tx.models.add("default", a_model())

    for statement in ("UPDATE base_models SET name = 'other'", "UPDATE base_models SET tag = NULL"):
        raw(tmp_path, statement)
        with store.reading() as tx, pytest.raises(IntegrityFailure, match="base_models"):
            tx.models.all("default")


def test_the_tag_of_one_row_is_none_of_another(store, tmp_path):
    data = a_dataset_version()
    with store.writing() as tx:
        tx.datasets.add("default", data)
        tx.datasets.add("default", data.model_copy(update={"version": 2}))

    raw(tmp_path, "UPDATE dataset_versions SET tag = (SELECT tag FROM dataset_versions WHERE version = 2)")

    with store.reading() as tx:
        assert tx.datasets.find("default", data.name, 2).version == 2
        with pytest.raises(IntegrityFailure):
            tx.datasets.find("default", data.name, 1)


def test_without_its_key_rows_are_unavailable_and_a_wrong_one_believes_none(store, tmp_path):
    with store.writing() as tx:
        tx.models.add("default", a_model())
    key = tmp_path / "keys" / "records.key"
    right = key.read_text()

    for text, error in (("", Unavailable), ("00", Unavailable), ("ab" * 32, IntegrityFailure)):
        key.write_text(text)
        with Store.in_file(tmp_path / "intramural.db").reading() as tx, pytest.raises(error):
            tx.models.all("default")

    key.write_text(right)
    with Store.in_file(tmp_path / "intramural.db").reading() as tx:
        assert len(tx.models.all("default")) == 1


def as_version_5(tmp_path):
    """Make the database one from before there were tags."""
    for table in TABLES:
        raw(tmp_path, f"ALTER TABLE {table} DROP COLUMN tag")
    raw(tmp_path, "UPDATE schema_version SET version = 5")


def test_rows_from_before_there_were_tags_get_them_once(store, tmp_path):
    with store.writing() as tx:
        tx.models.add("default", a_model())
    store.close()
    as_version_5(tmp_path)
    (tmp_path / "keys" / "records.key").unlink()

    with Store.in_file(tmp_path / "intramural.db").reading() as tx:
        assert tx.check_rows() == 1


def test_a_database_made_to_look_older_is_not_tagged_anew(store, tmp_path):
    with store.writing() as tx:
        tx.models.add("default", a_model())
    store.close()
    as_version_5(tmp_path)
    raw(tmp_path, "UPDATE base_models SET document = replace(document, 'random', 'folder')")

    with Store.in_file(tmp_path / "intramural.db").reading() as tx, pytest.raises(IntegrityFailure):
        tx.check_rows()
