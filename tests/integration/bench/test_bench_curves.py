"""What the benchmark says of two loss curves, given the noise that two seeds make."""

import importlib.util
import random
from pathlib import Path

import pytest

CURVES = Path(__file__).parents[3] / "bench" / "loss_curves.py"


@pytest.fixture(scope="module")
def curves():
    spec = importlib.util.spec_from_file_location("loss_curves", CURVES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_curve(seed, shift=0.0):
    noise = random.Random(seed)  # noqa: S311 - made figures
    return [3 / (1 + n / 20) + noise.gauss(0, 0.02) + shift for n in range(200)]


def test_curves_that_differ_as_seeds_do_are_the_same_within_noise(curves):
    *_, verdict = curves.compared(a_curve(1), a_curve(2), a_curve(3))

    assert "the same curve within noise" in verdict


def test_a_curve_that_lies_beside_both_seeds_is_another(curves):
    *_, gaps, verdict = curves.compared(a_curve(1, shift=0.1), a_curve(2), a_curve(3))

    assert "NOT the same curve" in verdict
    assert "intramural and TRL 0.1" in gaps


def test_the_gap_is_the_mean_distance_at_a_step(curves):
    assert curves.gap([1.0, 2.0], [2.0, 0.0]) == 1.5
