"""The gradients written by hand are those of the plain formulas."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import cross_entropy, linear, scaled_dot_product_attention, silu

from intramural.workloads.attention import KEEP_LONGEST, causal
from intramural.workloads.kernels import Linear, Linears, add_linear, gated_block, project, rotate
from intramural.workloads.losses import CPU_TILE, answer_loss

EPS = 1e-5
TOKENS, WIDTH, INNER, RANK = 5, 6, 7, 2
KINDS = [(False, False), (True, False), (False, True), (True, True)]
"""With adapters, with biases."""


def random(*shape, seed=0, grad=False):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_(grad)


def a_layer(width_in, width_out, adapter, bias, seed):
    return Linear(
        weight=random(width_out, width_in, seed=seed),
        bias=random(width_out, seed=seed + 1) if bias else None,
        a=random(RANK, width_in, seed=seed + 2, grad=True) if adapter else None,
        b=random(width_out, RANK, seed=seed + 3, grad=True) if adapter else None,
        scale=1.7,
    )


def plain(x, layer):
    y = linear(x, layer.weight, layer.bias)
    return y if layer.a is None else y + layer.scale * linear(linear(x, layer.a), layer.b)


def normed(x, norm):
    return x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + EPS) * norm


def with_adapters(layers, tensors):
    """The same layers over *tensors*, which gradcheck varies."""
    given = iter(tensors)
    return tuple(
        layer if layer.a is None else Linear(layer.weight, layer.bias, next(given), next(given), layer.scale)
        for layer in layers
    )


def adapters(layers):
    return [each for layer in layers if layer.a is not None for each in (layer.a, layer.b)]


def assert_is(ours, plainly, inputs):
    """Compare outputs, gradients against autograd's, and gradients against differences."""
    found, expected = ours(*inputs), plainly(*inputs)
    found, expected = (each if isinstance(each, tuple) else (each,) for each in (found, expected))
    weights = [random(*each.shape, seed=90 + n) for n, each in enumerate(expected)]
    wanted = [each for each in inputs if each.requires_grad]
    if wanted:
        mine, theirs = (
            torch.autograd.grad(sum((out * weight).sum() for out, weight in zip(outs, weights, strict=True)), wanted)
            for outs in (found, expected)
        )
        torch.testing.assert_close(mine, theirs)
        assert gradcheck(ours, inputs)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("x_has_grad", [True, False])
@pytest.mark.parametrize(("adapter", "bias"), KINDS)
def test_projections(adapter, bias, x_has_grad):
    x, norm = random(TOKENS, WIDTH, grad=x_has_grad), random(WIDTH, seed=1)
    layers = tuple(a_layer(WIDTH, out, adapter, bias, 10 * out) for out in (8, 4, 4))

    assert_is(
        lambda x, *given: project(x, norm, EPS, Linears(*with_adapters(layers, given))),
        lambda x, *given: tuple(plain(normed(x, norm), each) for each in with_adapters(layers, given)),
        [x, *adapters(layers)],
    )


def test_projections_of_which_only_one_is_adapted():
    x, norm = random(TOKENS, WIDTH, grad=True), random(WIDTH, seed=1)
    layers = tuple(a_layer(WIDTH, 4, n == 1, False, 10 * n) for n in range(3))

    assert_is(
        lambda x, *given: project(x, norm, EPS, Linears(*with_adapters(layers, given))),
        lambda x, *given: tuple(plain(normed(x, norm), each) for each in with_adapters(layers, given)),
        [x, *adapters(layers)],
    )


@pytest.mark.parametrize("has_grad", [(True, True), (False, True), (True, False), (False, False)])
@pytest.mark.parametrize(("adapter", "bias"), KINDS)
def test_residual_and_linear(adapter, bias, has_grad):
    residual, x = random(TOKENS, WIDTH, grad=has_grad[0]), random(TOKENS, INNER, seed=1, grad=has_grad[1])
    layer = (a_layer(INNER, WIDTH, adapter, bias, 20),)

    assert_is(
        lambda residual, x, *given: add_linear(residual, x, Linears(*with_adapters(layer, given))),
        lambda residual, x, *given: residual + plain(x, *with_adapters(layer, given)),
        [residual, x, *adapters(layer)],
    )


@pytest.mark.parametrize("x_has_grad", [True, False])
@pytest.mark.parametrize("adapter", [(True, True, True), (False, False, False), (True, False, True), (False, True, False)])
@pytest.mark.parametrize("bias", [True, False])
def test_feed_forward_block(adapter, bias, x_has_grad):
    x, norm = random(TOKENS, WIDTH, grad=x_has_grad), random(WIDTH, seed=1)
    widths = ((WIDTH, INNER), (WIDTH, INNER), (INNER, WIDTH))
    layers = tuple(a_layer(*width, has, bias, 10 * n) for n, (width, has) in enumerate(zip(widths, adapter, strict=True)))

    def plainly(x, *given):
        gate, up, down = with_adapters(layers, given)
        n = normed(x, norm)
        return x + plain(silu(plain(n, gate)) * plain(n, up), down)

    def in_block(x, *given):
        gate, up, down = with_adapters(layers, given)
        return gated_block(x, norm, EPS, Linears(gate, up), Linears(down))

    assert_is(in_block, plainly, [x, *adapters(layers)])


