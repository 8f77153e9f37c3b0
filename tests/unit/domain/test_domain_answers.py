"""Each kind of answer reads what people and files hold, and what it writes reads back as the same."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from intramural.domain.answer_kinds import Choice, OneOf, SomeOf, Text, YesNo
from intramural.domain.answer_tables import Parts, Shares, Spread, Spreads, SpreadsBy
from intramural.domain.answers import Answers, Provenance, is_unknown
from intramural.domain.profile import FIELDS, SECTIONS, field_of
from intramural.domain.quantity import Quantity, exactly

JOBS = OneOf(
    (Choice("dev", "Dev/test", ("debug",)), Choice("sft_lora", "SFT (LoRA)", ("lora",)), Choice("eval", "Eval")), open=True
)
SHARES = Parts(JOBS)
SPREADS = SpreadsBy(JOBS)
SUCCESS_RATE = TypeAdapter(SECTIONS["anatomy"].model_fields["success_rate"].annotation)


@pytest.mark.parametrize("text", ["sft_lora", "LoRA", "SFT (LoRA)", "sft-lora", "sf"])
def test_a_choice_has_many_names(text):
    assert JOBS.read(text) == "sft_lora"


def test_a_closed_choice_names_the_nearest():
    kind = field_of("operations.spot").kind

    with pytest.raises(ValueError, match="did you mean `with_checkpoints`"):
        kind.read("with_chekpoints")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a, b", ("a", "b")),
        ("a > b", ("a", "b")),
        ("1. a 2. b", ("a", "b")),
        ("a; a; b", ("a", "b")),
        ('"a, b", c', ("a, b", "c")),
    ],
)
def test_a_list_is_parted_where_people_part_it(text, read):
    assert SomeOf((), open=True).read(text) == read


@pytest.mark.parametrize("said", ["yes", "Y", "true", True, "required"])
def test_yes_has_many_names(said):
    assert YesNo().read(said) is True


@pytest.mark.parametrize(
    "text",
    [
        "dev 10%, lora 60%, eval 30%",
        "dev: 10 %; lora: 60 %; eval: 30 %",
        "10% dev; 60% lora; 30% of eval",
        "dev 10; lora 60; eval 30",
    ],
)
def test_shares_are_read_as_people_write_them(text):
    read = SHARES.read(text)

    assert {key: each.middle for key, each in read.parts.items()} == {"dev": 10, "sft_lora": 60, "eval": 30}
    assert read.adds_up()


def test_shares_that_do_not_add_up_are_kept_until_they_are_normalised():
    shares = SHARES.read("dev 60%; eval 60-80%")

    assert (shares.total, shares.adds_up()) == (130, False)
    assert shares.normalised().total == pytest.approx(100, abs=0.02)
    assert shares.normalised().parts["eval"].is_range


def test_parts_without_figures_are_named_only():
    gpus = field_of("anatomy.gpu_count").kind.read("1/2/4/8")

    assert gpus == Shares(parts={"1": None, "2": None, "4": None, "8": None})
    assert gpus.total is None
    assert gpus.adds_up()


@pytest.mark.parametrize(
    "text", ["lora 2h / 5h", "lora: 2h/5h", "lora p50 2h p90 5h", "lora p50: 2h, p90: 5h", "lora p50=2h / p90=5h"]
)
def test_spreads_are_read_as_people_write_them(text):
    assert SPREADS.read(text).by == {"sft_lora": Spread(p50=exactly(7200), p90=exactly(18000))}


def test_half_a_spread_is_the_half_that_was_said():
    assert SPREADS.read("lora p90 5h").by == {"sft_lora": Spread(p90=exactly(18000))}
    assert SPREADS.read("lora 2h").by == {"sft_lora": Spread(p50=exactly(7200))}
    assert SPREADS.read({"lora": {"p50": None, "p90": "5h"}}).by == {"sft_lora": Spread(p90=exactly(18000))}


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (SPREADS, "lora 5h / 2h", "p90 is below p50"),
        (SPREADS, {"lora": {"p50": "5h", "p90": "2h"}}, "p90 is below p50"),
        (SPREADS, {"lora": {"p95": "5h"}}, "a spread has p50 and p90"),
        (SPREADS, {"lora": {"p50": ["5h"]}}, "for example"),
        (SPREADS, "lora 1h; LoRA 2h", "given twice"),
        (SPREADS, "lora", "for example"),
        (SHARES, "dev 130%", "between 0 and 100"),
        (SHARES, {"dev": True}, "percentage"),
        (SHARES, {"dev": ["1"]}, "percentage"),
        (SHARES, "dev 10%; debug 20%", "given twice"),
        (SHARES, "", "for example"),
        (Parts(field_of("anatomy.gpu_count").kind.keys), "2.5 100%", "whole numbers"),
        (Text(), "", "a few words"),
        (Text(), ["a"], "a few words"),
        (Text(), "bell\a", "no text holds"),
        (YesNo(), "maybe", "yes or no"),
        (SomeOf(JOBS.choices), 5, "choose from dev"),
        (SomeOf(JOBS.choices), [], "choose from dev"),
    ],
)
def test_what_cannot_be_is_refused_in_words(kind, given, words):
    with pytest.raises(ValueError, match=words):
        kind.read(given)


WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12).filter(str.strip)
PERCENTS = st.one_of(
    st.none(),
    st.floats(0, 100).map(exactly),
    st.tuples(st.floats(0, 100), st.floats(0, 100)).map(lambda ends: Quantity(low=min(ends), high=max(ends), approximate=True)),
    st.floats(0, 100).map(lambda end: Quantity(low=None, high=end)),
)
TIMES = st.one_of(st.none(), st.floats(0, 1e9).map(exactly))


@given(st.lists(WORDS, min_size=1, max_size=4), st.booleans())
def test_own_words_read_back_whatever_stands_in_them(words, ranked):
    kind = SomeOf(JOBS.choices, open=True, ranked=ranked)
    value = kind.read(words)

    assert kind.read(kind.write(value)) == value
    assert kind.read(kind.document(value)) == value


@given(WORDS)
def test_own_words_stay_as_they_were_read(words):
    assert Text().read(Text().read(words)) == Text().read(words)
    assert JOBS.read(JOBS.read(words)) == JOBS.read(words)


@given(st.dictionaries(WORDS.map(JOBS.read), PERCENTS, min_size=1, max_size=4))
def test_shares_read_back(parts):
    assume(len({JOBS.read(each) for each in parts}) == len(parts))
    value = Shares(parts=parts)

    assert SHARES.read(SHARES.write(value)) == value
    assert SHARES.read(SHARES.document(value)) == value


@given(st.dictionaries(WORDS.map(JOBS.read), st.tuples(TIMES, TIMES), min_size=1, max_size=4))
def test_spreads_read_back(by):
    def spread(ends):
        p50, p90 = ends
        return Spread(p50=p50, p90=p90) if not (p50 and p90 and p90.middle < p50.middle) else Spread(p50=p90, p90=p50)

    value = Spreads(by={key: spread(each) for key, each in by.items()})

    assert SPREADS.read(SPREADS.write(value)) == value
    assert SPREADS.read(SPREADS.document(value)) == value


@pytest.mark.parametrize("path", [each.path for each in FIELDS])
def test_the_example_of_every_question_is_an_answer(path):
    kind = field_of(path).kind
    examples = [kind.example] if not kind.schema().get("x-unit") else kind.example.split(", ")

    for each in examples:
        value = kind.read(each)
        assert kind.read(kind.write(value)) == value
        assert kind.read(kind.document(value)) == value


@pytest.mark.parametrize(
    "given", ["95%", 95, {"value": "95%"}, {"asked": "95%"}, {"asked": {"value": 95}}, {"asked": "95%", "measured": None}]
)
def test_an_answer_may_be_written_short(given):
    answers = SUCCESS_RATE.validate_python(given)

    assert answers.asked.value == exactly(95)
    assert [each for each in Provenance if answers.by(each)] == [Provenance.ASKED]


def test_nothing_is_not_an_answer_and_unknown_is():
    assert SUCCESS_RATE.validate_python(None) == Answers()
    assert SUCCESS_RATE.validate_python("unknown").asked.value is None
    assert SUCCESS_RATE.dump_python(SUCCESS_RATE.validate_python("?")) == "unknown"


def test_an_unknown_provenance_is_refused():
    with pytest.raises(ValidationError, match="mesured"):
        SUCCESS_RATE.validate_python({"asked": "95%", "mesured": "61%"})


def test_a_measured_answer_is_relied_on_and_a_known_one_before_an_unknown_one():
    answers = SUCCESS_RATE.validate_python({"asked": "95%", "measured": {"value": "61%", "window": {"days": 90}}})

    assert answers.value == exactly(61)
    assert SUCCESS_RATE.validate_python({"asked": "95%", "measured": "unknown"}).value == exactly(95)
    assert SUCCESS_RATE.validate_python(SUCCESS_RATE.dump_python(answers, mode="json")) == answers


@pytest.mark.parametrize("said", ["?", "unknown", "Don't know", "don’t know", "no idea"])  # noqa: RUF001 - as people type it
def test_dont_know_has_many_names(said):
    assert is_unknown(said)
