"""
The forward pass of Llama-like decoders on flat, unpadded passes, over PEFT's own parameters.

It computes what Transformers' model computes (a probe at load time compares them and falls
back when they differ) but lays examples end to end, runs attention per group of like
lengths, computes a prefix that examples share once, and uses the gradients of `kernels`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from intramural.workloads.attention import Segments, causal, causal_segments, flash_kernel
from intramural.workloads.kernels import Linear, Linears, add_linear, gated_block, project, rotate
from intramural.workloads.passes import Layout

SUPPORTED = frozenset({"llama", "mistral", "qwen2"})
"""Model types of this shape; sliding windows and biases on the feed-forward are left to Transformers."""

LENGTH_DEPENDENT = frozenset({"dynamic", "longrope"})
"""Rotary embeddings that change with the longest sequence of a call, which here holds several examples."""


@dataclass(frozen=True)
class _Layer:
    attention_norm: Tensor
    qkv: Linears
    o: Linears
    block_norm: Tensor
    gate_up: Linears
    down: Linears
    eps: float

    def renew(self) -> None:
        for each in (self.qkv, self.o, self.gate_up, self.down):
            each.renew()


@dataclass(frozen=True)
class Group:
    """An attention group as tensors on the model's device."""

    gather: Tensor
    keep: Tensor
    scatter: Tensor


