"""The contract with a workload: what it tells reads back as it was told."""

import json
import math

import pytest

from intramural.domain.workload import EVENT, StepEvent


def a_step(**fields):
    numbers = {"loss": 1.5, "grad_norm": 0.5, "learning_rate": 0.1, "tokens": 9, "seconds": 0.1, "memory_bytes": 1}
    return StepEvent(at=1.0, step=1, total_steps=2, batch_digest="b", **{**numbers, **fields})


@pytest.mark.parametrize("loss", [0.1 + 0.2, 5e-324, 1.7976931348623157e308, math.inf, -math.inf])
def test_a_number_reads_back_bit_by_bit(loss):
    assert EVENT.validate_json(EVENT.dump_json(a_step(loss=loss))) == a_step(loss=loss)


def test_a_loss_that_is_no_number_reads_back_as_none():
    line = EVENT.dump_json(a_step(loss=math.nan))

    assert math.isnan(EVENT.validate_json(line).loss)
    json.loads(line, parse_constant=pytest.fail)  # plain JSON, which knows no NaN
