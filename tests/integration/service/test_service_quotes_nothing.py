"""
No error quotes what it is about: a canary goes through every reader, and is not in what comes back.

What is looked at is the whole chain that a traceback would print, causes and contexts included.
"""

import csv
import gzip
import json
import sqlite3
import traceback

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from intramural.app.transport import _read
from intramural.client.transport import silent
from intramural.domain.profile import Profile
from intramural.domain.spec import JobSpec
from intramural.domain.strict_yaml import read as read_yaml
from intramural.domain.value import Value, faults_of
from intramural.domain.views import DatasetOptions, ModelSource
from intramural.domain.workload import EVENT
from intramural.errors import IntramuralError
from intramural.intake.add import IngestOptions, ingest
from intramural.intake.chat_template import ChatTemplate
from intramural.intake.stored import examples_of
from intramural.intake.tokens import Encoder
from intramural.measurement.detect import read_source
from intramural.sealing import Keyring
from intramural.settings import load_settings
from intramural.store import Store

CANARY = "Quetzal Жако 7f"
PARTS = ("Quetzal", "Жако", r"\u0416", r"\xd0\x96", "zal 7", "quetzal")


def told_by(error):
    """Everything that a traceback, a log or a wire could show of *error*, but for lines of code."""
    chain, seen = [error], []
    while chain:
        each = chain.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        chain += [each.__cause__, None if each.__suppress_context__ else each.__context__]
    lines = [line for each in seen for line in traceback.format_exception_only(each)]
    return "\n".join([*lines, json.dumps(error.document()) if isinstance(error, IntramuralError) else ""])


def quotes(error):
    return [part for part in PARTS if part in told_by(error)]


def fails(act, *given):
    """Return the error of an act that must fail, with its whole chain."""
    try:
        found = act(*given)
        list(found if hasattr(found, "__next__") else ())
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


ROWS = {
    "torn.jsonl": f'{{"prompt": "{CANARY}'.encode(),
    "bare.jsonl": CANARY.encode(),
    "constant.jsonl": f'{{"prompt": "{CANARY}", "completion": NaN}}'.encode(),
    "deep.jsonl": f'{{"prompt": {"[" * 3000}"{CANARY}"'.encode(),
    "surrogate.jsonl": f'{{"prompt": "{CANARY} \\ud800", "completion": "a"}}'.encode(),
    "escape.jsonl": f'{{"prompt": "\\q{CANARY}", "completion": "a"}}'.encode(),
    "bytes.jsonl": f'{{"prompt": "{CANARY}'.encode() + b'\xff"}',
    "array.json": f'[{{"prompt": "{CANARY}", "completion": {CANARY}}}]'.encode(),
    "cut.json": f'[{{"prompt": "{CANARY}", "completion": "a"}}'.encode(),
    "names.jsonl": json.dumps({CANARY: CANARY}).encode(),
    "list.jsonl": json.dumps([CANARY]).encode(),
    "role.jsonl": json.dumps({"messages": [{"role": CANARY, "content": CANARY}]}).encode(),
    "turn.jsonl": json.dumps({"messages": [CANARY]}).encode(),
    "messages.jsonl": json.dumps({"messages": CANARY}).encode(),
    "content.jsonl": json.dumps({"messages": [{"role": "user", "content": {CANARY: CANARY}}]}).encode(),
    "weight.jsonl": json.dumps({"messages": [{"role": "assistant", "content": CANARY, "weight": CANARY}]}).encode(),
    "tools.jsonl": json.dumps(
        {"messages": [{"role": "assistant", "content": CANARY, "tool_calls": [CANARY], "x": 1}]}
    ).encode(),
    "from.jsonl": json.dumps({"conversations": [{"from": CANARY, "value": CANARY}]}).encode(),
    "history.jsonl": json.dumps({"instruction": CANARY, "output": CANARY, "history": [[CANARY]]}).encode(),
    "equal.jsonl": json.dumps({"prompt": CANARY, "chosen": CANARY, "rejected": CANARY}).encode(),
    "quote.csv": f'prompt,completion\n"{CANARY}" {CANARY},a\n'.encode(),
    "open.csv": f'prompt,completion\n"{CANARY},a\n'.encode(),
    "ragged.csv": f"prompt,completion\n{CANARY},a,b\n".encode(),
    "header.csv": f"{CANARY},{CANARY}\n1,2\n".encode(),
    "strange.csv": f"{CANARY},b\n1,2\n".encode(),
    "latin.csv": b"prompt,completion\n" + CANARY.encode() + b"\xff,a\n",
    "cell.csv": f"messages,x\n{CANARY},a\n".encode(),
    "wide.jsonl": CANARY.encode("utf-16"),
    "cut.jsonl.gz": gzip.compress(json.dumps({"prompt": CANARY, "completion": CANARY}).encode() * 50)[:-12],
    "not.parquet": b"PAR1" + CANARY.encode() + b"PAR1",
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(ROWS[name])

    error = fails(ingest, path, tmp_path / "work", IngestOptions())

    assert isinstance(error, IntramuralError)
    assert quotes(error) == []


def test_a_cell_of_parquet_that_is_of_another_kind(tmp_path):
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"prompt": [{CANARY: CANARY}], "completion": [CANARY]}), path)

    assert quotes(fails(ingest, path, tmp_path / "work", IngestOptions())) == []


