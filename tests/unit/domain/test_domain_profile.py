"""A profile holds every answer, says when a question applies, and describes itself."""

import json
from datetime import date

import pytest

from factories import a_merged_profile, a_profile
from intramural.domain.answers import Answer, Answers, Confidence, Window
from intramural.domain.profile import FIELDS, Profile, applies, field_of
from intramural.domain.profile_schema import profile_schema
from intramural.domain.quantity import exactly
from intramural.domain.strict_yaml import read
from intramural.errors import InvalidInput


def message(text):
    with pytest.raises(InvalidInput) as caught:
        read(text, Profile, where="profile.yaml")
    assert caught.value.hint
    return caught.value.message


def test_a_profile_reads_back_from_its_document():
    profile = a_merged_profile()

    assert read(json.dumps(profile.document()), Profile) == profile
    assert Profile.model_validate(profile.document()) == profile


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anatomy:\n  sucess_rate: 95%\n", "line 2: unknown key `anatomy.sucess_rate`; did you mean `success_rate`?"),
        ("success_rate: 95%\n", "line 1: unknown key `success_rate`; did you mean `anatomy.success_rate`?"),
        ("anatomy:\n  success_rate: 130%\n", "line 2: `anatomy.success_rate`: a share is between 0 and 100 %."),
        ("anatomy:\n  dataset_size: -5 GB\n", "line 2: `anatomy.dataset_size`: it is below zero."),
        ("anatomy:\n  run_time:\n    dev: 5h / 2h\n", "`anatomy.run_time`: p90 is below p50."),
        ("anatomy:\n  gpu_count: 9 of 8\n", "`anatomy.gpu_count`: "),
        ("operations:\n  spot: perhaps\n", "`operations.spot`: choose from no, with_checkpoints, dev_only, yes."),
        (
            "anatomy:\n  success_rate: {asked: 95%, mesured: 61%}\n",
            "unknown key `anatomy.success_rate.mesured`; did you mean `measured`?",
        ),
        ("window_days: 0\n", "`window_days`: Input should be greater than or equal to 1."),
        ("interviewed: yesterday\n", "`interviewed`: Input should be a valid date"),
        ("version: 2\n", "`version`: Input should be 1."),
        (
            "anatomy:\n  success_rate: {measured: {value: 61%, window: {days: 90, first: 2026-02-30}}}\n",
            "`anatomy.success_rate.measured.window.first`: write the day as 2026-11-24.",
        ),
        (
            "anatomy:\n  success_rate: {measured: {value: 61%, window: {days: 90, first: 2026-03-01, last: 2026-02-01}}}\n",
            "`anatomy.success_rate.measured.window`: a window ends after it starts.",
        ),
    ],
)
def test_every_mistake_is_named_by_line_and_field(text, expected):
    assert expected in message(text)


def test_what_was_put_in_is_checked_and_written_by_its_kind():
    measured = Answer(
        value=exactly(61), confidence=Confidence.EXACT, window=Window(days=90, last=date(2026, 11, 1)), source="sacct"
    )

    profile = Profile().with_answers("anatomy.success_rate", Answers(measured=measured))

    assert profile.answers("anatomy.success_rate").measured == measured
    assert profile.document()["anatomy"]["success_rate"] == {
        "measured": {
            "value": "61 %",
            "confidence": "exact",
            "window": {"days": 90.0, "last": "2026-11-01"},
            "source": "sacct",
        }
    }


def test_there_is_no_other_question():
    with pytest.raises(KeyError):
        Profile().answers("anatomy.mood")
    with pytest.raises(KeyError):
        Profile().with_answers("mood", Answers())


@pytest.mark.parametrize(
    ("path", "changes", "put"),
    [
        ("anatomy.multi_node", {"anatomy__gpu_count": "0"}, False),
        ("anatomy.multi_node", {"anatomy__gpu_count": "0 50%; 8 50%"}, True),
        ("anatomy.multi_node", {"anatomy__gpu_count": "unknown"}, False),
        ("anatomy.multi_node", {"anatomy__gpu_count": None}, False),
        ("stack.domains", {"stack__internet": "yes"}, True),
        ("stack.domains", {"stack__internet": "no"}, False),
        ("stack.egress_rules", {"stack__internet": "no"}, True),
        ("stack.vm_reason", {"stack__container": "container"}, False),
        ("governance.regions", {"governance__region_lock": "yes"}, True),
        ("governance.customer_keys", {"governance__encryption": "no"}, False),
        ("operations.spot_conditions", {"operations__spot": "with_checkpoints"}, True),
        ("operations.spot_conditions", {"operations__spot": "no"}, False),
        ("context.people", {}, True),
    ],
)
def test_a_question_is_put_where_it_applies(path, changes, put):
    assert applies(a_profile(**changes), field_of(path)) is put


def test_a_condition_names_an_earlier_question_and_choices_it_has():
    order = [each.path for each in FIELDS]
    for each in [each for each in FIELDS if each.when]:
        assert order.index(each.when.path) < order.index(each.path)
        for key in each.when.any_of:
            kind = field_of(each.when.path).kind
            assert kind.write(kind.read(key)) == key


def test_every_question_says_what_why_and_for_which_line():
    for each in FIELDS:
        assert each.question.endswith(("?", "?)"))
        assert each.why.endswith(".")
        assert each.guide


def test_the_schema_has_every_question_with_its_unit_and_no_other_key():
    schema = profile_schema()
    names = {f"{section}.{key}" for section, each in schema["properties"].items() for key in each.get("properties", {})}

    assert names == {each.path for each in FIELDS}
    success_rate = schema["properties"]["anatomy"]["properties"]["success_rate"]
    assert success_rate["title"] == field_of("anatomy.success_rate").question
    assert schema["$defs"]["percent"]["anyOf"][0]["x-unit"] == "percent"
    assert not schema["additionalProperties"]
    referred = set(json.dumps(schema).split('"#/$defs/')[1:])
    assert {each.partition('"')[0] for each in referred} <= set(schema["$defs"])
