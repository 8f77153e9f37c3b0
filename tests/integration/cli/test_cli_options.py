"""What an option promises is done, and an option that would do nothing is refused."""

import json

import pytest
from cli_world import TUNE

from intramural.cli.main import run

EXPORTS = {"audit:export", "artifact:export", "evidence:export"}


@pytest.mark.parametrize(
    ("words", "belongs"),
    [
        ("model add other --starter tiny-random --revision abc", "--revision belongs to --hub"),
        ("data scan --sample labelled.jsonl --map text=words", "--format and --map belong to files"),
        ("data scan --sample labelled.jsonl --format chat", "--format and --map belong to files"),
        ("data scan tickets --format chat", "--format and --map belong to files"),
        ("interview --section 2 --set name=team", "--section belongs to the conversation"),
    ],
)
def test_an_option_that_would_do_nothing_is_one_of_usage(document, words, belongs):
    error = document(*words.split(), code=2)["error"]

    assert belongs in error["message"]


@pytest.mark.parametrize("source", ["tickets.jsonl", "*.jsonl"])
def test_a_file_is_scanned_in_the_format_that_is_named(home, document, monkeypatch, source):
    monkeypatch.chdir(home)

    assert document("data", "scan", source, "--format", "chat")["rows_read"] == 60


def test_a_request_for_approval_is_written_with_json_too(quiet_home, tmp_path, document, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tune.yaml").write_text(TUNE)
    (tmp_path / "policy.yaml").write_text("every_class: {start_approvals: 1, approvals: 1}\n")
    assert run(["policy", "set", "policy.yaml"]) == 0
    waiting = document("run", "tune.yaml", code=4)["id"]

    assert run(["approvals", "request", waiting, "-o", "ask.json", "--json"]) == 0

    assert json.loads((tmp_path / "ask.json").read_text())["job"] == waiting


def test_exports_that_cannot_be_written_end_alike_and_are_not_on_record(home, document, tmp_path):
    # Other tests work in this home too: there may be more adapters, and a scheduler that writes entries of its own.
    adapter = next(each["id"] for each in document("artifact", "list") if each["kind"] == "adapter")
    (tmp_path / "mine").write_text("mine")

    def allowed():
        entries = document("audit", "tail", "-n", "10000")
        return [each for each in entries if each["action"] in EXPORTS and each["decision"] == "allowed"]

    before = allowed()

    for place in ("mine", "mine/below"):
        for words in (("audit", "export"), ("artifact", "export", adapter), ("evidence", "router")):
            document(*words, "-o", str(tmp_path / place), code=2)

    assert allowed() == before
    assert (tmp_path / "mine").read_text() == "mine"