def test_groups_and_mappings(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": [CANARY], "answer": CANARY}))

    error = fails(ingest, path, tmp_path / "work", IngestOptions(mapping={"prompt": "question", "completion": "answer"}))

    assert quotes(error) == []


TUNES = {
    "a value": f"train: {{steps: '{CANARY}'}}",
    "a choice": f"class: '{CANARY}'",
    "a name": f"name: '{CANARY}'",
    "a torn quotation": f"train: '{CANARY}",
    "an anchor": f"train: &x {CANARY}",
    "a tag": f"train: !x {CANARY}",
    "a list": f"[{CANARY}]",
    "a colon": f"train: {CANARY}: {CANARY}",
    "a tab": f"train:\n\t{CANARY}: 1",
}


@pytest.mark.parametrize("kind", [JobSpec, Profile])
@pytest.mark.parametrize("name", TUNES)
def test_files_that_people_write(name, kind):
    assert quotes(fails(read_yaml, f"base: tiny\ndata: rows\n{TUNES[name]}\n", kind)) == []


def test_an_answer_of_a_profile():
    for section in ("job_mix", "persona"):
        assert quotes(fails(read_yaml, f"{section}: {{size: '{CANARY}'}}\n", Profile)) == []


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (DatasetOptions, {"source_format": [CANARY]}),
        (DatasetOptions, {"classification": CANARY}),
        (DatasetOptions, {"mapping": {"a": [CANARY]}}),
        (ModelSource, {"hub": {"a": CANARY}}),
        (JobSpec, {"name": CANARY, "base": CANARY, "data": [CANARY]}),
    ],
)
def test_a_request(kind, document):
    assert quotes(fails(_read, kind, document)) == []


def test_a_validation_error_that_nobody_cleaned():
    """Every value hides its input, and the one message of pydantic's that quotes is replaced."""
    error = fails(EVENT.validate_python, {"type": CANARY})

    assert quotes(fails(DatasetOptions.model_validate, {"split": CANARY, "holdout": [CANARY]})) == []
    assert CANARY not in json.dumps(faults_of(error), default=str)
    assert issubclass(DatasetOptions, Value)


def test_every_adapter_and_value_hides_its_input():
    assert isinstance(EVENT, TypeAdapter)
    assert quotes(fails(EVENT.validate_json, json.dumps({"type": "step", "at": CANARY, "loss": CANARY}))) == []


def test_stored_rows():
    assert quotes(fails(lambda: list(examples_of([f'{{"messages": "{CANARY}'.encode()])))) == []


def test_a_chat_template():
    template = ChatTemplate("{{ raise_exception(messages[0].content) }}", {})

    assert quotes(fails(template.render, [{"role": "user", "content": CANARY}])) == []


def test_a_tokenizer(tmp_path):
    (tmp_path / "tokenizer.json").write_text(f'{{"version": "{CANARY}"')
    (tmp_path / "tokenizer_config.json").write_text(CANARY)

    assert quotes(fails(Encoder, tmp_path)) == []


def test_the_database(tmp_path):
    store = Store.in_file(tmp_path / "x.db")
    with store._engine.connect() as connection:
        error = fails(lambda: connection.execute(text("SELECT :a FROM nothing"), {"a": CANARY}))
    store.close()

    assert isinstance(error, SQLAlchemyError)
    assert isinstance(error.orig, sqlite3.Error)
    assert quotes(error) == []


def test_settings(tmp_path):
    for line in (f'parallel_runs = "{CANARY}"', f"keys = {{provider = '{CANARY}'}}", f"parallel_runs = {CANARY}"):
        (tmp_path / "intramural.toml").write_text(line)
        assert quotes(fails(load_settings, tmp_path, {})) == []


def test_keys():
    assert quotes(fails(Keyring.decode, CANARY.encode())) == []


RECORDS = {
    "torn.json": f'{{"items": "{CANARY}'.encode(),
    "other.json": json.dumps({CANARY: CANARY}).encode(),
    "items.json": json.dumps({"kind": "List", "items": [CANARY]}).encode(),
    "rows.jsonl": json.dumps({"messages": [{"role": "user", "content": CANARY}]}).encode(),
    "text.txt": CANARY.encode(),
    "rows.csv": f"prompt,completion\n{CANARY},{CANARY}\n".encode(),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records_of_jobs(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(RECORDS[name])

    assert quotes(fails(read_source, str(path))) == []


def test_the_libraries_do_quote():
    """What this page guards against: without it, these errors would carry the text."""
    assert "Quetzal" in fails(json.loads, f'{{"a": {CANARY}').doc
    assert "Quetzal" in fails(orjson.loads, CANARY).doc
    assert fails(lambda: list(csv.reader([f'"{CANARY}" x,'], strict=True)))
    assert silent(0, 1, CANARY) is None
