"""MLflow through its own client: a real server on loopback, a folder of runs, a database, and what is none of them."""

import hashlib
import socket
import sqlite3
import time
from importlib.util import find_spec
from shutil import copy

import pytest
from mlflow_world import HOUR, START, fill, tracking_server

from intramural.connectors import mlflow
from intramural.errors import InvalidInput, NotFound, Unavailable
from intramural.measurement import mlflow_runs, run_parameters

if not (find_spec("mlflow") and find_spec("flask")):
    pytest.skip("MLflow's client and its server's libraries come with the dev group", allow_module_level=True)


def fetch(source, days=90, **more):
    return mlflow.fetch_runs(str(source), params=run_parameters.NAMES, tags=mlflow_runs.TAGS, days=days, **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("store")
    fill((place / "mlruns").as_uri())
    return place


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    place = tmp_path_factory.mktemp("database") / "mlflow.db"
    fill(f"sqlite:///{place}")
    return place


@pytest.fixture(scope="module")
def server(tmp_path_factory, database):
    place = tmp_path_factory.mktemp("tracking")
    copy(database, place / "mlflow.db")
    with tracking_server(place) as address:
        yield address


def test_a_tracking_server_tells_its_runs_and_only_what_was_named(server):
    runs = fetch(server)

    assert sorted((each["name"], each["status"], each["start_ms"]) for each in runs) == [
        ("sft-0", "FAILED", START),
        ("sft-1", "RUNNING", START + HOUR),
        ("sft-2", "FINISHED", START + 2 * HOUR),
        ("sft-3", "FINISHED", START + 3 * HOUR),
    ]
    assert {each["experiment"] for each in runs} == {"tickets"}
    assert runs[0]["params"] == {"world_size": "4", "lora_r": "16"}
    assert "SECRET" not in str(runs)


def test_its_runs_become_records(server):
    rows = mlflow_runs.from_mlflow(fetch(server)).frame.collect().sort("name").to_dicts()

    assert [(each["state"], each["run_seconds"], each["gpus"]) for each in rows] == [
        ("failed", 3600, 4),
        ("running", None, 4),
        ("completed", 3600, 4),
        ("completed", 3600, 4),
    ]


def test_runs_come_page_by_page_until_they_are_too_old(server):
    told = []

    assert len(fetch(server, page=1, on_read=told.append)) == 4
    assert told == [1, 2, 3, 4, 4]
    assert [each["name"] for each in fetch(server, page=1, days=1.5 / 24)] == ["sft-3", "sft-2"]


def test_a_folder_of_runs_and_a_database_are_read_alike(folder, database):
    for source in (folder, folder / "mlruns", database, f"sqlite:///{database}"):
        assert mlflow.is_tracking(str(source))
        assert sorted(each["name"] for each in fetch(source)) == ["sft-0", "sft-1", "sft-2", "sft-3"]


def test_a_database_is_not_written(database):
    before = hashlib.sha256(database.read_bytes()).hexdigest()

    fetch(database)

    assert hashlib.sha256(database.read_bytes()).hexdigest() == before


def test_nothing_is_told_to_anyone(database):
    fetch(database)

    from mlflow.telemetry.client import get_telemetry_client  # noqa: PLC0415  after the connector imported it
    from mlflow.telemetry.utils import is_telemetry_disabled  # noqa: PLC0415

    assert is_telemetry_disabled()
    assert get_telemetry_client() is None


def test_a_server_that_is_away_is_told_without_the_password_and_soon(database):
    fetch(database)  # imports MLflow's client, which is not what is timed
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        port = closed.getsockname()[1]
        began = time.monotonic()

        with pytest.raises(Unavailable, match=f"http://127.0.0.1:{port} does not answer") as error:
            fetch(f"http://ann:SECRET@127.0.0.1:{port}/mlflow")

    assert "SECRET" not in str(error.value.document())
    assert time.monotonic() - began < 60


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Unavailable, match="does not answer"):
            fetch(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_database_of_something_else_is_none(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("create table a (b)")
    other.close()

    with pytest.raises(InvalidInput, match=r"other\.db is no MLflow"):
        fetch(path)


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(NotFound, match=r"none\.db is not there"):
        fetch(f"sqlite:///{tmp_path}/none.db")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["jobs.csv", "no\0file", "own"])
def test_a_file_is_no_tracking_store(source):
    assert not mlflow.is_tracking(source)
