"""On a GPU the same passes give the same losses and gradients as on the processor."""

import pytest
import torch

from intramural.workloads.engine import Engine, FlatForward, choose_forward
from workload_models import adapted, examples, random_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator"),
]


def step(kind, dtype, device, pass_tokens):
    """Return the loss per answer and the gradients of one step on *device*."""
    model, parameters = adapted(random_model(kind, dtype).to(device))
    for each in parameters:
        each.data = each.data.float().to(device)
    forward, reason = choose_forward(model, train_dropout=False)
    assert isinstance(forward, FlatForward), reason
    engine = Engine(forward, examples(12), lanes=1, threads=1, pass_tokens=pass_tokens, device=torch.device(device))
    try:
        loss, answers, grads = engine.gradients(range(12), parameters)
    finally:
        engine.close()
    return loss / answers, [each.cpu() for each in grads]


@pytest.mark.parametrize("pass_tokens", [100, 10_000])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
def test_fp32_is_that_of_the_processor(kind, pass_tokens):
    loss, grads = step(kind, torch.float32, "cuda", pass_tokens)
    expected, wanted = step(kind, torch.float32, "cpu", pass_tokens)

    assert loss == pytest.approx(expected, rel=1e-3)
    for mine, theirs in zip(grads, wanted, strict=True):
        assert (mine - theirs).norm() <= 2e-2 * theirs.norm()


@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
def test_bf16_is_that_of_fp32_within_its_digits(kind):
    loss, _ = step(kind, torch.bfloat16, "cuda", 1000)
    expected, _ = step(kind, torch.float32, "cpu", 1000)

    assert loss == pytest.approx(expected, rel=5e-2)


def test_a_step_repeats_itself():
    first, again = (step("llama", torch.float32, "cuda", 1000)[0] for _ in range(2))

    assert first == again
