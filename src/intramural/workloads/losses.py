"""
Cross-entropy over a large vocabulary, only where it counts.

The output head is applied to the answer tokens alone, a chunk of rows at a time, and the
gradient to the hidden states is made in the same pass, so that no `[tokens, vocabulary]`
matrix is ever kept. (The idea of a fused linear cross-entropy: Hsu et al., Liger Kernel, 2024.)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_ROWS = 256
"""Rows of logits alive at once; fewer starve the product, more only cost memory."""


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        wide = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        total = torch.zeros((), dtype=wide, device=hidden.device)
        need_grad = ctx.needs_input_grad[0]
        grad = torch.empty_like(hidden) if need_grad else None
        # One buffer for all chunks: fresh memory of this size costs more in page faults than a tenth of the product.
        buffer = hidden.new_empty(min(CHUNK_ROWS, hidden.shape[0]), head.shape[0])
        for at in range(0, hidden.shape[0], CHUNK_ROWS):
            rows = slice(at, min(at + CHUNK_ROWS, hidden.shape[0]))
            logits = torch.mm(hidden[rows], head.t(), out=buffer[: rows.stop - at]).to(wide)
            answer = targets[rows, None]
            if grad is None:
                total += (logits.logsumexp(dim=1) - logits.gather(1, answer).squeeze(1)).sum()
                continue
            chosen = logits.gather(1, answer)
            peak = logits.amax(dim=1, keepdim=True)
            weights = logits.sub_(peak).exp_()
            norm = weights.sum(dim=1, keepdim=True)
            total += (norm.log() + peak - chosen).sum()
            # Softmax minus one at the answer; the division by the norm is done on the narrow side of the product.
            into = torch.mm(weights.to(head.dtype), head).div_(norm.to(head.dtype))
            grad[rows] = into.sub_(head.index_select(0, targets[rows]))
        ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Any, ...]:
        (grad,) = ctx.saved_tensors
        return grad * up.to(grad.dtype), None, None


def answer_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy in nats.

    *hidden* `[n, width]` predicts *targets* `[n]` through the frozen *head* `[vocabulary, width]`.
    """
    return _HeadLoss.apply(hidden, head, targets)
