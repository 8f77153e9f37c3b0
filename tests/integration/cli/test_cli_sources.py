"""Sources on the command line: several, patterns and pipes; what cannot be is said before anything is read."""

import io
import json
import sys

import pytest

from intramural.cli.main import run
from intramural.cli.sources import absolute_names


def rows(path, *prompts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"prompt": each, "completion": "a"}) + "\n" for each in prompts))
    return path


def test_a_pattern_is_of_the_present_folder_even_where_that_has_a_name_like_a_pattern(tmp_path, monkeypatch):
    here = tmp_path / "in[1]"
    rows(here / "a.jsonl", "q")
    monkeypatch.chdir(here)

    assert absolute_names(["a.jsonl", "-", "s3://b/k"]) == [str(here / "a.jsonl"), "-", "s3://b/k"]
    (pattern,) = absolute_names(["*.jsonl"])
    assert pattern.endswith("/*.jsonl")
    assert "in[[]1]" in pattern


def test_files_folders_and_a_pipe_are_one_version(document, tmp_path, monkeypatch):
    rows(tmp_path / "in" / "a.jsonl", *(f"a{n}" for n in range(20)))
    rows(tmp_path / "in" / ".b.jsonl", "hidden")
    piped = b"".join(json.dumps({"prompt": f"p{n}", "completion": "a"}).encode() + b"\n" for n in range(5))
    source = tmp_path / "piped"
    source.write_bytes(piped)
    with source.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        added = document("data", "add", str(tmp_path / "in"), "-", "--name", "mixed")

    assert (added["rows_read"], added["files"], added["skipped_files"]) == (25, 2, {"hidden": 1})


@pytest.mark.parametrize(
    "arguments",
    [
        ["data", "add", "-", "-", "--name", "x"],
        ["data", "add", "s3://bucket/rows.jsonl", "--name", "x"],
        ["data", "add", "none*.jsonl", "--name", "x"],
        ["data", "add", "--name", "x"],
        ["data", "add", "a.jsonl", "--name", "x", "--license", "do what you like"],
        ["data", "scan"],
        ["data", "scan", "a.jsonl", "--map", "prompt"],
        ["data", "redact", "nowhere"],
        ["data", "redact", "tickets", "--on", "email=burn"],
    ],
)
def test_what_cannot_be_is_refused_as_usage(tmp_path, monkeypatch, arguments):
    rows(tmp_path / "a.jsonl", "q", "r")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))

    assert run(arguments) == 2


def test_a_stored_version_is_redacted_and_the_card_says_from_what(capsys, tmp_path):
    rows(tmp_path / "a.jsonl", *(f"write to anna{n}@example.com" for n in range(30)))
    assert run(["data", "add", str(tmp_path / "a.jsonl"), "--name", "mail", "--license", "cc-by-4.0"]) == 0
    assert run(["data", "redact", "mail", "--on", "email=mask"]) == 0

    said = capsys.readouterr().out
    assert "redacted from  mail@1" in said
    assert "CC-BY-4.0" in said
    assert "30 masked (30 email)" in said
    assert "Names and addresses were not looked for" in said
    assert run(["data", "scan", str(tmp_path / "a.jsonl"), "--map", "prompt=prompt", "--map", "completion=completion"]) == 0
