"""The loss attack's area under its curve: what it says of losses that tell nothing, something and everything."""

import math

import pytest

from intramural.evaluation.membership import membership_auc


def test_losses_that_are_all_lower_tell_every_row():
    found = membership_auc([0.1, 0.2, 0.3], [1.0, 2.0])

    assert (found.value, found.high, found.samples) == (1.0, 1.0, 5)


def test_equal_losses_tell_nothing():
    assert membership_auc([1.0] * 10, [1.0] * 10).value == 0.5


def test_the_chance_is_counted_over_all_pairs():
    """Of six pairs three are lower and one is a tie."""
    found = membership_auc([1.0, 2.0], [0.5, 2.0, 3.0])

    assert found.value == pytest.approx((2 + 1.5) / 6)
    assert 0 <= found.low < found.value < found.high <= 1


def test_more_rows_make_it_surer():
    few, many = (membership_auc([1.0, 2.0, 3.0] * n, [1.5, 2.5, 3.5] * n) for n in (2, 50))

    assert few.value == many.value
    assert many.high - many.low < few.high - few.low


def test_a_loss_that_is_no_number_is_left_out_and_nothing_left_is_none():
    assert membership_auc([math.nan], [1.0]) is None
    assert membership_auc([], []) is None
    assert membership_auc([0.5, math.inf], [1.0]).samples == 2
