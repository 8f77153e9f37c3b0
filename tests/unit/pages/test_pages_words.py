"""How numbers read."""

import math

import pytest

from intramural.pages.words import UNKNOWN, count, decimal, duration, parameters, rate, short_digest, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.42, "0.4 s"),
        (9.97, "10 s"),
        (59.6, "1 min 00 s"),
        (192, "3 min 12 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (269_000_000, "257 MiB"), (2**50, "1024 TiB")]
)
def test_sizes(amount, text):
    assert size(amount) == text


def test_numbers():
    assert count(12345.4) == "12,345"
    assert (rate(3.14159), rate(338.4)) == ("3.1", "338")
    assert (decimal(0.2184), decimal(0.0004), decimal(0)) == ("0.218", "4e-4", "0.000")
    assert (parameters(134_515_008), parameters(7_000_000_000), parameters(12)) == ("134.5 M", "7.0 B", "12")
    assert short_digest("sha256:" + "ab" * 32) == "abababababab"


@pytest.mark.parametrize("write", [duration, size, count, rate, decimal, parameters])
def test_what_is_not_known_is_a_dash(write):
    assert write(None) == UNKNOWN


@pytest.mark.parametrize("write", [duration, size, count, rate])
def test_what_is_not_finite_is_a_dash(write):
    assert write(math.nan) == UNKNOWN
