"""`intramural measure`: tables for people, documents for programs, answers into a profile, and wrong inputs."""

import json
import socket

import pytest

from intramural.cli.main import run
from intramural.domain.measurement import Measurement
from intramural.interview import profile_file


def a_job(name, minutes, *, state="Complete", gpus=2):
    begin, end = "2026-11-02T12:00:00Z", f"2026-11-02T{12 + minutes // 60:02}:{minutes % 60:02}:00Z"
    template = {"containers": [{"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}]}
    return {
        "kind": "Job",
        "metadata": {"name": name, "namespace": "ml", "uid": name, "creationTimestamp": "2026-11-02T11:59:00Z"},
        "spec": {"template": {"spec": template}},
        "status": {"startTime": begin, "conditions": [{"type": state, "status": "True", "lastTransitionTime": end}]},
    }


@pytest.fixture
def jobs(tmp_path):
    path = tmp_path / "jobs.json"
    items = [a_job("sft-lora-1", 60), a_job("sft-lora-2", 120), a_job("eval-1", 30, state="Failed"), a_job("zzz-77", 5)]
    path.write_text(json.dumps({"kind": "List", "items": items}))
    return path


def test_the_document_is_a_measurement(document, jobs):
    measured = Measurement.model_validate(document("measure", str(jobs)))

    assert (measured.sources, measured.jobs, measured.success) == (("kubernetes",), 4, 75.0)
    by_type = {each.job_type: each for each in measured.by_type}
    assert by_type["sft_lora"].run_seconds.p50 == 5400
    assert measured.gpu_hours == pytest.approx(2 * (60 + 120 + 30 + 5) / 60)


def test_people_get_tables_of_types_and_causes_and_what_to_know_on_the_side(jobs, capsys):
    assert run(["measure", str(jobs)]) == 0

    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith("4 jobs from kubernetes, 2026-11-02 to 2026-11-02")
    assert lines[2].split("  ")[0] == "JOB TYPE"
    assert any(line.startswith("SFT (LoRA)") and "90 min" in line and " 50 %" in line for line in lines)
    assert any(line.startswith("WHY RUNS FAILED") for line in lines)
    assert "named like zzz-#" in told.err


def test_own_jobs_are_measured_where_no_source_is_given(home, document):
    measured = document("measure")

    assert measured["sources"] == ["own"]
    assert measured["by_type"][0]["job_type"] == "sft_lora"
    assert measured["checkpoint_bytes"]["p50"] > 0
    assert measured == document("measure", "own")


def test_into_a_profile_beside_what_was_asked(jobs, tmp_path, capsys):
    profile = tmp_path / "profile.yaml"
    profile.write_text("name: acme\nanatomy:\n  success_rate: 95%\n")

    assert run(["measure", str(jobs), "--into", str(profile)]) == 0

    written = profile_file.load(profile)
    rate = written.answers("anatomy.success_rate")
    assert (written.name, rate.asked.value.middle, rate.measured.value.middle) == ("acme", 95, 75)
    assert rate.measured.source == "kubernetes"
    assert "as measured" in capsys.readouterr().err


def test_into_a_profile_that_is_not_there_yet(jobs, tmp_path, document):
    document("measure", str(jobs), "--into", str(tmp_path / "new.yaml"))

    assert profile_file.load(tmp_path / "new.yaml").answers("anatomy.gpu_count").measured is not None


def test_a_mistake_in_the_profile_is_told_first_and_nothing_is_written(jobs, tmp_path, document):
    profile = tmp_path / "profile.yaml"
    profile.write_text("name: acme\nanatomie: {}\n")

    error = document("measure", str(jobs), "--into", str(profile), code=2)["error"]

    assert "line 2" in error["message"]
    assert "anatomy" in error["message"]
    assert profile.read_text() == "name: acme\nanatomie: {}\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "jobs.json is empty"),
        (b'{"kind": "List", "items": [', "jobs.json"),
        (b'{"kind": "List", "items": []}', "holds no job"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "jobs.json"),
        (b"dear diary\n", "jobs.json"),
    ],
)
def test_a_wrong_file_is_told_by_its_name(tmp_path, document, content, told):
    path = tmp_path / "jobs.json"
    path.write_bytes(content)

    error = document("measure", str(path), code=2)["error"]

    assert told in error["message"]
    assert error["hint"]
    assert "diary" not in str(error)


def test_a_file_that_is_not_there(tmp_path, document):
    assert "none.txt" in document("measure", str(tmp_path / "none.txt"), code=2)["error"]["message"]


@pytest.mark.parametrize("option", ["--rules", "--causes"])
def test_a_mistake_in_a_rule_file_names_its_line(jobs, tmp_path, document, option):
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  - type: dev\n    nmae: [dbg]\n")

    message = document("measure", str(jobs), option, str(rules), code=2)["error"]["message"]

    assert "rules.yaml, line" in message


def test_a_dead_tracking_server_is_unavailable(document):
    pytest.importorskip("alembic", reason="MLflow's client comes with the dev group")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"

    assert "does not answer" in document("measure", address, code=8)["error"]["message"]


@pytest.mark.parametrize("days", ["0", "-3", "many"])
def test_days_are_a_number_above_zero(jobs, document, days):
    assert "--days" in document("measure", str(jobs), "--days", days, code=2)["error"]["message"]
