"""How rows of each format become examples, and how a format is recognised."""

import pytest

from intramural.errors import InvalidInput
from intramural.intake.formats import FORMATS, detect, shown_names
from intramural.intake.messages import MalformedRow

CONTENT = "zebra-7731"
USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


def convert(form, row):
    return FORMATS[form].convert(row, set())


@pytest.mark.parametrize(
    ("form", "row", "roles", "last"),
    [
        ("chat", {"messages": [{"role": "developer", "content": "s"}, USER, ANSWER]}, "system user assistant", "a"),
        ("prompt-completion", {"prompt": "q", "completion": "c", "system": "s"}, "system user assistant", "c"),
        ("prompt-completion", {"prompt": "q", "completion": "c", "system": None}, "user assistant", "c"),
        (
            "alpaca",
            {"instruction": "i", "input": "", "output": "o", "history": [["x", "y"]]},
            "user assistant user assistant",
            "o",
        ),
        (
            "sharegpt",
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "v"}]},
            "user assistant",
            "v",
        ),
        (
            "sharegpt",
            {"system": "s", "conversations": [{"from": "user", "value": "q"}, {"from": "chatgpt", "value": "v"}]},
            "system user assistant",
            "v",
        ),
    ],
)
def test_each_format_becomes_turns(form, row, roles, last):
    turns = convert(form, row)["messages"]

    assert " ".join(turn["role"] for turn in turns) == roles
    assert turns[-1] == {"role": "assistant", "content": last}


def test_an_alpaca_input_follows_the_instruction_on_a_new_line():
    row = {"instruction": "translate", "input": "hello", "output": "o"}

    assert convert("alpaca", row)["messages"][0]["content"] == "translate\nhello"


def test_equal_conversations_of_two_formats_are_one_example():
    assert convert("prompt-completion", {"prompt": "q", "completion": "a"}) == convert(
        "chat", {"messages": [USER | {"name": "x"}, ANSWER | {"weight": 1}]}
    )


def test_text_parts_are_joined_and_other_parts_are_a_fault():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert convert("chat", {"messages": [{"role": "user", "content": parts}, ANSWER]})["messages"][0]["content"] == "ab"
    with pytest.raises(MalformedRow, match="part that is not text"):
        convert("chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ANSWER]})


def test_weight_zero_is_kept_and_lets_a_turn_be_empty():
    silent = {"role": "assistant", "content": "", "weight": 0}

    assert convert("chat", {"messages": [USER, silent, USER, ANSWER]})["messages"][1] == silent


@pytest.mark.parametrize(
    ("messages", "field", "reason"),
    [
        (None, "messages", "missing"),
        ({}, "messages", "not a list"),
        ([], "messages", "empty"),
        (["x"], "messages[0]", "not an object"),
        ([{"content": CONTENT}], "messages[0].role", "missing"),
        ([{"role": CONTENT, "content": CONTENT}], "messages[0].role", "not one of"),
        ([{"role": ["user"], "content": CONTENT}], "messages[0].role", "not one of"),
        ([{"role": "user"}, ANSWER], "messages[0].content", "missing"),
        ([{"role": "user", "content": " \n"}, ANSWER], "messages[0].content", "empty"),
        ([{"role": "user", "content": 5}, ANSWER], "messages[0].content", "not a text"),
        ([USER, {"role": "assistant", "content": ""}], "messages[1].content", "empty"),
        ([USER, ANSWER | {"weight": 0.5}], "messages[1].weight", "not 0 or 1"),
        ([USER, ANSWER | {"weight": True}], "messages[1].weight", "not 0 or 1"),
        ([USER, ANSWER | {"weight": 0}], "messages", "nothing is trained on"),
        ([USER, ANSWER | {"tool_calls": [{}]}], "messages[1].tool_calls", "tool calls"),
        ([USER, ANSWER, USER], "messages", "last turn"),
        ([ANSWER], "messages", "no user turn"),
    ],
)
def test_a_faulty_conversation_names_field_and_rule_without_its_text(messages, field, reason):
    with pytest.raises(MalformedRow) as caught:
        convert("chat", {"messages": messages})

    assert caught.value.field == field
    assert reason in caught.value.reason
    assert CONTENT not in caught.value.message


PAIR = {"input": [USER], "preferred": [ANSWER], "non_preferred": [ANSWER | {"content": "b"}]}


@pytest.mark.parametrize(
    "row",
    [
        {"input": {"messages": [USER]}, "preferred_output": PAIR["preferred"], "non_preferred_output": PAIR["non_preferred"]},
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"prompt": [USER], "chosen": PAIR["preferred"], "rejected": PAIR["non_preferred"]},
        {"prompt": "another wording of it", "chosen": [USER, ANSWER], "rejected": [USER, PAIR["non_preferred"][0]]},
        {"chosen": [USER, ANSWER], "rejected": [USER, PAIR["non_preferred"][0]]},
        {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "gpt", "value": "b"},
        },
    ],
)
def test_every_way_to_write_a_preference_is_the_same_example(row):
    assert detect([row], "f").name == "preference"
    assert convert("preference", row) == PAIR


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "q", "chosen": CONTENT, "rejected": CONTENT}, "equal"),
        ({"chosen": CONTENT, "rejected": "b"}, "missing"),
        ({"prompt": "q", "chosen": CONTENT}, "missing"),
        ({"prompt": [USER, ANSWER], "chosen": CONTENT, "rejected": "b"}, "last turn before"),
        ({"input": [USER], "preferred_output": [ANSWER]}, "not an object"),
    ],
)
def test_a_pair_that_compares_nothing_is_a_fault(row, reason):
    with pytest.raises(MalformedRow, match=reason) as caught:
        convert("preference", row)

    assert CONTENT not in caught.value.message


