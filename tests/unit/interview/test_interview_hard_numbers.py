"""The guide's hard numbers under its own names."""

from factories import a_measured_profile, a_merged_profile, a_profile
from intramural.domain.one_page import HardNumbers, Standing
from intramural.domain.profile import Profile
from intramural.interview.hard_numbers import hard_numbers


def test_the_names_are_the_guides():
    assert list(HardNumbers.model_fields) == [
        "dataset_size_gb",
        "tokens_estimate",
        "seq_len",
        "gpu_count",
        "gpu_vram_needed",
        "run_time_p50",
        "run_time_p90",
        "checkpoint_interval_min",
        "checkpoint_size_gb",
        "success_rate",
        "failure_causes",
    ]


def test_numbers_stand_in_the_units_of_their_names():
    found = hard_numbers(a_profile())

    assert (found.dataset_size_gb.value, found.dataset_size_gb.unit) == (40, "GB")
    assert (found.checkpoint_interval_min.value, found.checkpoint_interval_min.unit) == (30, "minutes")
    assert (found.tokens_estimate.value, found.seq_len.value) == (2.5e9, 4096)
    assert (found.checkpoint_size_gb.low, found.checkpoint_size_gb.value, found.checkpoint_size_gb.high) == (1, 1.5, 2)
    assert (found.success_rate.value, found.success_rate.provenance) == (95, "asked")


def test_what_was_measured_goes_before_what_was_said():
    found = hard_numbers(a_merged_profile())

    assert (found.success_rate.value, found.success_rate.provenance, found.success_rate.source) == (61, "measured", "sacct")
    assert found.success_rate.window.days == 90
    assert found.dataset_size_gb.provenance == "asked"


def test_run_times_are_by_job_type_each_from_its_best_answer():
    found = hard_numbers(a_merged_profile(anatomy__run_time={
        "asked": {"value": {"full": {"p50": "1 d"}, "eval": {"p50": "9 h"}}},
        "measured": {"value": {"eval": {"p50": "18 min", "p90": "50 min"}}},
    }))  # fmt: skip

    assert {key: (each.value, each.provenance) for key, each in found.run_time_p50.by.items()} == {
        "eval": (1080, "measured"),
        "full": (86400, "asked"),
    }
    assert found.run_time_p90.by["full"].standing is Standing.UNKNOWN


def test_counts_and_causes_have_their_shares():
    found = hard_numbers(a_measured_profile())

    assert (found.gpu_count.value, found.gpu_count.low, found.gpu_count.high, found.gpu_count.unit) == (1, 1, 16, "gpus")
    assert {key: each.value for key, each in found.gpu_count.by.items()} == {"1": 52, "8": 41, "16": 7}
    assert list(found.failure_causes.by) == ["user_code_error", "gpu_out_of_memory", "time_limit", "node_failure"]


def test_what_is_not_known_is_there_and_says_so():
    found = hard_numbers(Profile()).document()

    assert {name: (each["standing"], each["value"], each["by"]) for name, each in found.items()} == {
        name: ("not_asked", None, {}) for name in HardNumbers.model_fields
    }
    assert hard_numbers(a_profile(anatomy__sequence_length="?")).seq_len.standing is Standing.UNKNOWN
