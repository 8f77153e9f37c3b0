"""The one page as a value: every question has its place, and what is not known says why."""

import pytest

from factories import a_measured_profile, a_merged_profile, a_profile
from intramural.domain.one_page import OnePage, Standing
from intramural.domain.profile import FIELDS, Profile
from intramural.interview.figures import shown
from intramural.interview.page import one_page
from intramural.interview.titles import title
from intramural.interview.vram import tier_gb


def rows_of(page):
    spreads = [row for each in (*page.run_time, *page.queue_time) for row in (each.p50, each.p90)]
    return [*page.job_mix, *page.gpu_shape, *page.data_and_checkpoints, page.success, *page.failure_causes, *spreads]


def facts_of(page):
    return [*page.persona, *page.constraints, *page.integrations, *page.also]


def test_every_question_of_the_interview_has_its_place():
    page = one_page(a_profile())
    places = {each.path for each in rows_of(page)} | {path for each in facts_of(page) for path in each.answers}

    assert {each.path for each in FIELDS} - places == {"anatomy.pains"}  # which has a section of its own
    assert page.pains


def test_every_question_has_a_short_name():
    assert all(title(each.path) for each in FIELDS)


def test_the_page_reads_back_from_its_json():
    page = one_page(a_merged_profile())

    assert OnePage.model_validate(page.document()) == page


def test_an_empty_profile_says_that_nobody_was_asked_and_nothing_measured():
    page = one_page(Profile())

    assert {each.asked.standing for each in rows_of(page)} == {Standing.NOT_ASKED}
    assert {each.measured.standing for each in rows_of(page)} == {Standing.NOT_MEASURED}
    assert {each.text for each in facts_of(page)} == {"not asked"}
    assert (page.records, page.contradictions, page.warnings, page.pains) == ((), (), (), ())


def test_do_not_know_is_not_the_same_as_not_asked():
    page = one_page(a_profile(anatomy__success_rate="unknown", governance__isolation="unknown"))

    assert (page.success.asked.standing, page.success.asked.text) == (Standing.UNKNOWN, "unknown")
    assert [each.text for each in page.constraints if each.label == "Isolation"] == ["unknown"]


def test_a_question_that_an_answer_rules_out_does_not_apply():
    page = one_page(a_profile(anatomy__gpu_count="0", anatomy__gpu_vram=None))

    assert page.gpu_shape[1].asked.standing is Standing.DOES_NOT_APPLY


def test_figures_have_their_number_and_where_it_comes_from():
    figure = one_page(a_merged_profile()).success.measured

    assert (figure.text, figure.low, figure.high, figure.unit) == ("61 %", 61, 61, "percent")
    assert (figure.provenance, figure.confidence, figure.source) == ("measured", "exact", "sacct")
    assert (figure.window.days, str(figure.window.last)) == (90, "2026-11-01")


def test_types_stand_in_the_order_of_what_was_measured():
    page = one_page(a_merged_profile())

    assert [each.key for each in page.job_mix] == ["sft_lora", "dev", "eval", "preference"]
    assert [each.key for each in page.run_time] == ["sft_lora", "dev", "eval", "preference"]
    assert [each.measured.text for each in page.job_mix] == ["38 %", "34 %", "22 %", "6 %"]


def test_a_part_without_a_record_or_a_word_says_so():
    page = one_page(
        a_merged_profile(anatomy__job_mix={"asked": {"value": {"full": "100%"}}, "measured": {"value": {"dev": "100%"}}})
    )

    assert [(each.key, each.asked.text, each.measured.text) for each in page.job_mix] == [
        ("dev", "not named", "100 %"),
        ("full", "100 %", "0 %"),
    ]


def test_a_top_type_without_durations_is_listed_as_unknown():
    page = one_page(a_profile(anatomy__run_time={"eval": {"p50": "1 h"}}))

    assert [(each.key, each.p50.asked.text, each.p90.asked.text) for each in page.run_time] == [
        ("sft_lora", "not named", "not named"),
        ("eval", "1 h", "unknown"),
        ("dev", "not named", "not named"),
    ]


def test_shares_that_do_not_add_up_are_shown_with_a_warning_and_not_changed():
    page = one_page(a_profile(anatomy__job_mix={"sft_lora": "80%", "eval": "50%"}))

    assert [each.asked.text for each in page.job_mix] == ["80 %", "50 %"]
    assert page.warnings == ("The shares of job types as said add up to 130 %.",)