def test_the_commonest_format_of_the_first_rows_is_the_files():
    rows = [{"prompt": "q", "completion": "a"}, {"messages": []}, {"messages": []}, {"other": 1}]

    assert detect(rows, "f").name == "chat"


@pytest.mark.parametrize(
    "rows",
    [
        [{"messages": [], "prompt": CONTENT, "completion": CONTENT}],
        [{"messages": []}, {"prompt": CONTENT, "completion": CONTENT}],
        [{"question": CONTENT, "reply": CONTENT}],
        [],
    ],
    ids=["both-in-a-row", "as-many", "none", "no-rows"],
)
def test_a_format_that_is_not_certain_is_refused_with_field_names_only(rows):
    with pytest.raises(InvalidInput) as caught:
        detect(rows, "f")

    assert caught.value.hint is not None
    assert CONTENT not in str(caught.value.document())


def test_a_name_that_may_be_text_is_counted_not_shown():
    assert shown_names(["question", "My name is Alice Hollis", "x" * 41]) == ("question", "(2 not shown)")


GOOD, BAD = {"input": [USER], "desirable": [ANSWER]}, {"input": [USER], "undesirable": [ANSWER]}


@pytest.mark.parametrize(
    ("row", "example"),
    [
        ({"prompt": "q", "completion": "a", "label": True}, GOOD),
        ({"prompt": "q", "completion": "a", "label": "False"}, BAD),
        ({"messages": [USER, ANSWER], "label": False}, BAD),
        (GOOD, GOOD),
        (BAD, BAD),
    ],
)
def test_a_judged_answer_is_an_example_of_its_own_kind(row, example):
    assert detect([row], "f").name == "unpaired"
    assert convert("unpaired", row) == example


def test_a_label_that_names_a_class_judges_nothing():
    assert detect([{"prompt": "q", "completion": "a", "label": "billing"}], "f").name == "prompt-completion"
    assert detect([{"prompt": "q", "completion": "a", "label": 1}], "f").name == "prompt-completion"


def test_text_alone_is_plain_text_but_beside_other_fields_it_may_be_a_question():
    assert detect([{"text": "t", "path": "a.md", "license": "MIT"}], "f").name == "text"
    with pytest.raises(InvalidInput, match="no known format"):
        detect([{"text": "t", "category": "billing"}], "f")


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("chat", {"messages": [USER, ANSWER]}),
        ("preference", PAIR),
        ("unpaired", GOOD),
        ("text", {"text": [{"role": "text", "content": "t"}]}),
    ],
)
def test_a_stored_row_is_read_as_it_is(form, row):
    assert detect([row], "f").name == form
    assert convert(form, row) == row
