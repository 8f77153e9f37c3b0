"""The figures of published traces, reproduced: the table, both forms of sacct, pods, one column of run times."""

from pathlib import Path

import pytest

from intramural.errors import InvalidInput
from intramural.measurement.job_types import load_rules

MAPPINGS = Path(__file__).parent / "mappings"
SLURM_STATES = {
    "completed": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
    "out_of_memory": "OUT_OF_MEMORY",
    "time_limit": "TIMEOUT",
    "preempted": "PREEMPTED",
    "node_failure": "NODE_FAIL",
    "running": "RUNNING",
}


def in_slurm_words(states):
    return {SLURM_STATES[state]: jobs for state, jobs in states.items()}


def as_printed(distribution, prefix, percents=("p50", "p90")):
    return {f"{prefix}_{each}": round(getattr(distribution, each), 2) for each in percents}


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("acme_like_jobs.csv.gz", {"mapping": "acme_like.yaml"}),
        ("acme_like_jobs.csv.gz", {}),
        ("sacct/acme_like_sacct_P.txt.gz", {"rules": "acme_rules.yaml"}),
    ],
    ids=["table with a mapping", "table by its own headers", "sacct text"],
)
def test_the_acme_like_jobs(file, options, measured, expected):
    known = expected["acme_like_jobs"]
    rules = {"rules": load_rules(MAPPINGS / options["rules"])} if "rules" in options else {}

    found = measured(file, options.get("mapping"), **rules)

    assert found.jobs == known["rows"]
    assert in_slurm_words(found.states) == known["state"]
    assert found.success == known["success_rate_pct"]
    assert {each.job_type: round(each.share, 2) for each in found.by_type} == known["share_by_type_pct"]
    assert {each.job_type: acme_type(each) for each in found.by_type} == known["by_type"]
    assert (
        as_printed(found.run_seconds, "run_s")
        | as_printed(found.queue_seconds, "queue_s")
        | {"gpu_hours": round(found.gpu_hours, 1)}
        == known["all"]
    )
    assert {gpus: round(share, 2) for gpus, share in found.gpu_counts.items()} == known["gpus_pct"]
    failures = {next(iter(each.evidence)): round(each.share, 2) for each in found.causes}
    assert sorted(failures.values()) == sorted(known["failure_state_pct_of_failures"].values())


def acme_type(found):
    return {
        "n": found.jobs,
        **as_printed(found.run_seconds, "run_s"),
        **as_printed(found.queue_seconds, "queue_s"),
        **as_printed(found.gpus, "gpus"),
        "success_pct": round(found.success, 2),
        "gpu_hours": round(found.gpu_hours, 1),
    }


def test_the_acme_like_jobs_as_text_tell_their_causes_and_multi_node_share(measured):
    found = measured("sacct/acme_like_sacct_P.txt.gz")

    assert {each.cause.value: (each.jobs, each.evidence) for each in found.causes} == {
        "user_code_error": (2330, ("exit code 1",)),
        "host_out_of_memory": (137, ("state OUT_OF_MEMORY",)),
        "time_limit": (60, ("state TIME_LIMIT",)),
        "preempted": (33, ("state PREEMPTED",)),
        "node_failure": (32, ("state NODE_FAILURE",)),
    }
    assert found.multi_node == pytest.approx(0.9)
    assert [each.pattern for each in found.unclassified] == ["job-#", "mllm-#"]


def test_the_alibaba_pods(measured, expected):
    known = expected["alibaba_openb_pods"]

    found = measured("alibaba_openb_pods.csv", "alibaba_pods.yaml")

    assert (found.jobs, found.run_seconds.counted, found.states["pending"]) == (8152, 7255, known["never_scheduled"])
    for ours, theirs in ((found.run_seconds, "run_s_all"), (found.queue_seconds, "queue_s_all")):
        shown = as_printed(ours, "x", ("p50", "p90", "p95", "p99", "mean", "largest"))
        assert shown == {f"x_{'largest' if key == 'max' else key}": value for key, value in known[theirs].items()}
    assert {each.name: round(100 * each.jobs / found.jobs, 2) for each in found.by_class} == known["share_by_qos_pct"]
    assert {each.name: pod_class(each) for each in found.by_class} == known["by_qos"]
    assert {gpus: round(share, 2) for gpus, share in found.gpu_counts.items()} == known["gpu_count_pct"]
    assert round(found.success, 2) == known["success_rate_terminal_pct"]
    assert round(found.gpu_hours, 1) == known["gpu_hours_scheduled"]


def pod_class(found):
    distributions = as_printed(found.run_seconds, "run_s") | as_printed(found.queue_seconds, "queue_s")
    return {"n": found.run_seconds.counted, **distributions}


def test_the_philly_run_times(measured, expected):
    found = measured("philly_runtimes.csv.gz", "philly.yaml")

    shown = as_printed(found.run_seconds, "x", ("p50", "p90", "p95", "p99", "mean", "largest"))
    assert found.jobs == expected["philly_runtimes"]["rows"]
    assert list(shown.values()) == list(expected["philly_runtimes"]["run"].values())
    assert (found.window, found.success) == (None, None)


def test_the_kalos_sample(measured, expected):
    known = expected["acme_kalos_completed_sample"]

    found = measured("acme_kalos_completed_sample.csv", "acme_kalos.yaml")

    shown = as_printed(found.run_seconds, "x", ("p50", "p90", "p95", "p99", "mean", "largest"))
    assert list(shown.values()) == list(known["run_s"].values())
    assert {each.job_type: round(each.share, 2) for each in found.by_type} == known["share_by_type_pct"]
    by_type = {
        each.job_type: {"n": each.jobs, **as_printed(each.run_seconds, "run_s"), **as_printed(each.gpus, "gpus")}
        for each in found.by_type
    }
    assert by_type == known["by_type"]
    assert {gpus: round(share, 2) for gpus, share in found.gpu_counts.items()} == known["gpus_pct"]
    assert round(found.gpu_hours, 1) == known["gpu_hours"]


@pytest.mark.parametrize("cluster", ["mila_1714003200", "fromage_1714003200"])
def test_the_documents_of_sacct_json(cluster, measured, expected):
    known = dict(expected["sacct_json"][cluster])

    found = measured(f"sacct/sacct_json_{cluster}.json")

    assert found.jobs == known.pop("jobs")
    assert in_slurm_words(found.states) == known
    assert found.running == known["RUNNING"]
    assert any("right-censored" in each for each in found.notices)


def test_steps_alone_are_no_job(measured):
    with pytest.raises(InvalidInput, match="holds no job") as refused:
        measured("sacct/sacct_full_fields_steps.txt")

    assert "only steps" in refused.value.hint


def test_bytes_that_are_no_text_are_read_over(measured):
    found = measured("sacct/sacct_invalid_utf8.txt")

    assert (found.jobs, found.skipped_rows) == (2, 0)
    assert {each.cause.value: each.evidence for each in found.causes} == {
        "killed": ("signal 9",),
        "time_limit": ("state TIME_LIMIT",),
    }
