"""The command line over a real platform in an empty home: what it prints, what it returns, what it leaves."""

import json

import pytest
from cli_world import chat, write_rows

from intramural.cli.main import run


def test_lists_are_documents_for_programs_and_tables_for_people(home, document, capsys):
    assert [each["name"] for each in document("model", "list")] == ["tiny"]
    assert "tickets" in [each["name"] for each in document("data", "list")]
    assert document("ps")[-1]["state"] == "succeeded"

    assert run(["ps"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["JOB", "NAME", "STATE", "BASE", "DATA", "ATTEMPTS", "SUBMITTED"]


def test_the_report_is_one_document_with_what_others_rely_on(home, document):
    report = document("show", "router")

    assert report["state"] == "succeeded"
    assert set(report["metrics"]) == {"before", "after", "baselines"}
    for name in ("tokens_per_second", "peak_memory_bytes", "duration_seconds", "checkpoints", "cause"):
        assert name in report
    assert [each["step"] for each in report["curve"]] == [1, 2, 3, 4]


def test_the_run_page_goes_to_a_file_or_to_standard_output(home, capsys):
    page = home / "run.html"

    assert run(["show", "router", "--html", "-o", str(page)]) == 0
    assert run(["show", "router", "--md"]) == 0
    assert run(["show", "router", "--json", "-o", str(home / "run.json")]) == 0

    assert json.loads((home / "run.json").read_text())["name"] == "router"
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert capsys.readouterr().out.startswith("# router: ")


def test_show_for_people_says_the_result_first(home, capsys):
    assert run(["show", "router"]) == 0

    text = capsys.readouterr().out
    assert text.splitlines()[0].startswith("Queue accuracy")
    assert "SAMPLES" in text


def test_waiting_with_json_prints_events_and_the_report_last(home, capsys):
    capsys.readouterr()

    assert run(["run", str(home / "tune.yaml"), "--set", "train.steps=2", "--set", "name=short", "--wait", "--json"]) == 0

    captured = capsys.readouterr()
    *events, report = [json.loads(line) for line in captured.out.splitlines()]
    assert captured.err == ""
    assert [each["event"]["step"] for each in events if each["event"]["type"] == "step"] == [1, 2]
    assert events[-1]["event"]["type"] == "outcome"
    assert report["state"] == "succeeded"


def test_a_failed_run_ends_with_one_and_names_the_cause(home, capsys):
    arguments = [
        "run",
        str(home / "tune.yaml"),
        "--set",
        "train.learning_rate=0.9",
        "--set",
        "resources.time_limit_minutes=0.00001",
    ]

    assert run([*arguments, "--set", "name=late", "--set", "train.steps=100000", "--wait"]) == 1

    assert "time_limit" in capsys.readouterr().err


def test_detached_prints_the_id_and_cancel_ends_it(home, document, capsys):
    capsys.readouterr()
    assert run(["run", str(home / "tune.yaml"), "--set", "train.steps=100000", "--set", "name=long", "--detach"]) == 0
    job_id = capsys.readouterr().out.strip()

    assert document("cancel", job_id)["id"] == job_id
    assert run(["watch", job_id]) == 1
    assert document("show", job_id)["state"] == "cancelled"
    assert document("why", job_id)["cause"] == "cancelled"


def test_dry_run_prints_the_resolved_file_and_starts_nothing(home, document, capsys):
    jobs = len(document("ps"))

    assert run(["run", str(home / "tune.yaml"), "--set", "train.seed=11", "--dry-run"]) == 0

    text = capsys.readouterr().out
    assert "seed: 11" in text
    assert len(document("ps")) == jobs
    assert document("run", str(home / "tune.yaml"), "--dry-run")["spec"]["name"] == "router"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("trian:\n  steps: 3\n", "did you mean `train`?"),
        ("data: nowhere\n", "nowhere"),
        ("base: smol\n", "smol"),
        ("train:\n  steps: 3\n  epochs: 1\n", "not both"),
        ("name: [\n", "line"),
    ],
)
def test_a_mistake_in_the_file_is_a_usage_error_that_names_it(home, tmp_path, capsys, change, words):
    key = change.partition(":")[0]
    kept = "".join(f"{line}\n" for line in ["name: router", "base: tiny", "data: tickets"] if not line.startswith(key))
    (tmp_path / "tune.yaml").write_text(kept + change)

    assert run(["run", str(tmp_path / "tune.yaml"), "--detach"]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err


def test_a_missing_file_is_a_usage_error(home, document):
    assert document("run", "nothing.yaml", code=2)["error"]["code"] == "not_found"
    assert document("data", "add", "nothing.jsonl", "--name", "x", code=2)["error"]["message"]


def test_faulty_rows_are_named_by_line_and_never_quoted(home, tmp_path, capsys):
    rows = write_rows(tmp_path / "rows.jsonl", [chat(n) for n in range(20)])
    rows.write_text(rows.read_text() + '{"messages": "SECRET-BAD"}\n{"broken SECRET\n')

    assert run(["data", "add", str(rows), "--name", "faulty"]) == 2
    assert run(["data", "add", str(rows), "--name", "faulty", "--skip-bad"]) == 0

    captured = capsys.readouterr()
    assert "line 21" in captured.out
    assert "SECRET" not in captured.out + captured.err


def test_content_is_shown_by_sample_alone_and_that_is_recorded(home, document, capsys):
    for quiet in (["data", "show", "tickets"], ["show", "router"], ["logs", "router"], ["why", "router"], ["audit", "tail"]):
        assert run(quiet) == 0
    assert "SECRET" not in capsys.readouterr().out

    assert run(["data", "sample", "tickets", "-n", "2"]) == 0
    assert capsys.readouterr().out.count("SECRET-") == 2
    assert document("audit", "tail", "-n", "5")[-1]["action"] == "dataset:sample"


def test_rows_that_are_there_already_are_said_to_be(home, capsys):
    again = ["data", "add", str(home / "tickets.jsonl"), "--name"]
    capsys.readouterr()

    assert run([*again, "tickets"]) == 0
    assert "already as tickets@1; no version was added" in capsys.readouterr().err

    assert run([*again, "others"]) == 0
    assert "already" not in capsys.readouterr().err


def test_an_adapter_is_listed_exported_and_verified(home, document):
    adapter = next(each for each in document("artifact", "list", "router") if each["kind"] == "adapter")

    assert document("artifact", "show", adapter["id"])["digest"] == adapter["digest"]
    document("artifact", "verify", adapter["id"])
    document("artifact", "export", adapter["id"], "-o", str(home / "adapter"))
    assert (home / "adapter" / "adapter_model.safetensors").is_file()
    assert "error" in document("artifact", "export", adapter["id"], "-o", str(home / "adapter"), code=2)


def test_what_is_not_there_is_a_usage_error_with_a_next_step(home, document):
    for arguments in (
        ["show", "nojob"],
        ["model", "show", "nomodel"],
        ["data", "show", "nodata"],
        ["artifact", "show", "noart"],
    ):
        error = document(*arguments, code=2)["error"]
        assert (error["code"], bool(error["hint"])) == ("not_found", True)


def test_two_versions_are_compared_by_count(home, document, tmp_path):
    rows = write_rows(tmp_path / "more.jsonl", [chat(n) for n in range(70)])
    assert run(["data", "add", str(rows), "--name", "grown"]) == 0

    difference = document("data", "diff", "tickets", "grown")

    assert (difference["only_left"], difference["only_right"], difference["shared"]) == (0, 10, 60)


def test_the_schema_names_every_key_of_the_file(home, document):
    assert {"name", "base", "data", "train", "class"} <= set(document("schema", "tune")["properties"])
