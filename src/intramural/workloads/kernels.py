"""
Hand-written gradients for the parts of a decoder layer that cost the most memory traffic.

Everything works on flat `[tokens, width]` matrices. The base weights are frozen, so no
gradient is made for them; adapters are `[rank, in]` and `[out, rank]` in fp32 and are used
in the dtype of the activations, as autocast would. Formulas: LoRA, Hu et al. 2021
(y = Wx + s·B·A·x); RMSNorm, Zhang and Sennrich 2019; SwiGLU, Shazeer 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu


@dataclass(frozen=True)
class Linear:
    """A frozen linear layer with at most one low-rank adapter, as tensors."""

    weight: Tensor
    bias: Tensor | None = None
    a: Tensor | None = None
    b: Tensor | None = None
    scale: float = 1.0


def _apply(x: Tensor, layer: Linear, out: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Return `x·Wᵀ + bias + s·x·Aᵀ·Bᵀ` (added to *out* when given) and `x·Aᵀ`."""
    y = torch.mm(x, layer.weight.t()) if out is None else torch.addmm(out, x, layer.weight.t())
    if layer.bias is not None:
        y.add_(layer.bias)
    if layer.a is None or layer.b is None:
        return y, None
    low = torch.mm(x, layer.a.to(x.dtype).t())
    y.addmm_(low, layer.b.to(x.dtype).t(), alpha=layer.scale)
    return y, low


