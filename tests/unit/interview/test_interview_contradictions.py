"""What counts as a contradiction between what was said and what is on record."""

import pytest

from factories import a_merged_profile
from intramural.interview.contradictions import contradictions


def found(path, asked, measured):
    """The contradictions of one question, as (part, said, measured)."""
    section, _, name = path.partition(".")
    answers = {"asked": {"value": asked}, "measured": {"value": measured}}
    profile = a_merged_profile(**{f"{section}__{name}": answers})
    return [(each.key, each.said, each.measured) for each in contradictions(profile) if each.path == path]


def test_said_95_measured_61():
    (one,) = [each for each in contradictions(a_merged_profile()) if each.path == "anatomy.success_rate"]

    assert (one.label, one.text) == ("Success rate", "said 95 %, measured 61 %")


@pytest.mark.parametrize(
    ("path", "asked", "measured", "differs"),
    [
        ("anatomy.success_rate", "70%", "60%", False),  # 10 points are not more than 10
        ("anatomy.success_rate", "70.5%", "60%", True),
        ("anatomy.success_rate", "60-70%", "52%", False),  # a range is as near as its nearest end
        ("anatomy.success_rate", "at least 90%", "61%", True),
        ("anatomy.success_rate", "at least 60%", "99%", False),
        ("anatomy.checkpoint_interval", "30 min", "45 min", False),  # a factor of 1.5
        ("anatomy.checkpoint_interval", "30 min", "46 min", True),
        ("anatomy.checkpoint_interval", "30 min", "19 min", True),
        ("anatomy.checkpoint_interval", "~30 min", "59 min", False),  # approximate: 2
        ("anatomy.checkpoint_interval", "~30 min", "61 min", True),
        ("anatomy.checkpoint_interval", "10 s", "60 s", False),  # less than a minute apart
        ("anatomy.checkpoint_size", "1-2 GB", "2.9 GB", False),
        ("anatomy.checkpoint_size", "1-2 GB", "3.1 GB", True),
        ("anatomy.sequence_length", "0", "100", True),
        ("anatomy.success_rate", "unknown", "61%", False),
        ("anatomy.success_rate", "95%", "unknown", False),
        ("governance.region_lock", "yes", "no", True),
        ("governance.isolation", "shared", "shared", False),
        ("anatomy.pains", ["queue_time"], ["cost"], False),  # a rank never contradicts
    ],
)
def test_one_number_or_choice(path, asked, measured, differs):
    assert bool(found(path, asked, measured)) is differs


def test_a_share_that_differs_by_more_than_15_points_is_named():
    assert found("anatomy.job_mix", {"sft_lora": "60%", "dev": "40%"}, {"sft_lora": "44%", "dev": "56%"}) == [
        ("dev", "40 %", "56 %"),
        ("sft_lora", "60 %", "44 %"),
    ]


def test_another_largest_part_contradicts_only_when_it_leads_clearly():
    near = found("anatomy.job_mix", {"sft_lora": "52%", "dev": "48%"}, {"sft_lora": "49%", "dev": "51%"})
    clear = found("anatomy.job_mix", {"sft_lora": "52%", "dev": "48%"}, {"sft_lora": "45%", "dev": "55%"})

    assert near == []
    assert clear == [(None, "mostly SFT (LoRA)", "mostly Dev/test")]


def test_a_part_that_nobody_named_counts_as_nothing():
    causes = found("anatomy.failure_causes", {"user_code_error": "100%"}, {"user_code_error": "86%", "time_limit": "14%"})
    many = found("anatomy.failure_causes", {"user_code_error": "100%"}, {"user_code_error": "80%", "time_limit": "20%"})

    assert causes == []
    assert ("time_limit", "none", "20 %") in many


def test_parts_that_are_only_named_deny_nothing():
    assert found("anatomy.gpu_count", ["1", "8"], {"64": "100%"}) == []


def test_each_end_of_a_spread_is_compared_for_itself():
    said = {"sft_lora": {"p50": "2 h", "p90": "5 h"}, "eval": {"p50": "1 h"}}
    measured = {"sft_lora": {"p50": "2.5 h", "p90": "11 h"}, "dev": {"p50": "1 min"}}

    assert found("anatomy.run_time", said, measured) == [("sft_lora.p90", "5 h", "11 h")]
