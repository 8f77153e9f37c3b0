"""What a run changed, in one line."""

import pytest

from intramural.domain.evaluation import Difference, Evaluation, Score
from intramural.domain.report import Measured
from intramural.domain.verdict import Direction, direction, interval, leading_score, one_line, percent


def an_evaluation(system, *, loss=None, changes=None, **scores):
    given = {name.replace("__", "."): Score(value=v, low=lo, high=hi, samples=100) for name, (v, lo, hi) in scores.items()}
    return Evaluation(system=system, samples=100, loss=loss, scores=given, changes=changes or {})


def test_one_field_is_named():
    before = an_evaluation("base", exact_match=(0, 0, 0), field_accuracy=(0, 0, 0), field_accuracy__queue=(0, 0, 0))
    after = an_evaluation(
        "tuned", exact_match=(0.5, 0.4, 0.6), field_accuracy=(0.84, 0.78, 0.89), field_accuracy__queue=(0.84, 0.78, 0.89)
    )

    measured = Measured(before=before, after=after)

    assert one_line(measured) == "queue accuracy 0 % \u2192 84 % (78\u201389 %)"
    assert direction(measured) is Direction.BETTER


def test_several_fields_are_taken_together():
    after = an_evaluation(
        "tuned", exact_match=(1, 1, 1), field_accuracy=(1, 1, 1), field_accuracy__a=(1, 1, 1), field_accuracy__b=(1, 1, 1)
    )

    assert leading_score(after) == "field_accuracy"
    assert leading_score(an_evaluation("tuned", exact_match=(1, 1, 1))) == "exact_match"


def test_without_scores_the_loss_speaks():
    measured = Measured(before=an_evaluation("base", loss=2.5), after=an_evaluation("tuned", loss=0.75))

    assert one_line(measured) == "hold-out loss 2.500 \u2192 0.750"
    assert direction(measured) is Direction.BETTER


def test_nothing_measured_says_nothing():
    assert one_line(Measured()) is None
    assert direction(Measured()) is Direction.UNCLEAR


def test_the_paired_difference_decides_before_two_intervals_do():
    before = an_evaluation("base", exact_match=(0.5, 0.4, 0.6))
    gain = {"exact_match": Difference(value=0.05, low=0.01, high=0.09, samples=100)}

    assert direction(Measured(before=before, after=an_evaluation("tuned", exact_match=(0.55, 0.45, 0.65)))) is Direction.UNCLEAR
    assert (
        direction(Measured(before=before, after=an_evaluation("tuned", exact_match=(0.55, 0.45, 0.65), changes=gain)))
        is Direction.BETTER
    )
    assert direction(Measured(before=before, after=an_evaluation("tuned", exact_match=(0.1, 0.05, 0.2)))) is Direction.WORSE


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (1, "100 %"), (0.125, "13 %"), (0.9976, "99.8 %"), (0.0004, "0.1 %"), (0.99999, "99.9 %")]
)
def test_percentages_never_round_to_certainty(share, text):
    assert percent(share) == text


def test_an_interval_of_one_value_is_one_value():
    assert interval(Score(value=1, low=1, high=1, samples=5)) == "100 %"
