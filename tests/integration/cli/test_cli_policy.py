"""Policy, lineage, quarantine and trace on the command line: documents, words for people, exit codes for scripts."""

import json

import pytest
from cli_world import TUNE, chat, write_rows

from intramural.cli.main import run

EU = "every_class: {regions: [eu-central-1]}\n"


@pytest.fixture
def written(tmp_path):
    def written(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return written


def test_a_policy_is_shown_set_and_obeyed(quiet_home, document, written, capsys):
    tune = written("tune.yaml", TUNE)
    assert document("policy", "show")["source"] == "defaults"
    assert document("policy", "set", written("eu.yaml", EU), "--dry-run")["policy"]["public"]["regions"] == ["eu-central-1"]
    assert document("run", tune, "--dry-run")["verdict"]["denials"] == []

    assert document("policy", "set", written("eu.yaml", EU))["source"] == "set"

    refused = document("run", tune, code=5)["error"]
    assert (refused["code"], refused["about"]["rule"]) == ("refused", "region")
    (denial,) = document("run", tune, "--dry-run", code=5)["verdict"]["denials"]
    assert denial["rule"] == "region"
    assert run(["run", tune, "--dry-run"]) == 5
    assert "✗ The rule `region` refuses it" in capsys.readouterr().err
    (quiet_home / "intramural.toml").write_text('region = "eu-central-1"\n')
    assert document("run", tune, "--dry-run")["verdict"]["denials"] == []


def test_a_mistake_in_a_policy_names_the_file_the_line_and_the_key(quiet_home, document, written):
    error = document("policy", "set", written("ours.yaml", "confidential:\n  isolatoin: none\n"), code=2)["error"]

    assert error["message"] == "ours.yaml, line 2: unknown key `confidential.isolatoin`; did you mean `isolation`?"
    assert error["hint"] == "`intramural schema policy` prints every key and what it takes."


@pytest.mark.parametrize("content", [b"\xff\xfe", b"#" * (1 << 20) + b"\n"])
def test_a_file_that_is_no_policy_is_refused(quiet_home, tmp_path, content):
    (tmp_path / "policy.yaml").write_bytes(content)

    assert run(["policy", "set", str(tmp_path / "policy.yaml")]) == 2


def test_the_schema_of_a_policy_is_printed(document):
    assert "every_class" in document("schema", "policy")["properties"]


def test_lineage_is_a_tree_for_people_and_a_document_for_programs(home, document, capsys):
    tree = document("lineage", "data:tickets@1")
    assert {each["object"]["title"] for each in tree["down"]} >= {"job router, succeeded"}

    assert run(["lineage", "job:router"]) == 0
    text = capsys.readouterr().out
    assert "data:tickets@1" in text
    assert "adapter of router; confidential" in text


def test_a_quarantine_refuses_jobs_until_its_release(quiet_home, document, written, capsys):
    tune = written("tune.yaml", TUNE)
    assert document("quarantine") == []
    answer = document("quarantine", "data:tickets", "--reason", "a complaint", "--downstream")
    assert answer["object"]["quarantined"] is True
    assert len(answer["changed"]) > 3

    assert document("run", tune, code=5)["error"]["about"]["rule"] == "quarantine"
    assert {each["reason"] for each in document("quarantine")} == {"a complaint"}
    assert document("quarantine", "data:tickets", "--release", "--downstream")["object"]["quarantined"] is False
    assert document("quarantine") == []
    assert run(["quarantine"]) == 0
    assert "Nothing is in quarantine." in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["tickets"], ["tickets", "--release", "--reason", "r"], ["--reason", "r"], ["--release"], ["nothing", "--reason", "r"]],
)
def test_a_quarantine_that_is_not_clear_changes_nothing(quiet_home, document, arguments):
    assert run(["quarantine", *arguments]) == 2
    assert document("quarantine") == []


def test_rows_are_traced_to_models_without_being_printed(home, document, tmp_path, capsys):
    rows = str(write_rows(tmp_path / "asked.jsonl", [chat(5), chat(1_000_000)]))

    found = document("data", "trace", "--rows", rows)
    assert (found["examples"], found["found"]) == (2, 1)
    assert "tickets@1" in {each["label"] for each in found["versions"]}

    assert run(["data", "trace", "--rows", rows]) == 0
    printed = capsys.readouterr()
    assert "1 of 2 distinct examples" in printed.out
    assert "SECRET" not in printed.out + printed.err


def test_a_trace_without_rows_says_so(quiet_home, tmp_path):
    assert run(["data", "trace"]) == 2
    assert run(["data", "trace", "--rows", str(tmp_path / "nowhere.jsonl")]) == 2
    assert run(["data", "trace", "--rows", str(write_rows(tmp_path / "a.jsonl", [chat(1)])), "--map", "x"]) == 2


def test_a_document_of_a_job_says_what_it_froze(home, document):
    job = next(each for each in document("ps") if each["spec"]["name"] == "router")

    assert json.dumps(job["label"]) == '{"classification": "confidential", "kinds": []}'
    assert document("policy", "show", job["policy_digest"])["digest"] == job["policy_digest"]