def _adapter_grads(
    grad: Tensor, x: Tensor, low: Tensor | None, layer: Linear
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of A and B and `grad·B` for an adapted layer; three times None otherwise."""
    if low is None or layer.a is None or layer.b is None:
        return None, None, None
    up = torch.mm(grad, layer.b.to(grad.dtype))
    grad_a = torch.mm(up.t(), x).to(layer.a.dtype).mul_(layer.scale)
    # (lowᵀ·grad)ᵀ rather than gradᵀ·low: the wide operand is then read along its rows.
    grad_b = torch.mm(low.t(), grad).t().to(layer.b.dtype).mul_(layer.scale)
    return grad_a, grad_b, up


def _input_grad(grad: Tensor, up: Tensor | None, layer: Linear, out: Tensor | None = None) -> Tensor:
    """Return `grad·W + s·grad·B·A`, added to *out* in place when given."""
    result = torch.mm(grad, layer.weight) if out is None else out.addmm_(grad, layer.weight)
    if up is not None and layer.a is not None:
        result.addmm_(up, layer.a.to(grad.dtype), alpha=layer.scale)
    return result


def _normalise(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return x / rms(x) in x's dtype, and 1 / rms(x) as fp32 (fp64 for fp64) `[tokens, 1]`."""
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    scale = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
    return (wide * scale).to(x.dtype), scale


def _normalise_grad(grad: Tensor, unit: Tensor, scale: Tensor) -> Tensor:
    """Return the gradient to x of `unit = x·scale`: scale·(grad - unit·mean(grad·unit)). Writes into *grad*."""
    inner = (grad * unit).mean(dim=-1, keepdim=True, dtype=scale.dtype)
    result = grad.sub_(unit * inner.to(grad.dtype))
    return result.mul_(scale.to(grad.dtype))


class _Project(torch.autograd.Function):
    """Norm, then several linear layers on the same input: the query, key and value of a layer."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, norm: Tensor, eps: float, layers: tuple[Linear, ...], *_adapters: Tensor
    ) -> tuple[Tensor, ...]:
        unit, scale = _normalise(x, eps)
        normed = unit * norm
        outs, lows = [], []
        for layer in layers:
            y, low = _apply(normed, layer)
            outs.append(y)
            lows.append(low)
        ctx.save_for_backward(x, norm, scale, *(low for low in lows if low is not None))
        ctx.layers, ctx.adapted = layers, [low is not None for low in lows]
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, norm, scale, *saved = ctx.saved_tensors
        unit = (x * scale).to(x.dtype)
        normed = unit * norm
        lows = iter(saved)
        adapter_grads: list[Tensor | None] = []
        into: Tensor | None = None
        for layer, arrived, adapted in zip(ctx.layers, grads, ctx.adapted, strict=True):
            grad = arrived.contiguous()
            grad_a, grad_b, up = _adapter_grads(grad, normed, next(lows) if adapted else None, layer)
            if adapted:
                adapter_grads += [grad_a, grad_b]
            if ctx.needs_input_grad[0]:
                into = _input_grad(grad, up, layer, into)
        result = _normalise_grad(into.mul_(norm), unit, scale) if into is not None else None
        return (result, None, None, None, *adapter_grads)


def project(x: Tensor, norm: Tensor, eps: float, layers: tuple[Linear, ...]) -> tuple[Tensor, ...]:
    """Return each of *layers* applied to `rms_norm(x)·norm`; x is `[tokens, width]`."""
    return _Project.apply(x, norm, eps, layers, *_adapters(layers))


class _AddLinear(torch.autograd.Function):
    """Residual plus a linear layer: the end of the attention block."""

    @staticmethod
    def forward(ctx: Any, residual: Tensor, x: Tensor, layer: Linear, *_adapters: Tensor) -> Tensor:
        y, low = _apply(x, layer, residual)
        ctx.save_for_backward(x, *([low] if low is not None else []))
        ctx.layer = layer
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, *saved = ctx.saved_tensors
        low = saved[0] if saved else None
        grad_a, grad_b, up = _adapter_grads(grad, x, low, ctx.layer)
        into = _input_grad(grad, up, ctx.layer) if ctx.needs_input_grad[1] else None
        adapter_grads = [grad_a, grad_b] if low is not None else []
        return (grad, into, None, *adapter_grads)


def add_linear(residual: Tensor, x: Tensor, layer: Linear) -> Tensor:
    """Return `residual + layer(x)`."""
    return _AddLinear.apply(residual, x, layer, *_adapters((layer,)))


class _GatedBlock(torch.autograd.Function):
    """x + down(silu(gate(n))·up(n)) with n = rms_norm(x); the product is made again in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, norm: Tensor, eps: float, layers: tuple[Linear, Linear, Linear], *_adapters: Tensor
    ) -> Tensor:
        gate, up, down = layers
        unit, scale = _normalise(x, eps)
        normed = unit.mul_(norm)
        g, low_gate = _apply(normed, gate)
        u, low_up = _apply(normed, up)
        product = silu(g).mul_(u)
        y, low_down = _apply(product, down, x)
        lows = (low_gate, low_up, low_down)
        ctx.save_for_backward(x, norm, scale, g, u, *(low for low in lows if low is not None))
        ctx.layers, ctx.adapted = layers, [low is not None for low in lows]
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, norm, scale, g, u, *saved = ctx.saved_tensors
        lows = iter(saved)
        low_gate, low_up, low_down = (next(lows) if adapted else None for adapted in ctx.adapted)
        gate, up, down = ctx.layers
        active = silu(g)
        product = active * u
        down_a, down_b, down_up = _adapter_grads(grad, product, low_down, down)
        into = _input_grad(grad, down_up, down)
        grad_g = torch.ops.aten.silu_backward(torch.mul(into, u, out=product), g)
        grad_u = into.mul_(active)
        del active
        unit = (x * scale).to(x.dtype)
        normed = unit * norm
        gate_a, gate_b, gate_up = _adapter_grads(grad_g, normed, low_gate, gate)
        up_a, up_b, up_up = _adapter_grads(grad_u, normed, low_up, up)
        pairs = ((low_gate, gate_a, gate_b), (low_up, up_a, up_b), (low_down, down_a, down_b))
        adapter_grads = [each for low, *both in pairs if low is not None for each in both]
        if not ctx.needs_input_grad[0]:
            return (None, None, None, None, *adapter_grads)
        through = _input_grad(grad_u, up_up, up, _input_grad(grad_g, gate_up, gate))
        result = _normalise_grad(through.mul_(norm), unit, scale).add_(grad)
        return (result, None, None, None, *adapter_grads)


def gated_block(x: Tensor, norm: Tensor, eps: float, gate: Linear, up: Linear, down: Linear) -> Tensor:
    """Return the whole feed-forward block of a Llama layer, residual included."""
    layers = (gate, up, down)
    return _GatedBlock.apply(x, norm, eps, layers, *_adapters(layers))


def _adapters(layers: tuple[Linear, ...]) -> list[Tensor]:
    """Return the adapters in the order in which the functions return their gradients."""
    return [each for layer in layers if layer.a is not None and layer.b is not None for each in (layer.a, layer.b)]


class _Rotate(torch.autograd.Function):
    """Rotary position embedding on `[tokens, heads, width]`; its gradient is the rotation back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        cos, sin = ctx.saved_tensors
        return _rotated(grad, cos, sin, -1), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    half = x.shape[-1] // 2
    out = x * cos
    out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-sign)
    out[..., half:].addcmul_(x[..., :half], sin[..., half:], value=sign)
    return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate *x* by its position (Su et al., RoFormer, 2021), halves layout; cos and sin are `[tokens, 1, width]`."""
    return _Rotate.apply(x, cos, sin)
