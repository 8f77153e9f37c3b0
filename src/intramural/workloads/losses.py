"""
Cross-entropy over a large vocabulary, only where it counts.

The output head is applied to the answer tokens alone, a tile of rows and words at a time, and
the gradient to the hidden states is made in the same pass, so that no `[tokens, vocabulary]`
matrix is ever kept. (The idea of a fused linear cross-entropy: Hsu et al., Liger Kernel, 2024;
the running maximum and sum over tiles: Milakov and Gimelshein, Online normalizer calculation
for softmax, 2018.)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CPU_TILE = (1024, 1024)
"""Rows and words of logits alive at once on a processor: what its cache holds while the passes over them go on."""
GPU_TILE = (1024, 1 << 20)
"""On a GPU the whole vocabulary: its memory is fast, and small products leave it idle."""


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        wide = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        total = torch.zeros((), dtype=wide, device=hidden.device)
        grad = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        rows, words = CPU_TILE if hidden.device.type == "cpu" else GPU_TILE
        rows, words = min(rows, hidden.shape[0]), min(words, head.shape[0])
        # One buffer for all tiles: fresh memory costs more in page faults than a tenth of the product.
        buffer = hidden.new_empty(rows * words)
        for at in range(0, hidden.shape[0], rows or 1):
            part = hidden[at : at + rows]
            log_norm, mean = _normalised(part, head, words, buffer, wide, with_mean=grad is not None)
            answers = head.index_select(0, targets[at : at + rows])
            count = len(answers)
            # Rounded as the products are: else the loss of a certain answer is what rounding left, and may be below 0.
            answered = (part[:count].to(wide) * answers.to(wide)).sum(dim=1).to(hidden.dtype).to(wide)
            total += (log_norm[:count].squeeze(1) - answered).sum()
            if grad is not None and mean is not None:
                grad[at : at + count] = mean[:count].sub_(answers.to(wide))
                grad[at + count : at + rows] = 0
        ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Any, ...]:
        (grad,) = ctx.saved_tensors
        return grad * up.to(grad.dtype), None, None


def _normalised(
    hidden: Tensor, head: Tensor, words: int, buffer: Tensor, wide: torch.dtype, *, with_mean: bool
) -> tuple[Tensor, Tensor | None]:
    """Return per row the logarithm of the softmax's norm `[rows, 1]`, and the head's mean under the softmax `[rows, width]`."""
    rows = hidden.shape[0]
    peak = hidden.new_full((rows, 1), float("-inf"), dtype=wide)
    norm = hidden.new_zeros((rows, 1), dtype=wide)
    mean = torch.zeros_like(hidden, dtype=wide) if with_mean else None
    for at in range(0, head.shape[0], words):
        tile = head[at : at + words]
        logits = torch.mm(hidden, tile.t(), out=buffer[: rows * len(tile)].view(rows, -1)).to(wide)
        higher = torch.maximum(peak, logits.amax(dim=1, keepdim=True))
        fade, peak = (peak - higher).exp_(), higher
        weights = logits.sub_(peak).exp_()
        norm.mul_(fade).add_(weights.sum(dim=1, keepdim=True))
        if mean is None:
            continue
        mean.mul_(fade)
        if tile.dtype == wide:
            mean.addmm_(weights, tile)
        else:
            mean.add_(torch.mm(weights.to(tile.dtype), tile))
    return norm.log().add_(peak), None if mean is None else mean.div_(norm)


def answer_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy in nats.

    *hidden* `[n, width]` predicts *targets* through the frozen *head* `[vocabulary, width]`; where those are fewer than n,
    the last of *hidden* count nothing.
    """
    return _HeadLoss.apply(hidden, head, targets)
