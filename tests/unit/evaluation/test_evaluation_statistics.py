"""Intervals: hand-checked where they can be, properties elsewhere."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramural.evaluation.comparison import differences, paired_difference
from intramural.evaluation.statistics import interval_of_mean, mean_score

shares = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def test_the_interval_of_a_proportion_is_close_to_the_normal_one():
    """84 of 100: 0.84 ± 1.96 √(0.84 · 0.16 / 100) = 0.768 to 0.912."""
    score = mean_score([1.0] * 84 + [0.0] * 16)

    assert score.value == 0.84
    assert score.low == pytest.approx(0.768, abs=0.012)
    assert score.high == pytest.approx(0.912, abs=0.012)
    assert (score.samples, score.confidence) == (100, 0.95)


def test_twenty_of_twenty_is_not_certainty():
    """Clopper-Pearson for 20 of 20 at 95 %: 0.8316 to 1."""
    assert mean_score([1.0] * 20).low == pytest.approx(0.8316, abs=1e-4)
    assert mean_score([0.0] * 20).high == pytest.approx(0.1684, abs=1e-4)
    assert mean_score([1.0] * 20).high == 1


def test_the_same_samples_give_the_same_interval_and_their_order_does_not_matter():
    values = [0.0, 0.5, 1.0, 1.0, 0.25]

    assert mean_score(values) == mean_score(values)
    assert mean_score(values) == mean_score(values[::-1])


def test_it_agrees_with_drawing_the_samples_one_by_one():
    generator = np.random.default_rng(3)
    values = generator.random(50)
    means = values[generator.integers(0, 50, (20_000, 50))].mean(axis=1)

    low, high = interval_of_mean(list(values), resamples=20_000)

    assert low == pytest.approx(np.quantile(means, 0.025), abs=0.004)
    assert high == pytest.approx(np.quantile(means, 0.975), abs=0.004)


def test_many_distinct_values_are_drawn_in_blocks():
    values = np.random.default_rng(5).random(30_000)

    low, high = interval_of_mean(list(values), resamples=300)

    half = 1.96 * values.std() / math.sqrt(len(values))
    assert (high - low) / 2 == pytest.approx(half, rel=0.25)


@given(shares)
def test_the_mean_lies_in_its_interval_and_the_interval_in_the_scale(values):
    score = mean_score(values)

    assert 0 <= score.low <= score.value + 1e-9
    assert score.value - 1e-9 <= score.high <= 1 + 1e-9


@pytest.mark.parametrize("values", [[], [math.nan], [1.5], [-0.1]])
def test_what_is_no_share_is_refused(values):
    with pytest.raises(ValueError, match="sample"):
        mean_score(values)


def test_a_paired_difference_counts_only_samples_that_both_scored():
    difference = paired_difference([0, 1, None, 0], [1, 1, 1, None])

    assert (difference.value, difference.samples) == (0.5, 2)


def test_pairing_sees_a_small_steady_gain_that_two_intervals_hide():
    before = [0.0, 1.0] * 50
    after = [1.0, 1.0] * 5 + [0.0, 1.0] * 45

    difference = paired_difference(before, after)

    assert difference.value == pytest.approx(0.05)
    assert difference.low > 0
    assert mean_score(before).high > mean_score(after).low


@given(shares)
def test_no_change_has_no_difference(values):
    difference = paired_difference(values, values)

    assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_differences_cover_the_scores_both_have():
    assert differences({"exact_match": [0]}, {"exact_match": [1], "valid_json": [1]}).keys() == {"exact_match"}
