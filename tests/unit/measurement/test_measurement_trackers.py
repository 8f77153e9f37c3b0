import pytest

from factories import NOON
from intramural.measurement import run_parameters
from intramural.measurement.mlflow_runs import from_mlflow

START = int(NOON.timestamp() * 1000)


def a_tracked_run(number=1, **fields):
    defaults = {"run_id": f"r{number}", "name": f"run-{number}", "experiment": "tickets", "status": "FINISHED"}
    return {**defaults, "start_ms": START, "end_ms": START + 60_000, "tags": {}, "params": {}, **fields}


def rows(*runs):
    return from_mlflow(runs).frame.collect().to_dicts()


@pytest.mark.parametrize(
    ("status", "state"),
    [("FINISHED", "completed"), ("FAILED", "failed"), ("KILLED", "cancelled"), ("SCHEDULED", "pending"), ("NEW", "unknown")],
)
def test_a_status_of_mlflow_is_one_of_our_states(status, state):
    (row,) = rows(a_tracked_run(status=status))

    assert (row["state"], row["run_seconds"], row["queue_seconds"]) == (state, 60, None)


def test_a_running_run_has_no_run_time():
    (row,) = rows(a_tracked_run(status="RUNNING", end_ms=None))

    assert (row["state"], row["run_seconds"], row["started"]) == ("running", None, NOON.timestamp())


def test_the_frame_of_nested_runs_does_not_count():
    source = from_mlflow([a_tracked_run(1), a_tracked_run(2, tags={"mlflow.parentRunId": "r1"})])

    assert source.frame.collect()["job"].to_list() == ["r2"]
    assert any("nested" in each for each in source.notices)


def test_figures_and_type_come_from_the_parameters_that_are_named():
    params = {"world_size": "8", "max_seq_length": "4096", "lora_r": "16", "load_in_4bit": "True", "queue": "gpu"}

    (row,) = rows(a_tracked_run(params=params))

    assert (row["gpus"], row["sequence_tokens"], row["job_class"]) == (8, 4096, "gpu")
    assert row["tags"] == "tickets qlora lora"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"use_peft": "False", "lora_r": "0", "load_in_4bit": "False"}, ""),
        ({"loss_type": "dpo"}, "dpo"),
        ({"finetuning_type": "full"}, "full_ft"),
        ({"quantization_bit": 4}, "qlora"),
        ({"method": "a long sentence that somebody wrote"}, ""),
    ],
)
def test_words_for_the_rules_are_short_and_mean_what_they_say(parameters, words):
    assert run_parameters.kind_words(parameters) == words


def test_a_parameter_that_counts_nothing_is_not_known():
    assert run_parameters.figures({"world_size": "0", "num_gpus": "two", "nnodes": "nan"}) == {}
