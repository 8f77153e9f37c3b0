"""What the records say of the pain points."""

import pytest

from factories import a_merged_profile, a_profile
from intramural.domain.one_page import Support
from intramural.interview.pain_evidence import pains


def measured(value):
    return {"measured": {"value": value}}


def judged(pain, **changes):
    """The one pain that was named, judged by the records in *changes*."""
    profile = a_profile(anatomy__pains=[pain], **changes)
    return next(each for each in pains(profile) if each.rank == 1)


CAUSES = {"gpu_out_of_memory": "8%", "host_out_of_memory": "4%", "network": "12%", "disk_full": "11%", "user_code_error": "65%"}


@pytest.mark.parametrize(
    ("pain", "changes", "support", "says"),
    [
        ("queue_time", {"queue_time": {"training": {"p90": "2 h"}}}, "supported", "may wait 1 h"),
        ("queue_time", {"queue_time": {"training": {"p90": "1 h"}, "dev": {"p90": "5 min"}}}, "contradicted", "5 min"),
        ("queue_time", {"queue_time": {"gpu-long": {"p90": "2 h"}}}, "supported", "gpu-long waits 2 h (p90), may wait 1 h"),
        ("queue_time", {}, "no_measurement", "no queue time"),
        ("out_of_memory", {"failure_causes": CAUSES}, "supported", "12 % of the failures"),
        ("out_of_memory", {"failure_causes": {"time_limit": "100%"}}, "contradicted", "0 %"),
        ("out_of_memory", {"failure_causes": {"gpu_out_of_memory": "5%", "network": "95%"}}, "undecided", "5 %"),
        ("failures", {"success_rate": "61%"}, "supported", "61 % of the runs succeed"),
        ("failures", {"success_rate": "97%"}, "contradicted", "97 %"),
        ("failures", {"success_rate": "92%"}, "undecided", "92 %"),
        ("slow_network", {"failure_causes": CAUSES}, "supported", "12 % of the failures are network errors"),
        ("slow_storage", {"failure_causes": CAUSES}, "supported", "11 % of the failures are full disks"),
        ("setup", {"failure_causes": CAUSES}, "no_measurement", "nothing on record"),
        ("evaluation", {"job_mix": {"sft_lora": "100%"}}, "supported", "0 % of the jobs are evaluations"),
        ("evaluation", {"job_mix": {"sft_lora": "70%", "eval": "30%"}}, "undecided", "30 %"),
        ("cost", {"success_rate": "61%"}, "no_measurement", "nothing on record"),
        ("the coffee", {"success_rate": "61%"}, "no_measurement", "nothing on record"),
    ],
)
def test_a_pain_is_judged_by_its_measurement(pain, changes, support, says):
    changes = {f"anatomy__{name}": measured(value) for name, value in changes.items()}
    changes = {"anatomy__queue_time": None, "anatomy__failure_causes": None, "anatomy__success_rate": None, **changes}

    found = judged(pain, **changes)

    assert (found.support.value, says in found.evidence) == (support, True), found.evidence


@pytest.mark.parametrize(
    ("resumed", "support"), [("4%", "supported"), ("6%", "undecided"), ("30%", "contradicted"), (None, "no_measurement")]
)
def test_lost_work_compares_resumes_with_runs_that_were_cut_short(resumed, support):
    """Of 40 % that fail, a quarter hits a time limit or loses its node: 10 % of the runs."""
    found = judged(
        "lost_work",
        anatomy__success_rate=measured("60%"),
        anatomy__failure_causes=measured({"time_limit": "15%", "node_failure": "10%", "user_code_error": "75%"}),
        anatomy__resume_rate=measured(resumed) if resumed else None,
    )

    assert found.support.value == support


def test_a_wait_without_a_target_decides_nothing():
    found = judged("queue_time", anatomy__queue_time=measured({"dev": {"p90": "2 h"}}), operations__start_dev=None)

    assert (found.support, found.evidence) == (Support.UNDECIDED, "p90 wait: dev 2 h; no target was told")


def test_what_was_said_is_never_evidence_for_itself():
    assert judged("failures", anatomy__success_rate="10%").support is Support.NO_MEASUREMENT


def test_what_only_the_records_show_comes_after_what_was_named():
    found = pains(a_merged_profile())

    assert [(each.key, each.rank) for each in found] == [
        ("queue_time", 1),
        ("out_of_memory", 2),
        ("cost", 3),
        ("failures", None),
        ("lost_work", None),
    ]
