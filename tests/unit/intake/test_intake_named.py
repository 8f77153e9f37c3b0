"""A field or a format that was named and is not there is named again, with the nearest that is."""

import io
import json

import pytest

from intramural.errors import InvalidInput
from intramural.intake.formats import DETECTION_ROWS
from intramural.intake.reading import ReadAs, Reading

ASKED = {"prompt": "question", "completion": "answer"}
ROW = {"question": "q", "answer": "a", "id": 1}
CHAT = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}


def begun(rows, name="t.jsonl", **how):
    """The format and the rows of a file, as a reader takes it up."""
    lines = rows if isinstance(rows, str) else "".join(json.dumps(each) + "\n" for each in rows)
    form, rows = Reading(ReadAs(**how)).begin(io.BytesIO(lines.encode()), name, lambda done, total: None)
    return form.name, len([*rows])


def refused(rows, name="t.jsonl", **how):
    with pytest.raises(InvalidInput) as caught:
        begun(rows, name, **how)
    return caught.value


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize(("named", "near"), [("qestion", "question"), ("Question", "question"), ("answers", "answer")])
def test_a_mapped_field_that_no_row_has_is_named_with_the_nearest(named, near, skip_bad):
    error = refused([ROW] * 3, mapping={**ASKED, "prompt": named}, skip_bad=skip_bad)

    assert error.message == f"There is no field `{named}` for prompt in t.jsonl. Did you mean `{near}`?"
    assert error.hint == f"Write --map prompt={near}."


def test_a_group_that_no_row_has_is_named_and_the_fields_are_told():
    error = refused([ROW], mapping=ASKED, group_by="nothing_like_it")

    assert error.message == "There is no field `nothing_like_it` to group by in t.jsonl."
    assert error.hint == "Its fields are answer, id, question."


@pytest.mark.parametrize("how", [{}, {"format": "chat"}])
def test_a_group_is_looked_for_however_the_format_is_known(how):
    error = refused([{**CHAT, "thread": 1}], group_by="thraed", **how)

    assert error.message == "There is no field `thraed` to group by in t.jsonl. Did you mean `thread`?"
    assert error.hint == "Write --group-by thread."


def test_all_that_is_missing_is_told_at_once():
    error = refused([ROW], mapping={"prompt": "qestion", "completion": "anwser"}, group_by="idd")

    assert error.hint == "Write --map prompt=question --map completion=answer --group-by id."


def test_the_header_of_a_table_says_what_is_there():
    table = "question,answer\n" + "q,a\n" * (DETECTION_ROWS + 20)

    assert "`qestion`" in refused(table, "t.csv", mapping={**ASKED, "prompt": "qestion"}).message
    assert "`elsewhere`" in refused(table, "t.csv.gz", mapping={**ASKED, "system": "elsewhere"}).message


def test_a_field_that_one_of_the_first_rows_has_is_enough():
    rows = [{"other": 1}] * (DETECTION_ROWS - 1) + [ROW] * 5

    assert begun(rows, mapping=ASKED, group_by="id") == ("prompt-completion", DETECTION_ROWS + 4)


def test_a_field_that_rows_can_do_without_may_come_later():
    rows = [ROW] * DETECTION_ROWS + [{**ROW, "instructions": "s"}]

    assert begun(rows, mapping={**ASKED, "system": "instructions"}) == ("prompt-completion", DETECTION_ROWS + 1)
    assert "`instructions`" in refused(rows[:-2], mapping={**ASKED, "system": "instructions"}).message
    assert "Did you mean `id`?" in refused(rows, mapping={**ASKED, "system": "idd"}).message


def test_no_name_is_quoted_that_may_be_a_text():
    text = "My name is Alice Hollis"
    asked = refused([{text: "q", "answer": "a"}], mapping={"prompt": "My name is Alice Holis", "completion": "anser"})

    assert "Alice" not in json.dumps(asked.document())
    assert asked.message.startswith("There is no such field for prompt in t.jsonl. There is no field `anser`")
    assert "Alice" not in json.dumps(refused([{text: "q"}], mapping=ASKED).document())
    assert "Alice" not in json.dumps(refused([{text: "q"}], format="alpaca").document())
    assert "such field to group by" in refused([CHAT], group_by=text).message


@pytest.mark.parametrize(
    ("row", "named", "likely"),
    [
        (CHAT, "alpaca", "chat"),
        ({"instruction": "i", "output": "o"}, "prompt-completion", "alpaca"),
        ({"prompt": "p", "completion": "c", "label": True}, "sharegpt", "unpaired"),
        ({"text": "t"}, "chat", "text"),
    ],
)
def test_a_format_that_no_row_is_in_gives_way_to_the_one_they_look_like(row, named, likely):
    error = refused([row] * 3, format=named, skip_bad=True)

    assert error.message == f"t.jsonl is not in the format {named}; its rows look like {likely}."
    assert error.hint == f"Write --format {likely}, or leave --format out."


def test_rows_of_no_format_are_told_by_their_fields():
    error = refused([ROW], format="alpaca")

    assert error.message == "t.jsonl is not in the format alpaca, nor in another; the fields are answer, id, question."
    assert "--map prompt=question" in error.hint


def test_one_row_in_the_named_format_is_enough_and_rows_that_cannot_be_read_say_nothing():
    assert begun([{"other": 1}, CHAT], format="chat") == ("chat", 2)
    assert begun("no row\n", format="chat", group_by="thread") == ("chat", 1)
    assert begun("", format="alpaca") == ("alpaca", 0)


def test_our_own_name_on_the_left_of_a_mapping_is_named_too():
    with pytest.raises(InvalidInput) as caught:
        ReadAs(mapping={"promt": "question", "completion": "answer"}).check()

    assert caught.value.message == "No format has a field `promt`. Did you mean `prompt`?"
