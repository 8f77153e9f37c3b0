"""What a cut to the sequence length takes away, and when it leaves nothing to learn."""

import pytest

from intramural.errors import InvalidInput
from intramural.workloads.cutting import check_answers, cut
from intramural.workloads.passes import TokenExample


def example(asked, answer, after=0):
    """*asked* tokens, then *answer* tokens that carry loss, then some that carry none."""
    carries = [False] * asked + [True] * answer + [False] * after
    return TokenExample(list(range(len(carries))), carries)


def test_examples_that_fit_are_left_as_they_are_and_nothing_is_told():
    whole = [example(5, 3), example(7, 1)]

    assert cut(whole, 8, 100) == (whole, None)


def test_longer_ones_are_cut_at_the_end_and_counted():
    short, told = cut([example(5, 3), example(5, 6), example(2, 2)], 8, 100)

    assert [(len(each.ids), sum(each.answer)) for each in short] == [(8, 3), (8, 3), (4, 2)]
    assert told == "1 of 3 examples are longer than 8 tokens and were cut at the end."


def test_those_that_lost_the_whole_answer_are_counted_with_the_length_that_keeps_it():
    _, told = cut([example(5, 3), example(8, 4, after=9), example(9, 2), example(3, 7)], 8, 100)

    assert "3 of 4 examples are longer" in told
    assert "2 of them lost the whole answer and teach nothing. train.sequence_length 12 would keep it." in told


def test_an_example_that_had_no_answer_before_lost_none():
    _, told = cut([example(5, 3), example(20, 0)], 8, 100)

    assert "lost" not in told


def test_where_no_answer_is_left_the_length_that_keeps_every_one_is_named():
    with pytest.raises(InvalidInput, match=r"train\.sequence_length 8 cuts the whole answer off every") as caught:
        cut([example(8, 4, after=2), example(30, 2)], 8, 100)

    assert caught.value.hint == "Set train.sequence_length to 32 or more, or leave it at auto."


def test_no_longer_length_is_named_than_the_base_takes():
    with pytest.raises(InvalidInput) as caught:
        cut([example(8, 4), example(130, 2)], 8, 100)

    assert "to 100 or more" in caught.value.hint


def test_where_the_base_takes_no_more_the_prompts_are_too_long():
    with pytest.raises(InvalidInput, match="behind the 100 tokens") as caught:
        cut([example(100, 4), example(130, 2)], 100, 100)

    assert "longer context than 100 tokens" in caught.value.hint


@pytest.mark.parametrize("lone", [example(0, 1), example(4, 0), example(0, 0)])
def test_an_answer_that_nothing_predicts_is_none(lone):
    with pytest.raises(InvalidInput, match="has an answer"):
        check_answers([lone, lone])

    check_answers([lone, example(1, 1)])
