"""What `auto` becomes, how the learning rate moves, and what drift is called."""

import math
from dataclasses import replace

import pytest
import torch

from factories import a_spec
from intramural.domain.spec import Precision
from intramural.errors import DoesNotFit, DriftDetected
from intramural.workloads import drift
from intramural.workloads.resolve import (
    CPU_PASS_TOKENS,
    Settings,
    Shape,
    bytes_per_token,
    precision,
    resolve,
    shape_of,
)
from intramural.workloads.trainer import rate_factor
from workload_models import CONFIGS

CPU = torch.device("cpu")
SMALL = Shape(parameters=135_000_000, layers=30, width=576, inner=1536, vocabulary=49_152, context=2048)


def resolved(lengths=(100, 200, 300), shape=SMALL, flat=True, chosen=Precision.FP32, **sections):
    sections.setdefault("resources", {"threads": 2, "memory_gb": 1000})
    return resolve(a_spec(**sections), shape, list(lengths), chosen, CPU, flat=flat)


def a_schedule(**fields):
    return replace(resolved(train={"steps": 10, "warmup": 0.2}), **fields)


def test_the_rate_warms_up_and_falls_as_a_cosine():
    factors = [rate_factor(step, a_schedule()) for step in range(10)]

    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[6] == pytest.approx(0.5)
    assert factors[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))


def test_the_rate_falls_in_a_line_or_stays():
    assert [rate_factor(step, a_schedule(schedule="linear")) for step in (2, 4, 6)] == [1.0, 0.75, 0.5]
    assert [rate_factor(step, a_schedule(schedule="constant")) for step in (0, 5, 9)] == [0.5, 1.0, 1.0]
    assert rate_factor(0, a_schedule(warmup=0.0)) == 1.0
    assert rate_factor(0, replace(a_schedule(), total_steps=1, warmup=0.05)) == 1.0


def test_auto_takes_the_longest_example_up_to_the_context():
    assert resolved().sequence_length == 300
    assert resolved(lengths=[5000]).sequence_length == 2048
    assert resolved(train={"sequence_length": 128}).sequence_length == 128
    assert resolved(train={"sequence_length": 10_000}).sequence_length == 2048


@pytest.mark.parametrize(("parameters", "rate"), [(135e6, 1e-3), (1.7e9, 5e-4), (7e9, 2e-4), (70e9, 1e-4)])
def test_larger_models_take_smaller_steps(parameters, rate):
    assert resolved(shape=replace(SMALL, parameters=int(parameters))).learning_rate == rate
    assert resolved(train={"learning_rate": 0.5}).learning_rate == 0.5


@pytest.mark.parametrize(
    ("examples", "batch"), [(3, 3), (1_999, 4), (2_000, 8), (7_999, 8), (8_000, 16), (39_999, 16), (40_000, 32)]
)
def test_more_examples_make_larger_batches(examples, batch):
    assert resolved(lengths=[10] * examples).effective_batch == batch


def test_a_batch_is_never_more_than_there_is():
    assert resolved(train={"effective_batch": 64}).effective_batch == 3
    assert resolved(train={"effective_batch": 2}).effective_batch == 2


def test_lanes_are_threads_where_they_may_be_used():
    assert resolved().lanes == 2
    assert resolved(lengths=[10]).lanes == 1
    assert resolved(flat=False).lanes == 1
    assert resolved(method={"lora": {"dropout": 0.1}}).lanes == 1


def test_a_pass_is_as_large_as_is_fast_and_fits():
    token = bytes_per_token(SMALL, Precision.FP32)
    tight = {"threads": 2, "memory_gb": 500 * token * 2 / 0.7 / 1e9 * 1.0001}

    assert resolved().pass_tokens == CPU_PASS_TOKENS
    assert resolved(resources=tight).pass_tokens == 500
    assert resolved(train={"pass_tokens": 77}).pass_tokens == 77


def test_a_pass_never_needs_more_memory_than_there_is():
    token = bytes_per_token(SMALL, Precision.FP32)
    tight = {"threads": 1, "memory_gb": 110 * token / 0.7 / 1e9}

    assert 100 <= resolved(lengths=[100, 50], resources=tight).pass_tokens <= 110


def test_memory_of_a_token_is_that_of_its_activations():
    assert bytes_per_token(SMALL, Precision.FP32) == int(1.5 * 4 * 30 * (7 * 576 + 2 * 1536))
    assert bytes_per_token(SMALL, Precision.BF16) == bytes_per_token(SMALL, Precision.FP32) // 2


def test_what_does_not_fit_is_refused_with_figures():
    with pytest.raises(DoesNotFit, match=r"300 tokens needs about 0\.8 GB of memory in 2 lanes; 0\.5 GB are free") as refusal:
        resolved(resources={"threads": 2, "memory_gb": 0.5})

    assert "train.sequence_length" in refusal.value.hint


def test_a_given_precision_is_kept():
    assert precision(a_spec(train={"precision": "bf16"}), CPU) is Precision.BF16
    assert precision(a_spec(), CPU) in Precision


def test_settings_survive_a_checkpoint():
    assert Settings.of(resolved().document()) == resolved()


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_shape_of_any_model_can_be_read(kind):
    shape = shape_of(CONFIGS[kind](), 1000)

    assert (shape.layers, shape.width, shape.inner, shape.vocabulary, shape.context) == (2, 32, 48, 97, 1024)


THEN = {"base": "sha256:" + "a" * 64, "threads": 2, "train": {"seed": 7, "steps": None}, "environment": {"torch": "2.9"}}


def test_equal_circumstances_do_not_differ():
    assert drift.differences(THEN, THEN) == ()
    assert drift.check(THEN, dict(THEN), accept=False) == ()


def test_each_difference_is_named_with_both_sides():
    now = {"base": "sha256:" + "b" * 64, "threads": 2, "train": {"seed": 8, "steps": None}, "environment": {"numpy": "2"}}

    assert drift.differences(THEN, now) == (
        "base: sha256:aaaaaaaa… → sha256:bbbbbbbb…",
        "environment.numpy: None → 2",
        "environment.torch: 2.9 → None",
        "train.seed: 7 → 8",
    )


def test_drift_is_refused_unless_it_is_accepted():
    now = {**THEN, "threads": 4}

    with pytest.raises(DriftDetected, match="threads: 2 → 4") as refusal:
        drift.check(THEN, now, accept=False)

    assert "--accept-drift" in refusal.value.hint
    assert drift.check(THEN, now, accept=True) == ("threads: 2 → 4",)
