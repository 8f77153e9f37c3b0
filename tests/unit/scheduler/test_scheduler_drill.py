"""Comparing the steps of a drill, bit by bit."""

import math

from intramural.domain.drill import compare
from intramural.domain.workload import StepEvent


def steps(first, last, *, at=0.0, **changes):
    numbers = {"total_steps": 99, "learning_rate": 0.1, "tokens": 10, "seconds": 1.0, "memory_bytes": 1}

    def step(n):
        told = {"loss": 1 / n, "grad_norm": math.sqrt(n), "batch_digest": f"b{n}", **numbers, **changes.get(f"s{n}", {})}
        return StepEvent(at=at + n, step=n, **told)

    return {n: step(n) for n in range(first, last + 1)}


def test_equal_steps_make_an_equal_receipt():
    receipt = compare("job", steps(1, 9), steps(6, 20, at=30), resumed_from_step=5)

    assert receipt.equal
    assert (receipt.killed_at_step, receipt.resumed_from_step, receipt.overlapping_steps) == (9, 5, 4)
    assert receipt.first_difference is None
    assert receipt.seconds_lost == 30


def test_one_bit_is_a_difference_and_the_first_one_is_named():
    off = {"s8": {"loss": math.nextafter(1 / 8, 1)}, "s9": {"batch_digest": "other"}}

    receipt = compare("job", steps(1, 9), steps(6, 20, **off), resumed_from_step=5)

    assert not receipt.equal
    assert receipt.first_difference == f"step 8: loss {1 / 8!r}, then {math.nextafter(1 / 8, 1)!r}"


def test_another_batch_is_a_difference_even_where_numbers_agree():
    receipt = compare("job", steps(1, 9), steps(6, 9, s7={"batch_digest": "other"}), resumed_from_step=5)

    assert receipt.first_difference == "step 7: batch_digest 'b7', then 'other'"


def test_a_job_that_did_not_catch_up_proves_nothing():
    short = compare("job", steps(1, 9), steps(6, 7), resumed_from_step=5)
    none = compare("job", steps(1, 9), {}, resumed_from_step=0)

    assert (short.equal, short.first_difference) == (False, "step 9 was not reached again")
    assert (none.equal, none.overlapping_steps, none.seconds_lost) == (False, 0, None)


def test_a_kill_on_a_checkpoint_compares_nothing_and_says_so():
    receipt = compare("job", steps(1, 9), steps(10, 12), resumed_from_step=9)

    assert not receipt.equal
    assert receipt.first_difference == "no step was repeated, so nothing was compared"
