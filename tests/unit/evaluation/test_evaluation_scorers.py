"""What an answer scores, by hand-checked cases."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramural.evaluation.scorers import (
    NOT_JSON,
    AnswerKind,
    answer_kind,
    exact_match,
    field_matches,
    parse,
    same,
    sample_scores,
    valid_json,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "text",
    [
        '{"queue": "cards"} Thank you!',
        'Answer: {"queue": "cards"}',
        '```json\n{"queue": "cards"}\n```',
        '{"queue": "cards"',
        "{'queue': 'cards'}",
        '{"share": NaN}',
        "-Infinity",
        '{"queue": "cards", "queue": "cash"}',
        "",
        "[" * 100_000,
        "1" * 10_000,
    ],
)
def test_what_is_not_one_whole_json_document_is_not_valid(text):
    assert parse(text) is NOT_JSON
    assert valid_json(text) == 0


def test_white_space_around_a_document_is_no_fault():
    assert valid_json(' \n{"queue": "cards"}\n') == 1


@given(json_values)
def test_every_json_value_parses_to_itself(value):
    assert same(parse(json.dumps(value)), value)


def test_exact_match_ignores_only_white_space_around():
    assert exact_match("cards", " cards\n") == 1
    assert exact_match("cards", "Cards") == 0
    assert exact_match("two words", "two  words") == 0


def test_json_numbers_compare_by_value_and_booleans_do_not_pass_for_numbers():
    assert same(1, 1.0)
    assert not same(True, 1)
    assert not same(0, False)
    assert same({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})
    assert not same([1, 2], [1])


def test_a_missing_field_and_a_null_field_are_different():
    assert field_matches({"a": None, "b": 1}, {"b": 1}) == {"a": False, "b": True}
    assert field_matches({"a": None}, {"a": None, "extra": 1}) == {"a": True}
    assert field_matches({"a": 1}, NOT_JSON) == {"a": False}
    assert field_matches({"a": 1}, ["a"]) == {"a": False}


def test_scores_of_json_answers():
    references = ['{"queue": "cards", "urgent": true}'] * 4
    answers = ['{"urgent": true, "queue": "cards"}', '{"queue": "cards", "urgent": false}', "cards", references[0]]

    assert sample_scores(references, answers) == {
        "exact_match": [0, 0, 0, 1],
        "valid_json": [1, 1, 0, 1],
        "field_accuracy": [1, 0.5, 0, 1],
        "field_accuracy.queue": [1, 1, 0, 1],
        "field_accuracy.urgent": [1, 0, 0, 1],
    }


def test_a_field_that_a_sample_lacks_is_not_scored_there():
    references = ['{"queue": "a"}', '{"queue": "b", "note": "x"}', '{"queue": "c", "note": "y"}']

    scores = sample_scores(references, references)

    assert scores["field_accuracy.note"] == [None, 1, 1]


def test_a_key_that_is_content_names_no_score():
    references = [json.dumps({"queue": "a", f"Jane Doe {n}": 1, "jane@example.org": 2, f"seen_once_{n}": 3}) for n in range(5)]

    names = sample_scores(references, references).keys()

    assert {name for name in names if name.startswith("field_accuracy.")} == {"field_accuracy.queue"}


def test_references_that_are_no_json_get_only_exact_match():
    assert sample_scores(["cards", "cash"], ["cards", "x"]) == {"exact_match": [1, 0]}


def test_json_lists_have_no_fields():
    assert sample_scores(["[1]", "[2]"], ["[1]", "[1"]) == {"exact_match": [1, 0], "valid_json": [1, 0]}


def test_the_kind_of_a_hold_out_is_what_nearly_all_its_references_are():
    assert answer_kind(['{"a": 1}'] * 19 + ["oops"]) is AnswerKind.JSON
    assert answer_kind(['{"a": 1}'] * 5 + ["oops"] * 5) is AnswerKind.SHORT
    assert answer_kind(["cards"] * 20) is AnswerKind.SHORT
    assert answer_kind(["A long letter. " * 20] * 20) is AnswerKind.FREE
    assert answer_kind(["two\nlines"] * 20) is AnswerKind.FREE
    assert answer_kind([]) is AnswerKind.FREE


def test_a_reference_needs_its_answer():
    with pytest.raises(ValueError, match="zip"):
        sample_scores(["a", "b"], ["a"])