def test_the_common_count_keeps_its_number():
    row = one_page(a_merged_profile()).gpu_shape[0]

    assert (row.asked.text, row.asked.low, row.asked.unit) == ("1 (60 %), 8 (40 %)", 1, "gpus")
    assert row.measured.text == "1 (52 %), 8 (41 %), 16 (7 %)"


def test_sources_get_letters_where_there_are_several():
    other = {"imported": {"value": "70%", "source": "mlflow", "window": {"days": 30}}}
    alone, several = one_page(a_merged_profile()), one_page(a_merged_profile(anatomy__success_rate=other))

    assert (alone.success.measured.record, len(alone.records)) == ("", 1)
    assert [each.source for each in several.records] == ["sacct", "mlflow"]
    assert several.success.measured.record == several.records[1].letter == "b"


def test_a_tracker_speaks_where_nothing_was_measured():
    both = {"measured": {"value": "unknown"}, "imported": {"value": "70%"}, "estimated": {"value": "80%"}}
    success = one_page(a_profile(anatomy__success_rate=both)).success

    assert (success.measured.text, success.measured.provenance) == ("70 %", "imported")
    assert (success.asked.text, success.asked.provenance) == ("80 %", "estimated")


@pytest.mark.parametrize(
    ("changes", "label", "text"),
    [
        ({}, "Region", "locked to eu-central-1"),
        ({"governance__region_lock": "no", "governance__regions": None}, "Region", "no lock"),
        ({"governance__regions": "unknown"}, "Region", "locked; regions unknown"),
        ({"stack__internet": "no", "stack__egress_rules": "proxy only"}, "Egress", "no internet: proxy only"),
        ({"stack__internet": "no"}, "Egress", "no internet; rules not asked"),
        ({"stack__domains": None}, "Egress", "internet; domains not asked"),
        ({"governance__audit_logs": "no", "governance__audit_retention": None}, "Retention", "data 90 d; no audit log"),
        ({"governance__encryption": "no", "governance__customer_keys": None}, "Encryption", "not required"),
        ({"governance__customer_keys": None}, "Encryption", "at rest, own keys not asked"),
        ({"governance__store_prompts": "redacted"}, "Prompts, outputs", "stored redacted only"),
    ],
)
def test_a_constraint_joins_its_answers(changes, label, text):
    if "stack__internet" in changes:
        changes = {"stack__domains": None, **changes}
    page = one_page(a_profile(**changes))

    assert [each.text for each in page.constraints if each.label == label] == [text]


@pytest.mark.parametrize(
    ("path", "given", "text"),
    [
        ("anatomy.checkpoint_interval", "1 h", "1 h"),
        ("anatomy.checkpoint_interval", "90 min", "90 min"),
        ("anatomy.checkpoint_interval", "9 h 20 min", "9.3 h"),
        ("anatomy.checkpoint_interval", "1-2 h", "1\N{EN DASH}2 h"),
        ("anatomy.checkpoint_interval", "45 min - 3 h", "45 min\N{EN DASH}3 h"),
        ("anatomy.checkpoint_interval", "up to 5 min", "at most 5 min"),
        ("governance.audit_retention", "1 year", "1 year"),
        ("governance.audit_retention", "7 years", "7 years"),
        ("anatomy.dataset_size", "~1.5 TB", "~1.5 TB"),
        ("anatomy.dataset_tokens", "2500000000", "2.5B"),
        ("anatomy.sequence_length", "4096", "4,096"),
        ("anatomy.success_rate", "0.001%", "<0.01 %"),
        ("anatomy.success_rate", "0%", "0 %"),
    ],
)
def test_numbers_read_as_people_say_them(path, given, text):
    field = next(each for each in FIELDS if each.path == path)

    assert shown(field.kind.read(given), field.kind.dimension) == text


@pytest.mark.parametrize(("need", "tier"), [(8e9, 16), (16e9, 16), (17.5e9, 24), (80 * 2**30, 80), (90e9, 141), (1e12, 141)])
def test_memory_falls_into_the_tier_that_holds_it(need, tier):
    assert tier_gb(need) == tier


def test_memory_above_the_last_tier_is_open():
    row = one_page(a_profile(anatomy__gpu_vram="100-150 GB")).gpu_shape[1]

    assert row.asked.text == "141+ GB (needs 100\N{EN DASH}150 GB)"


def test_records_alone_make_a_page():
    page = one_page(a_measured_profile())

    assert page.pains_standing is Standing.NOT_ASKED
    assert [each.rank for each in page.pains] == [None, None, None]
    assert page.success.best.text == "61 %"