@dataclass(frozen=True)
class FlatPass:
    """A layout as tensors on the model's device."""

    ids: Tensor
    positions: Tensor
    groups: tuple[Group, ...]
    predict: Tensor
    targets: Tensor
    segments: Segments | None = None
    """The same for FlashAttention, where there is a GPU."""

    @classmethod
    def of(cls, layout: Layout, device: torch.device) -> FlatPass:
        """Move *layout* to *device*."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        groups = tuple(Group(tensor(g.gather), tensor(g.keep), tensor(g.scatter)) for g in layout.groups)
        segments = Segments.of(layout, device) if device.type == "cuda" and flash_kernel() else None
        return cls(
            tensor(layout.ids), tensor(layout.positions), groups, tensor(layout.predict), tensor(layout.targets), segments
        )


class Decoder:
    """A Llama-like causal language model as a function of a flat pass."""

    def __init__(self, model: Any) -> None:
        """*model* is Transformers' causal model, with or without PEFT's layers in it."""
        self.config = model.config
        core = model.model
        self._embedding: Tensor = core.embed_tokens.weight
        self._rotary = core.rotary_emb
        self._final_norm: Tensor = core.norm.weight
        self._eps = float(core.norm.variance_epsilon)
        self.head: Tensor = model.lm_head.weight
        first = core.layers[0].self_attn
        self._head_width = int(first.head_dim)
        self._layers = [_layer(each) for each in core.layers]

    def renew(self) -> None:
        """Take in what an optimizer's step changed in the adapters."""
        for each in self._layers:
            each.renew()

    @staticmethod
    def supports(model: Any) -> str | None:
        """Return why *model* cannot be computed here, or None."""
        reason = _unsupported_shape(model, model.config)
        if reason:
            return reason
        for module in model.modules():
            reason = _unsupported_adapter(module)
            if reason:
                return reason
        return None

    def hidden(
        self, flat: FlatPass, only: Tensor | None = None, on_layer: Callable[[Tensor, Tensor], None] | None = None
    ) -> Tensor:
        """Return the last hidden states `[tokens, width]`, or those at the flat positions *only*.

        *on_layer* is given each layer's keys and values `[tokens, heads, width]`.
        """
        x = self._embedding.index_select(0, flat.ids)
        cos, sin = self._rotation(x, flat.positions)
        for n, layer in enumerate(self._layers):
            q, k, v = self._heads(x, layer, cos, sin)
            if on_layer is not None:
                on_layer(k, v)
            attended = _attend(q, k, v, flat)
            if only is not None and n == len(self._layers) - 1:
                # Nothing after the last attention mixes positions: compute only what is asked for.
                x, attended = x.index_select(0, only), attended.index_select(0, only)
            x = self._finish(x, attended, layer)
        return rms_norm(x, self._final_norm, self._eps)

    def next_states(self, ids: Tensor, keys: list[Tensor], values: list[Tensor], filled: Tensor) -> Tensor:
        """Return the last hidden states `[rows, width]` of one further token per row.

        *keys* and *values* hold per layer `[rows, heads, room, width]`, of which *filled* `[rows]`
        are used; the new token's are written behind them.
        """
        x = self._embedding.index_select(0, ids)
        cos, sin = self._rotation(x, filled)
        rows = torch.arange(len(ids), device=ids.device)
        used = int(filled.max()) + 1
        visible = (torch.arange(used, device=ids.device)[None] <= filled[:, None])[:, None, None]
        for n, layer in enumerate(self._layers):
            q, k, v = self._heads(x, layer, cos, sin)
            keys[n][rows, :, filled] = k
            values[n][rows, :, filled] = v
            out = scaled_dot_product_attention(
                q[:, :, None],
                keys[n][:, :, :used],
                values[n][:, :, :used],
                attn_mask=visible,
                enable_gqa=q.shape[1] != k.shape[1],
            )
            x = self._finish(x, out.reshape(len(ids), -1), layer)
        return rms_norm(x, self._final_norm, self._eps)

    def _heads(self, x: Tensor, layer: _Layer, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        width, tokens = self._head_width, x.shape[0]
        q, k, v = project(x, layer.attention_norm, layer.eps, layer.qkv)
        q = rotate(q.view(tokens, -1, width), cos, sin)
        k = rotate(k.view(tokens, -1, width), cos, sin)
        return q, k, v.view(tokens, -1, width)

    def _finish(self, x: Tensor, attended: Tensor, layer: _Layer) -> Tensor:
        x = add_linear(x, attended, layer.o)
        return gated_block(x, layer.block_norm, layer.eps, layer.gate_up, layer.down)

    def _rotation(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self._rotary(x[None], positions[None])
        return cos[0][:, None].to(x.dtype), sin[0][:, None].to(x.dtype)


def _attend(q: Tensor, k: Tensor, v: Tensor, flat: FlatPass) -> Tensor:
    """Return causal attention within each example, `[tokens, heads * width]`."""
    kernel = flash_kernel() if flat.segments is not None and q.dtype != torch.float32 else None
    if flat.segments is not None and kernel is not None:
        return causal_segments(q, k, v, flat.segments, kernel).reshape(q.shape[0], -1)
    width = q.shape[-1]
    outs, places = [], []
    for group in flat.groups:
        rows, longest = group.gather.shape
        index = group.gather.view(-1)
        parts = (each.index_select(0, index).view(rows, longest, -1, width).transpose(1, 2) for each in (q, k, v))
        out = causal(*parts).transpose(1, 2).reshape(rows * longest, -1)
        outs.append(out if len(group.keep) == len(out) else out.index_select(0, group.keep))
        places.append(group.scatter)
    if len(outs) == 1:
        return outs[0].index_select(0, torch.argsort(places[0]))
    return torch.cat(outs).index_select(0, torch.argsort(torch.cat(places)))


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Return `x / rms(x) · weight`, computed in fp32 at least."""
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)).to(x.dtype) * weight


def _layer(module: Any) -> _Layer:
    attention, block = module.self_attn, module.mlp
    return _Layer(
        attention_norm=module.input_layernorm.weight,
        qkv=Linears(*(_linear(each) for each in (attention.q_proj, attention.k_proj, attention.v_proj))),
        o=Linears(_linear(attention.o_proj)),
        block_norm=module.post_attention_layernorm.weight,
        gate_up=Linears(_linear(block.gate_proj), _linear(block.up_proj)),
        down=Linears(_linear(block.down_proj)),
        eps=float(module.input_layernorm.variance_epsilon),
    )


def _linear(module: Any) -> Linear:
    """Read a plain linear layer, or PEFT's adapted one."""
    if not hasattr(module, "base_layer"):
        return Linear(module.weight, module.bias)
    base = module.base_layer
    if module.disable_adapters or not module.active_adapters:
        return Linear(base.weight, base.bias)
    name = module.active_adapters[0]
    return Linear(base.weight, base.bias, module.lora_A[name].weight, module.lora_B[name].weight, float(module.scaling[name]))


def _unsupported_shape(model: Any, config: Any) -> str | None:
    if config.model_type not in SUPPORTED:
        return f"model type {config.model_type}"
    if getattr(config, "use_sliding_window", False) or (
        config.model_type == "mistral" and getattr(config, "sliding_window", None)
    ):
        return "sliding-window attention"
    if getattr(config, "hidden_act", "") != "silu":
        return f"activation {getattr(config, 'hidden_act', '')}"
    if getattr(model.model.rotary_emb, "rope_type", "default") in LENGTH_DEPENDENT:
        return "positions that depend on the length of the sequence"
    if getattr(model.lm_head, "bias", None) is not None or type(model.lm_head) is not torch.nn.Linear:
        return "an output head that is adapted or has a bias"
    return None


def _unsupported_adapter(module: Any) -> str | None:
    if not hasattr(module, "lora_A"):
        return None
    name = next(iter(module.lora_A), None)
    if name is None or len(module.lora_A) != 1 or type(module.base_layer) is not torch.nn.Linear:
        return "an adapter of another kind"
    if type(module.lora_dropout[name]) is not torch.nn.Identity:
        return "adapter dropout"
    if module.lora_variant or getattr(module, "lora_bias", {}).get(name):
        return "an adapter variant"
    return None
