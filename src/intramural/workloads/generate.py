"""
Greedy answers for many prompts at once.

Prompts of like length go through the model together; their shared prefix is computed once;
a finished answer leaves the batch at once, so late ones do not pay for early ones. Other
architectures go through Transformers' own `generate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from intramural.workloads.decoder import Decoder, FlatPass
from intramural.workloads.machine import sizes_multiple_of
from intramural.workloads.passes import TokenExample, lay_out, layout

BATCH_PROMPTS = 64
"""Enough rows for a full matrix product per new token; more only costs memory."""


@dataclass
class _Batch:
    """Answers under way: row by row the cache, its filled length, and what was said so far."""

    keys: list[Tensor]
    """Per layer `[rows, heads, room, width]`."""
    values: list[Tensor]
    filled: Tensor
    """int64 [rows]: tokens in the cache."""
    owners: list[int]
    said: list[list[int]]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but *rows*."""
        self.keys = [each.index_select(0, rows) for each in self.keys]
        self.values = [each.index_select(0, rows) for each in self.values]
        self.filled = self.filled.index_select(0, rows)
        self.owners = [self.owners[n] for n in rows.tolist()]


@torch.inference_mode()
def greedy(
    decoder: Decoder,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    eos_ids: Sequence[int],
    on_progress: Callable[[int], None] = lambda _done: None,
) -> list[list[int]]:
    """Return for each of *prompts* the tokens that follow, without the end-of-turn token.

    *on_progress* is told how many answers are complete, and may raise to end it.
    """
    order = sorted(range(len(prompts)), key=lambda n: (len(prompts[n]), n))
    answers: list[list[int]] = [[] for _ in prompts]
    for at in range(0, len(order), BATCH_PROMPTS):
        chosen = order[at : at + BATCH_PROMPTS]
        batch, last = _prefill(decoder, [prompts[n] for n in chosen], max_new_tokens)
        batch.owners, batch.said = list(chosen), answers

        def tell(ended: int, before: int = at) -> None:
            on_progress(before + ended)

        _answer(decoder, batch, last, max_new_tokens, frozenset(eos_ids), tell)
    return answers


def _answer(
    decoder: Decoder, batch: _Batch, last: Tensor, room: int, eos: frozenset[int], on_progress: Callable[[int], None]
) -> None:
    """Run *batch* until every row ended or used its *room*."""
    rows = len(batch.owners)
    for n in range(room):
        tokens = torch.mm(last, decoder.head.t()).argmax(dim=-1).tolist()
        going = []
        for row, token in enumerate(tokens):
            if token not in eos:
                batch.said[batch.owners[row]].append(token)
                going.append(row)
        if n == room - 1 or not going:
            break
        if len(going) < len(tokens):
            batch.keep(torch.tensor(going, device=last.device))
        on_progress(rows - len(going))
        last = decoder.next_states(
            torch.tensor([tokens[row] for row in going], device=last.device), batch.keys, batch.values, batch.filled
        )
        batch.filled = batch.filled + 1
    on_progress(rows)


def _prefill(decoder: Decoder, prompts: list[list[int]], room: int) -> tuple[_Batch, Tensor]:
    """Run *prompts* through the model; return their cache with *room* for new tokens, and their last states."""
    device = decoder.head.device
    # The last token predicts the answer, so it is marked and never part of the shared prefix.
    examples = [TokenExample(each, [False] * (len(each) - 1) + [True]) for each in prompts]
    everything = sum(len(each) for each in prompts) + 1
    (part,) = lay_out(examples, range(len(prompts)), pass_tokens=everything)
    laid = layout(examples, part, sizes_multiple_of(decoder.head))
    flat = FlatPass.of(laid, device)
    longest = max(len(each) for each in prompts)
    index = torch.zeros(len(prompts), longest, dtype=torch.int64)
    ends = torch.zeros(len(prompts), dtype=torch.int64)
    for start, length, row in zip(laid.starts, laid.lengths, part.examples, strict=True):
        index[row, : part.prefix] = torch.arange(part.prefix)
        index[row, part.prefix : part.prefix + length] = torch.arange(start, start + length)
        ends[row] = start + length - 1
    index, ends = index.to(device), ends.to(device)
    keys: list[Tensor] = []
    values: list[Tensor] = []

    def keep(key: Tensor, value: Tensor) -> None:
        for flat_states, cache in ((key, keys), (value, values)):
            filled = (
                flat_states.index_select(0, index.view(-1)).view(len(prompts), longest, *flat_states.shape[1:]).transpose(1, 2)
            )
            empty = filled.new_zeros(len(prompts), filled.shape[1], room, filled.shape[3])
            cache.append(torch.cat([filled, empty], dim=2))

    last = decoder.hidden(flat, only=ends, on_layer=keep)
    filled = torch.tensor([len(each) for each in prompts], device=device)
    return _Batch(keys, values, filled, [], []), last


@torch.inference_mode()
def greedy_stock(
    model: Any,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    eos_ids: Sequence[int],
    pad_id: int,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> list[list[int]]:
    """Return what `greedy` returns, through Transformers' own `generate` (left-padded batches of like length)."""
    order = sorted(range(len(prompts)), key=lambda n: (len(prompts[n]), n))
    answers: list[list[int]] = [[] for _ in prompts]
    device, eos = next(model.parameters()).device, frozenset(eos_ids)
    for at in range(0, len(order), BATCH_PROMPTS):
        chosen = order[at : at + BATCH_PROMPTS]
        longest = max(len(prompts[n]) for n in chosen)
        ids = torch.full((len(chosen), longest), pad_id, device=device)
        mask = torch.zeros_like(ids)
        for row, n in enumerate(chosen):
            ids[row, longest - len(prompts[n]) :] = torch.tensor(prompts[n], device=device)
            mask[row, longest - len(prompts[n]) :] = 1
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=list(eos_ids) or None,
            pad_token_id=pad_id,
        )
        for row, n in enumerate(chosen):
            new = out[row, longest:].tolist()
            answers[n] = new[: next((k for k, token in enumerate(new) if token in eos), len(new))]
        on_progress(at + len(chosen))
    return answers
