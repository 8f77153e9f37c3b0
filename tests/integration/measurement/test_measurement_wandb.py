"""Exports of W&B runs, written by hand, and kubectl's tables: files in, records out."""

import json

import pytest

from factories import NOON
from intramural.errors import InvalidInput
from intramural.measurement import kubernetes, wandb

TABLE = """\
"Name","State","Notes","User","Tags","Created","Runtime","Sweep","max_seq_length","peft.lora_r","world_size"
"sft-tickets-1","finished","SECRET note","ann","prod, lora","2026-11-02T12:00:00.000Z","3600","","4096","16","8"
"dpo-2","crashed","","ann","","2026-11-02T13:00:00.000Z","1800","","","",""
"eval-3","running","","ann","","2026-11-02T14:00:00.000Z","60","","","",""
"",,,,,,,,,,
"""


def read(tmp_path, text, name="export.csv"):
    path = tmp_path / name
    path.write_text(text)
    source = wandb.read(path)
    return source, source.frame.collect().to_dicts()


def test_the_export_of_the_runs_table(tmp_path):
    source, rows = read(tmp_path, TABLE)

    first, crashed, running = rows
    assert (first["name"], first["state"], first["run_seconds"]) == ("sft-tickets-1", "completed", 3600)
    assert (first["started"], first["ended"]) == (NOON.timestamp(), NOON.timestamp() + 3600)
    assert (first["gpus"], first["sequence_tokens"], first["queue_seconds"]) == (8, 4096, None)
    assert first["tags"] == "prod, lora lora"
    assert (crashed["state"], crashed["reason"], crashed["run_seconds"]) == ("failed", "crashed", 1800)
    assert (running["state"], running["run_seconds"], running["ended"]) == ("running", None, None)
    assert source.skipped_rows == 0
    assert wandb.CRASHED in source.notices
    assert "SECRET" not in str(rows)


@pytest.mark.parametrize("lines", [True, False])
def test_the_runs_of_the_public_api_as_json(tmp_path, lines):
    run = {
        "id": "ab1",
        "name": "sft",
        "state": "finished",
        "created_at": "2026-11-02T12:00:00",
        "config": {"trainer": "sft", "load_in_4bit": {"value": True}, "prompt": "SECRET"},
        "summary": {"_runtime": 90.5, "_timestamp": NOON.timestamp() + 90, "_wandb": {"runtime": 91}},
        "tags": ["nightly"],
    }
    text = "\n".join([json.dumps(run)] * 2) if lines else json.dumps([run, run])

    _, rows = read(tmp_path, text, "runs.json")

    assert len(rows) == 2
    assert (rows[0]["started"], rows[0]["run_seconds"], rows[0]["state"]) == (NOON.timestamp(), 91, "completed")
    assert rows[0]["tags"] == "nightly sft qlora"
    assert "SECRET" not in str(rows)


def test_the_table_of_summaries_and_configurations_that_a_data_frame_writes(tmp_path):
    summary = str({"_runtime": 120.0, "_timestamp": NOON.timestamp() + 120, "loss": 0.5})
    config = str({"max_length": 1024})

    _, (row,) = read(tmp_path, f'summary,config,name\n"{summary}","{config}",sft\n')

    assert (row["started"], row["run_seconds"], row["state"]) == (NOON.timestamp(), 120, "unknown")
    assert row["sequence_tokens"] == 1024


@pytest.mark.parametrize("text", ["a,b\n1,2\n", '{"a": 1}', "[1, 2]", '[{"a": 1}]'])
def test_another_file_is_told_with_what_to_export(tmp_path, text):
    with pytest.raises(InvalidInput, match=r"export\.csv is not") as error:
        read(tmp_path, text)

    assert "Export" in error.value.hint


def test_json_that_is_cut_off_names_its_line(tmp_path):
    with pytest.raises(InvalidInput, match=r"runs\.json, line 2"):
        read(tmp_path, '[{"state": "finished",\n "created_at": ', "runs.json")


def test_kubectls_table_of_jobs_tells_states_and_durations(tmp_path):
    path = tmp_path / "jobs.txt"
    path.write_text(
        "NAMESPACE   NAME       STATUS     COMPLETIONS   DURATION   AGE\n"
        "ml          sft-lora   Complete   1/1           2h5m       3d\n"
        "ml          dpo        Failed     0/1           90s        2d\n"
        "ml          eval       Running    0/1           5m         5m\n"
        "Warning: something else\n"
    )

    source = kubernetes.read_table(path)

    rows = source.frame.collect().select("name", "state", "run_seconds", "job_class").rows()
    assert rows == [("sft-lora", "completed", 7500, "ml"), ("dpo", "failed", 90, "ml"), ("eval", "running", None, "ml")]
    assert source.skipped_rows == 1
    assert "kubectl get jobs,pods -A -o json" in source.notices[0]


def test_kubectls_table_of_pods_tells_states_and_restarts(tmp_path):
    path = tmp_path / "pods.txt"
    path.write_text(
        "NAME        READY   STATUS      RESTARTS     AGE\n"
        "sft-x1      0/1     Completed   0            3d\n"
        "sft-x2      0/1     OOMKilled   2 (3h ago)   2d\n"
    )

    rows = kubernetes.read_table(path).frame.collect().select("name", "state", "restarts", "run_seconds", "gpus").rows()

    assert rows == [("sft-x1", "completed", 0, None, None), ("sft-x2", "out_of_memory", 2, None, None)]


def test_a_table_of_custom_columns_tells_times_and_gpus(tmp_path):
    path = tmp_path / "pods.txt"
    path.write_text(
        "NAME    CREATED                SCHEDULED              FINISHED               PHASE    REASON  EXIT  GPUS  NODE\n"
        "dpo-1   2026-11-02T12:00:00Z   2026-11-02T12:01:00Z   2026-11-02T13:01:00Z   Failed   Error   1     4     n1\n"
    )

    (row,) = kubernetes.read_table(path).frame.collect().to_dicts()

    assert (row["queue_seconds"], row["run_seconds"], row["state"]) == (60, 3600, "failed")
    assert (row["gpus"], row["nodes"], row["exit_code"], row["reason"]) == (4, 1, 1, "Error")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"items": []}', "is not Kubernetes"),
        ('{"kind": "List", "items": 3}', "is not a list of Kubernetes objects"),
        ('{"kind": "List", "items": [{"kind": ', "line 1"),
        ("", "is empty"),
    ],
)
def test_another_json_is_told_with_the_command_that_exports(tmp_path, text, told):
    path = tmp_path / "jobs.json"
    path.write_text(text)

    with pytest.raises(InvalidInput, match=told):
        kubernetes.read(path)


def test_a_list_that_powershell_wrote_is_read(tmp_path):
    path = tmp_path / "jobs.json"
    pod = {"metadata": {"name": "eval"}, "spec": {}, "status": {"phase": "Running"}}
    path.write_text(json.dumps({"kind": "PodList", "items": [pod]}), encoding="utf-16")

    assert kubernetes.read(path).frame.collect()["name"].to_list() == ["eval"]
