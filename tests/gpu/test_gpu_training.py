"""On a GPU the same passes give the same losses and gradients as on the processor."""

import pytest
import torch

from intramural.workloads import machine
from intramural.workloads.attention import Segments, causal_segments, flash_kernel
from intramural.workloads.decoder import FlatPass, _attend
from intramural.workloads.engine import Engine, FlatForward, choose_forward
from intramural.workloads.passes import lay_out, layout
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


@pytest.mark.parametrize("shared", [0, 9])
def test_flash_attends_as_padded_rows_do(shared):
    made = examples(7, shared=shared)
    (part,) = lay_out(made, range(7), pass_tokens=10_000)
    laid = layout(made, part)
    gpu = torch.device("cuda")
    flat = FlatPass.of(laid, gpu)
    torch.manual_seed(1)
    heads = [torch.randn(len(laid.ids), count, 16) for count in (4, 2, 2)]
    q, k, v = (each.to(gpu, torch.bfloat16).requires_grad_() for each in heads)
    exact = [each.clone().requires_grad_() for each in heads]
    weight = torch.randn(len(laid.ids), 64)

    by_segments = causal_segments(q, k, v, Segments.of(laid, gpu), flash_kernel()).reshape(len(laid.ids), -1)
    by_rows = _attend(*exact, FlatPass.of(laid, torch.device("cpu")))
    grads = torch.autograd.grad((by_segments * weight.to(gpu)).sum(), (q, k, v))
    wanted = torch.autograd.grad((by_rows * weight).sum(), exact)

    assert (laid.prefix > 0) == (shared > 0)
    assert flat.segments is not None
    for mine, theirs in zip((by_segments, *grads), (by_rows, *wanted), strict=True):
        assert (mine.float().cpu() - theirs).norm() <= 2e-2 * theirs.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_repeats_itself_bit_by_bit(dtype):
    machine.make_repeatable(torch.device("cuda"))

    first, again = (step("llama", dtype, "cuda", 1000) for _ in range(2))

    assert first[0] == again[0]
    for mine, theirs in zip(first[1], again[1], strict=True):
        assert torch.equal(mine, theirs)
