"""
Hand-written gradients for the parts of a decoder layer that cost the most memory traffic.

Everything works on flat `[tokens, width]` matrices. The base weights are frozen, so no
gradient is made for them; adapters are `[rank, in]` and `[out, rank]` in fp32 and are used
in the dtype of the activations, as autocast would. Formulas: LoRA, Hu et al. 2021
(y = Wx + s·B·A·x); RMSNorm, Zhang and Sennrich 2019; SwiGLU, Shazeer 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

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


class Linears:
    """
    Linear layers on one input, with their adapters as products want them.

    Matrices as thin as an adapter's are bound by memory: adapters on one input read it once, together, in the format of
    the activations. Those copies are made by `renew`, once for all passes of a step.
    """

    def __init__(self, *layers: Linear) -> None:
        self.layers = layers
        self.adapters = [each for layer in layers if layer.a is not None and layer.b is not None for each in (layer.a, layer.b)]
        """Every A and B in order, as the functions return their gradients."""
        self._ranks = [len(each) for each in self.adapters[::2]]
        self._a: Tensor | None = None
        self._b: list[Tensor] = []
        self.renew()

    @torch.no_grad()
    def renew(self) -> None:
        """Take in what an optimizer's step changed."""
        if not self.adapters:
            return
        dtype, down = self.layers[0].weight.dtype, self.adapters[::2]
        self._a = (down[0] if len(down) == 1 else torch.cat(down)).to(dtype)
        scales = [layer.scale for layer in self.layers if layer.a is not None]
        self._b = [(b * scale).to(dtype) for b, scale in zip(self.adapters[1::2], scales, strict=True)]

    def apply(self, x: Tensor, out: Tensor | None = None) -> tuple[list[Tensor], Tensor | None]:
        """Return each layer's `x·Wᵀ + bias + s·x·Aᵀ·Bᵀ` (added to *out* when given), and `x·Aᵀ` of all side by side."""
        low = None if self._a is None else torch.mm(x, self._a.t())
        ys, adapters = [], iter(self._columns())
        for layer in self.layers:
            y = torch.mm(x, layer.weight.t()) if out is None else torch.addmm(out, x, layer.weight.t())
            if layer.bias is not None:
                y.add_(layer.bias)
            if low is not None and layer.a is not None:
                columns, b = next(adapters)
                y.addmm_(low[:, columns], b.t())
            ys.append(y)
        return ys, low

    def backward(
        self, grads: Sequence[Tensor], x: Tensor, low: Tensor | None, *, need_input: bool = True
    ) -> tuple[list[Tensor], Tensor | None]:
        """Return the gradients of `adapters`, and `Σ grad·W + s·grad·B·A` when *need_input*."""
        into: Tensor | None = None
        if need_input:
            for grad, layer in zip(grads, self.layers, strict=True):
                into = torch.mm(grad, layer.weight) if into is None else into.addmm_(grad, layer.weight)
        if low is None or self._a is None:
            return [], into
        ups = torch.empty_like(low)
        grad_bs = []
        adapted = [(grad, layer) for grad, layer in zip(grads, self.layers, strict=True) if layer.a is not None]
        for (grad, layer), (columns, b) in zip(adapted, self._columns(), strict=True):
            torch.mm(grad, b, out=ups[:, columns])
            # (lowᵀ·grad)ᵀ rather than gradᵀ·low: the wide operand is then read along its rows.
            grad_bs.append(torch.mm(low[:, columns].t(), grad).t().to(self.adapters[1].dtype).mul_(layer.scale))
        if into is not None:
            into.addmm_(ups, self._a)
        grad_as = torch.mm(ups.t(), x).to(self.adapters[0].dtype).split(self._ranks)
        return [each for pair in zip(grad_as, grad_bs, strict=True) for each in pair], into

    def _columns(self) -> Iterator[tuple[slice, Tensor]]:
        """Return of each adapter which columns of `x·Aᵀ` are its own, and its scaled B."""
        at = 0
        for rank, b in zip(self._ranks, self._b, strict=True):
            yield slice(at, at + rank), b
            at += rank


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
    def forward(ctx: Any, x: Tensor, norm: Tensor, eps: float, layers: Linears, *_adapters: Tensor) -> tuple[Tensor, ...]:
        unit, scale = _normalise(x, eps)
        outs, low = layers.apply(unit.mul_(norm))
        ctx.save_for_backward(x, norm, scale, low)
        ctx.layers = layers
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, norm, scale, low = ctx.saved_tensors
        unit = (x * scale).to(x.dtype)
        arrived = [each.contiguous() for each in grads]
        adapters, into = ctx.layers.backward(arrived, unit * norm, low, need_input=ctx.needs_input_grad[0])
        result = _normalise_grad(into.mul_(norm), unit, scale) if into is not None else None
        return (result, None, None, None, *adapters)


def project(x: Tensor, norm: Tensor, eps: float, layers: Linears) -> tuple[Tensor, ...]:
    """Return each of *layers* applied to `rms_norm(x)·norm`; x is `[tokens, width]`."""
    return _Project.apply(x, norm, eps, layers, *layers.adapters)


class _AddLinear(torch.autograd.Function):
    """Residual plus a linear layer: the end of the attention block."""

    @staticmethod
    def forward(ctx: Any, residual: Tensor, x: Tensor, layer: Linears, *_adapters: Tensor) -> Tensor:
        (y,), low = layer.apply(x, residual)
        ctx.save_for_backward(x, low)
        ctx.layer = layer
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, low = ctx.saved_tensors
        adapters, into = ctx.layer.backward((grad,), x, low, need_input=ctx.needs_input_grad[1])
        return (grad, into, None, *adapters)


def add_linear(residual: Tensor, x: Tensor, layer: Linears) -> Tensor:
    """Return `residual + layer(x)`; *layer* holds one."""
    return _AddLinear.apply(residual, x, layer, *layer.adapters)


class _GatedBlock(torch.autograd.Function):
    """x + down(silu(gate(n))·up(n)) with n = rms_norm(x); the product is made again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: Tensor, eps: float, inner: Linears, down: Linears, *_adapters: Tensor) -> Tensor:
        unit, scale = _normalise(x, eps)
        (g, u), low = inner.apply(unit.mul_(norm))
        (y,), low_down = down.apply(silu(g).mul_(u), x)
        ctx.save_for_backward(x, norm, scale, g, u, low, low_down)
        ctx.inner, ctx.down = inner, down
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, norm, scale, g, u, low, low_down = ctx.saved_tensors
        active = silu(g)
        product = active * u
        down, through_product = ctx.down.backward((grad,), product, low_down)
        into = cast("Tensor", through_product)  # asked for by default
        grad_g = torch.ops.aten.silu_backward(torch.mul(into, u, out=product), g)
        grad_u = into.mul_(active)
        del active
        unit = (x * scale).to(x.dtype)
        need = ctx.needs_input_grad[0]
        pair, through = ctx.inner.backward((grad_g, grad_u), unit * norm, low, need_input=need)
        result = _normalise_grad(through.mul_(norm), unit, scale).add_(grad) if through is not None else None
        return (result, None, None, None, None, *pair, *down)


def gated_block(x: Tensor, norm: Tensor, eps: float, inner: Linears, down: Linears) -> Tensor:
    """Return the whole feed-forward block of a Llama layer, residual included; *inner* holds the gate and the up layer."""
    return _GatedBlock.apply(x, norm, eps, inner, down, *inner.adapters, *down.adapters)


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