def test_rotation_is_that_of_transformers():
    x, angles = random(TOKENS, 3, 8, grad=True), random(TOKENS, 1, 4, seed=1)
    cos, sin = (torch.cat([each, each], dim=-1) for each in (angles.cos(), angles.sin()))

    def plainly(x):
        return x * cos + torch.cat([-x[..., 4:], x[..., :4]], dim=-1) * sin

    assert_is(lambda x: rotate(x, cos, sin), plainly, [x])


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 130, KEEP_LONGEST + 88])
def test_attention_in_blocks(tokens, heads):
    shapes = [(2, count, tokens, 4) for count in (heads[0], heads[1], heads[1])]
    inputs = [random(*shape, seed=n, grad=True) for n, shape in enumerate(shapes)]
    weight = random(*shapes[0], seed=9)

    ours = causal(*inputs)
    theirs = scaled_dot_product_attention(*inputs, is_causal=True, enable_gqa=True)

    torch.testing.assert_close(ours, theirs)
    mine, expected = (torch.autograd.grad((each * weight).sum(), inputs) for each in (ours, theirs))
    torch.testing.assert_close(mine, expected)


def test_attention_against_differences():
    inputs = [random(1, count, 67, 1, seed=n, grad=True) for n, count in enumerate((2, 1, 1))]

    assert gradcheck(causal, inputs)


ROWS, WORDS = CPU_TILE


@pytest.mark.parametrize("rows", [1, 3, ROWS, ROWS + 1, 2 * ROWS + 7])
@pytest.mark.parametrize("words", [11, WORDS, WORDS + 1])
def test_answer_loss_over_tiles(rows, words):
    hidden, head = random(rows, WIDTH, grad=True), random(words, WIDTH, seed=1)
    targets = torch.arange(rows) * 7 % words

    ours = answer_loss(hidden, head, targets)
    theirs = cross_entropy(hidden @ head.t(), targets, reduction="sum")

    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(3 * ours, hidden), torch.autograd.grad(3 * theirs, hidden))
    with torch.no_grad():
        torch.testing.assert_close(answer_loss(hidden, head, targets), theirs)


def test_answer_loss_in_bf16_is_as_good_as_plain_bf16():
    hidden, head = random(9, 32).bfloat16().requires_grad_(True), random(2 * WORDS + 3, 32, seed=1).bfloat16()
    targets = torch.arange(9) * 200

    loss = answer_loss(hidden, head, targets)
    exact = hidden.detach().double().requires_grad_(True)
    expected = cross_entropy(exact @ head.double().t(), targets, reduction="sum")

    torch.testing.assert_close(loss.double(), expected, rtol=5e-3, atol=0)
    (ours,), (theirs,) = torch.autograd.grad(loss, hidden), torch.autograd.grad(expected, exact)
    assert (ours.double() - theirs).norm() <= 1e-2 * theirs.norm()


def test_answer_loss_of_certain_answers_in_bf16_is_that_of_its_logits_and_not_below_zero():
    head = random(CPU_TILE[1] + 50, 64).bfloat16()
    targets = torch.arange(0, 600, 3)
    hidden = (5 * head[targets].float()).bfloat16()

    loss = answer_loss(hidden, head, targets)

    plain = cross_entropy((hidden @ head.t()).float(), targets, reduction="sum")
    assert 0 <= float(loss) < 1e-3
    assert float(loss) == pytest.approx(float(plain), abs=1e-3)


def test_answer_loss_of_fewer_targets_counts_the_first_alone():
    hidden, head, targets = random(9, WIDTH, grad=True), random(40, WIDTH), torch.arange(5)

    loss = answer_loss(hidden, head, targets)
    loss.backward()

    assert float(loss.detach()) == pytest.approx(float(cross_entropy(hidden[:5].detach() @ head.t(), targets, reduction="sum")))
    assert hidden.grad[5:].abs().max() == 0
    assert hidden.grad[:5].abs().max() > 0


def test_answer_loss_against_differences():
    head, targets = random(11, WIDTH, seed=1), torch.tensor([0, 10, 3])

    assert gradcheck(lambda hidden: answer_loss(hidden, head, targets), [random(3, WIDTH, grad=True)])


def test_answer_loss_of_large_logits_is_finite():
    hidden, head = random(3, WIDTH, grad=True) * 1e4, random(11, WIDTH, seed=1)

    assert torch.isfinite(answer_loss(hidden, head, torch.tensor([0, 1, 2])))
