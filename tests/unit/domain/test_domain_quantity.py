"""Numbers as people write them: read, written, and read back as the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramural.domain.quantity import Dimension, Quantity, exactly, read, write

D = Dimension


@pytest.mark.parametrize(
    ("text", "dimension", "low", "high"),
    [
        ("2h", D.DURATION, 7200, 7200),
        ("90 min", D.DURATION, 5400, 5400),
        ("1h 30min", D.DURATION, 5400, 5400),
        ("1:30", D.DURATION, 5400, 5400),
        ("2-03:00:00", D.DURATION, 183_600, 183_600),
        ("2-4 h", D.DURATION, 7200, 14_400),
        ("30 min to 2 h", D.DURATION, 1800, 7200),
        ("between 1 and 3 days", D.DURATION, 86_400, 259_200),
        ("2 years", D.DURATION, 63_072_000, 63_072_000),
        ("1.5 TB", D.SIZE, 1.5e12, 1.5e12),
        ("16 GiB", D.SIZE, 16 * 1024**3, 16 * 1024**3),
        ("80", D.SIZE, 80e9, 80e9),
        ("1,5 GB", D.SIZE, 1.5e9, 1.5e9),
        ("45%", D.PERCENT, 45, 45),
        ("45", D.PERCENT, 45, 45),
        ("10-20 %", D.PERCENT, 10, 20),
        ("70B", D.PARAMETERS, 70e9, 70e9),
        ("135 million", D.PARAMETERS, 135e6, 135e6),
        ("13k samples", D.SAMPLES, 13_000, 13_000),
        ("1,200 rows", D.SAMPLES, 1200, 1200),
        ("2.5B tokens", D.TOKENS, 2.5e9, 2.5e9),
        ("1-2k", D.TOKENS, 1000, 2000),
        ("1e-4", D.COUNT, 1e-4, 1e-4),
        ("8 GPUs", D.GPUS, 8, 8),
        (12, D.COUNT, 12, 12),
        (1e-07, D.COUNT, 1e-07, 1e-07),
    ],
)
def test_what_people_write_is_read(text, dimension, low, high):
    assert read(text, dimension) == Quantity(low=low, high=high)


@pytest.mark.parametrize("text", ["~45%", "about 45 %", "≈45%", "approx. 45%", "roughly 45%"])
def test_an_approximate_number_stays_approximate(text):
    assert read(text, D.PERCENT) == Quantity(low=45, high=45, approximate=True)


def test_open_ends_are_ranges():
    assert read("at least 2h", D.DURATION) == Quantity(low=7200, high=None)
    assert read("< 10 min", D.DURATION) == Quantity(low=None, high=600)
    assert read("2h", D.DURATION).is_range is False
    assert read(">= 2h", D.DURATION).is_range is True


@pytest.mark.parametrize(
    ("text", "dimension", "words"),
    [
        ("130 %", D.PERCENT, "between 0 and 100"),
        ("-5 GB", D.SIZE, "below zero"),
        ("90", D.DURATION, "say the unit"),
        ("5 h - 2 h", D.DURATION, "first number is above"),
        ("2.5", D.GPUS, "whole numbers"),
        ("9 of 8", D.GPUS, "write a number"),
        ("soon", D.DURATION, "write a number"),
        ("5 parsecs", D.SIZE, "unit"),
        ("", D.COUNT, "write a number"),
        ("nan", D.COUNT, "write a number"),
        (float("nan"), D.COUNT, "write a number"),
        ("1/2/3", D.COUNT, "write a number"),
        ("1-2-3", D.COUNT, "write a number"),
    ],
)
def test_what_cannot_be_is_refused_in_words_without_what_was_written(text, dimension, words):
    with pytest.raises(ValueError, match=words) as caught:
        read(text, dimension)

    assert not str(text) or str(text) not in str(caught.value)


AMOUNTS = st.one_of(
    st.integers(0, 10**15).map(float),
    st.floats(0, 1e18, allow_nan=False, allow_infinity=False),
    st.sampled_from([0.1, 1 / 3, 1e-9, 4096.0, 1.5e12, 16 * 1024.0**3]),
)


@given(st.sampled_from(sorted(Dimension)), st.tuples(AMOUNTS, AMOUNTS), st.booleans(), st.sampled_from("-<>="))
def test_a_quantity_reads_back_as_it_was_written(dimension, ends, approximate, shape):
    low, high = sorted(ends)
    if dimension is D.PERCENT:
        low, high = sorted(each % 100 for each in ends)
    if dimension is D.GPUS:
        low, high = float(int(low)), float(int(high))
    quantity = {
        "-": Quantity(low=low, high=high, approximate=approximate),
        "<": Quantity(low=None, high=high, approximate=approximate),
        ">": Quantity(low=low, high=None, approximate=approximate),
        "=": Quantity(low=low, high=low, approximate=approximate),
    }[shape]

    assert read(write(quantity, dimension), dimension) == quantity


@given(st.text(max_size=30), st.sampled_from(sorted(Dimension)))
def test_any_text_is_read_or_refused(text, dimension):
    try:
        quantity = read(text, dimension)
    except ValueError:
        return
    assert read(write(quantity, dimension), dimension) == quantity


@pytest.mark.parametrize(
    ("number", "dimension", "text"),
    [
        (7200, D.DURATION, "2 h"),
        (63_072_000, D.DURATION, "2 y"),
        (34_560_000, D.DURATION, "400 d"),
        (0, D.DURATION, "0 s"),
        (1.5e12, D.SIZE, "1.5 TB"),
        (4096, D.TOKENS, "4096"),
        (13_000, D.SAMPLES, "13k"),
        (7e9, D.PARAMETERS, "7B"),
        (45, D.PERCENT, "45 %"),
    ],
)
def test_numbers_are_written_as_people_write_them(number, dimension, text):
    assert write(exactly(number), dimension) == text


def test_a_range_names_its_unit_once():
    assert write(read("2h to 4h", D.DURATION), D.DURATION) == "2-4 h"
    assert write(read("1 GB to 2 TB", D.SIZE), D.SIZE) == "1 GB - 2 TB"
    assert write(read("2-4", D.COUNT), D.COUNT) == "2 - 4"


def test_a_quantity_has_an_end_and_its_ends_in_order():
    with pytest.raises(ValueError, match="at least one end"):
        Quantity(low=None, high=None)
    with pytest.raises(ValueError, match="above its second"):
        Quantity(low=2, high=1)
