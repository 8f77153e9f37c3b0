"""Lines, ticks and bars."""

import math
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from intramural.pages.bars import Part, ScoreBar, length_bars, narrow_score_bars, part_bar, score_bars
from intramural.pages.charts import Line, Mark, finite, line_chart, smoothed, thinned, ticks

numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, min_size=1, max_size=400), st.integers(1, 40))
def test_thinning_keeps_the_extremes_and_the_ends_and_the_order(heights, buckets):
    points = list(enumerate(heights))

    kept = thinned(points, buckets)

    assert len(kept) <= max(4 * buckets, 1)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert kept == sorted(kept)
    assert min(y for _, y in kept) == min(heights)
    assert max(y for _, y in kept) == max(heights)


@given(numbers, numbers, st.integers(2, 8))
def test_ticks_enclose_the_values_and_are_even(one, other, wanted):
    low, high = min(one, other), max(one, other)

    marks = ticks(low, high, wanted)

    slack = 1e-6 * max(1, abs(low), abs(high))
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack
    assert 2 <= len(marks) <= wanted + 3
    steps = [b - a for a, b in pairwise(marks)]
    assert max(steps) - min(steps) <= slack


def test_ticks_are_round():
    assert ticks(0.13, 3.4, 4) == [0, 1, 2, 3, 4]
    assert ticks(0, 345, 4) == [0, 100, 200, 300, 400]


def test_no_tick_is_below_zero_where_no_value_is():
    assert ticks(0.0, 0.0, 4) == [0, 0.25, 0.5, 0.75, 1]
    assert ticks(0.5, 0.5, 4)[0] > 0
    assert ticks(-2.0, -2.0, 4)[0] < -2 < ticks(-2.0, -2.0, 4)[-1]


def test_smoothing_is_the_mean_of_the_neighbours():
    assert smoothed([(1, 0), (2, 3), (3, 6), (4, 0)], 3) == [(1, 0), (2, 3), (3, 3), (4, 0)]


def test_what_is_not_finite_is_not_drawn():
    assert finite([(1, math.nan), (2, 1.0), (3, math.inf)]) == [(2, 1.0)]
    assert line_chart([Line("loss", [(1, math.nan)])], title="t", x_label="step", show=str) == ""


def test_a_chart_reads_under_the_pointer_and_shows_its_marks():
    chart = line_chart(
        [Line("loss", [(1, 2.5), (2, 1.5)])], title="t", x_label="step", show="{:.1f}".format, marks=[Mark(2, "checkpoint")]
    )

    assert "<title>step 2: loss 1.5</title>" in chart
    assert "<title>checkpoint</title>" in chart


def test_a_flat_line_has_room():
    chart = line_chart([Line("loss", [(1, 0.0), (2, 0.0)])], title="t", x_label="step", show=str)

    assert "nan" not in chart
    assert len(set(re.findall(r'<line class="grid"[^>]*y1="([\d.]+)"', chart))) > 2


def test_a_narrow_chart_says_what_the_broad_one_says():
    bars = [ScoreBar("Before", 0.0, 0.0, 0.02, "0 % (0–2 %)", "base"), ScoreBar("<b>", 0.5, 0.4, 0.6, "50 % (40–60 %)")]  # noqa: RUF001

    broad, narrow = score_bars(bars, title="t"), narrow_score_bars(bars, title="t")

    words = [re.findall(r'class="(?:name|value)"[^>]*>([^<]*)<', each) for each in (broad, narrow)]
    assert words[0] == words[1] == ["Before", "0 % (0–2 %)", "&lt;b&gt;", "50 % (40–60 %)"]  # noqa: RUF001
    width = float(re.search(r'viewBox="0 0 (\d+)', narrow)[1])
    assert [float(each) for each in re.findall(r'<rect[^>]*width="([\d.]+)"', narrow)] == [1.5, width / 2]


def test_parts_fill_the_bar_in_proportion():
    bar = part_bar([Part("load", 1, "1 s"), Part("train", 3, "3 s")], title="t")

    assert [float(width) for width in re.findall(r'<rect[^>]*width="([\d.]+)"', bar)] == [178.5, 538.5]


def test_nothing_to_draw_draws_nothing():
    assert part_bar([], title="t") == ""
    assert length_bars([], [], title="t") == ""
    assert length_bars([1, 2], [0, 0], title="t") == ""
    assert "<rect" not in score_bars([], title="t")
