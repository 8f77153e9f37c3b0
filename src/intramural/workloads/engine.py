"""
Losses and gradients of a step, on as many lanes as the machine has cores for.

A *lane* is a thread that runs one pass at a time on its own share of the cores: two passes
side by side waste less than one pass whose every small operation waits for both cores.
Gradients are summed in the order of the passes, so the result does not depend on which
lane was faster. Two ways to compute a pass stand behind one face: `Decoder` for Llama-like
models, and Transformers' own forward for every other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from intramural.workloads.decoder import Decoder, FlatPass
from intramural.workloads.losses import answer_loss
from intramural.workloads.machine import sizes_multiple_of
from intramural.workloads.passes import Layout, Pass, TokenExample, lay_out, layout

S = TypeVar("S")
T = TypeVar("T")

FP32_TOLERANCE = 2e-4
"""Largest relative difference of hidden states between both forwards in fp32."""
BF16_TOLERANCE = 1e-1
"""The same in bf16, where rounding alone makes 2e-2 of it in SmolLM2-135M; what it could hide, a double in fp32 shows."""
DOUBLE_VOCABULARY = 128


class Forward(Protocol):
    """Computes the loss of a pass."""

    shares_prefix: bool
    round_to: int
    """What sizes of a pass are to be multiples of."""

    def renew(self) -> None:
        """Take in what an optimizer's step changed; before the passes of each step."""

    def loss(self, flat: FlatPass, part: Layout) -> Tensor:
        """Return the summed cross-entropy of the answers of *part*, in nats."""


class FlatForward:
    """The decoder of this package."""

    shares_prefix = True

    def __init__(self, model: Any) -> None:
        self._decoder = Decoder(model)
        self.head = self._decoder.head
        self.round_to = sizes_multiple_of(self.head)

    def renew(self) -> None:
        """Take in what an optimizer's step changed."""
        self._decoder.renew()

    def predicting(self, flat: FlatPass) -> Tensor:
        """Return the last hidden states `[n, width]` at the positions `flat.predict`."""
        return self._decoder.hidden(flat, flat.predict)

    def loss(self, flat: FlatPass, part: Layout) -> Tensor:
        """Return the summed cross-entropy of the answers."""
        return answer_loss(self.predicting(flat), self.head, flat.targets)


class StockForward:
    """Transformers' forward, an example at a time: any architecture, adapter dropout included, no padding either."""

    shares_prefix = False
    round_to = 1

    def __init__(self, model: Any, autocast: bool) -> None:
        """*model* is in evaluation mode while this looks at its head."""
        self._model, self._autocast = model, autocast
        self._head = _plain_head(model)

    def renew(self) -> None:
        """Do nothing: the model's own layers are used as they are."""

    def loss(self, flat: FlatPass, part: Layout) -> Tensor:
        """Return the summed cross-entropy of the answers."""
        rows = []
        for start, length in zip(part.starts, part.lengths, strict=True):
            ids = flat.ids[start : start + length][None]
            with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=self._autocast):
                if self._head is None:
                    rows.append(self._model(input_ids=ids, use_cache=False).logits[0])
                else:
                    rows.append(self._model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0])
        chosen = torch.cat(rows).index_select(0, flat.predict)
        if self._head is None:
            wide = chosen if chosen.dtype == torch.float64 else chosen.float()
            return cross_entropy(wide, flat.targets, reduction="sum")
        return answer_loss(chosen.to(self._head.dtype), self._head, flat.targets)


@torch.no_grad()
def _plain_head(model: Any) -> Tensor | None:
    """Return the output head's weight when the logits are nothing but its product, None when there is more to them.

    An adapter, a bias, a scale or a soft cap on the logits is left to the model itself.
    """
    head = model.get_output_embeddings()
    if type(head) is not torch.nn.Linear or head.bias is not None:
        return None
    ids = torch.arange(1, 5, device=head.weight.device)[None]
    product = head(model.base_model(input_ids=ids, use_cache=False).last_hidden_state)
    theirs = model(input_ids=ids, use_cache=False).logits
    return head.weight if torch.allclose(product, theirs, rtol=1e-3, atol=1e-4) else None


def choose_forward(model: Any, *, train_dropout: bool) -> tuple[Forward, str | None]:
    """Return the fastest forward that computes what Transformers computes, and why it is the slower one if it is."""
    bf16 = next(model.parameters()).dtype == torch.bfloat16
    reason = Decoder.supports(model)
    if reason is None and not train_dropout:
        fast = FlatForward(model)
        off = _difference(model, fast)
        if bf16 and off <= BF16_TOLERANCE:
            double = _double(model)
            off = _difference(double, FlatForward(double))
        if off <= FP32_TOLERANCE:
            return fast, None
        reason = f"a probe that differs by {off:.1e}"
    return StockForward(model, autocast=bf16), reason or "adapter dropout"


def _double(model: Any) -> Any:
    """Return two layers of *model*'s class and settings in fp32, with random weights and a small vocabulary."""
    config = copy.deepcopy(model.config)
    config.num_hidden_layers, config.vocab_size, config.pad_token_id = 2, DOUBLE_VOCABULARY, None
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:2]
    device = next(model.parameters()).device
    with torch.random.fork_rng(), torch.device(device):
        double = type(model)(config).float().eval().requires_grad_(False)
        torch.manual_seed(0)
        for parameter in double.parameters():
            if parameter.dim() > 1:  # wide enough that attention chooses, and a wrong position is seen
                parameter.normal_(std=2 * parameter.shape[-1] ** -0.5)
            else:
                parameter.uniform_(0.5, 1.5)
    return double


@torch.no_grad()
def _difference(model: Any, fast: FlatForward) -> float:
    """Return the largest relative difference between both forwards on two short made-up sequences with a shared prefix."""
    device = next(model.parameters()).device
    size = min(int(model.config.vocab_size), 1000)
    rows = [[(7 * n + 3) % size for n in range(12)] + [(5 * n + k) % size for n in range(6 + k)] for k in (0, 1)]
    examples = [TokenExample(row, [n >= 14 for n in range(len(row))]) for row in rows]
    (part,) = lay_out(examples, [0, 1], pass_tokens=64)
    laid = layout(examples, part)
    flat = FlatPass.of(laid, device)
    ours = fast.predicting(flat).float()
    theirs = []
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast.head.dtype == torch.bfloat16):
        for index in part.examples:
            ids = torch.tensor([rows[index]], device=device)
            theirs.append(model.model(input_ids=ids, use_cache=False).last_hidden_state[0, 13:-1].float())
    expected = torch.cat(theirs)
    return float((ours - expected).norm() / expected.norm())


class Engine:
    """Runs passes on lanes and adds them up."""

    def __init__(
        self,
        forward: Forward,
        examples: Sequence[TokenExample],
        *,
        lanes: int,
        threads: int,
        pass_tokens: int,
        device: torch.device,
        round_to: int | None = None,
    ) -> None:
        """*threads* cores are parted evenly over *lanes*; *round_to* stands in for what *forward* wants."""
        self.forward, self.examples, self.device = forward, examples, device
        self.lanes, self.pass_tokens = lanes, pass_tokens
        self._round_to = round_to or forward.round_to
        self._threads_per_lane = max(1, threads // lanes)
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane", initializer=self._begin_lane)

    def close(self) -> None:
        """End the lanes."""
        self._pool.shutdown()

    def gradients(self, chosen: Sequence[int], parameters: Sequence[Tensor]) -> tuple[float, int, list[Tensor]]:
        """Return the summed loss of *chosen*, its answer tokens, and the summed gradients of *parameters*."""
        loss, answers = 0.0, 0
        total: list[Tensor] | None = None

        def one(laid: Layout) -> tuple[Tensor, tuple[Tensor, ...]]:
            value = self._loss(laid)
            return value.detach(), torch.autograd.grad(value, parameters, materialize_grads=True)

        for laid, (value, grads) in self._each(chosen, one):
            loss += float(value)
            answers += len(laid.targets)
            if total is None:
                total = list(grads)
            else:
                torch._foreach_add_(total, grads)
        return loss, answers, total or [torch.zeros_like(each) for each in parameters]

    def loss(self, chosen: Sequence[int]) -> tuple[float, int]:
        """Return the summed loss of *chosen* and its answer tokens, without gradients."""

        def one(laid: Layout) -> Tensor:
            with torch.no_grad():
                return self._loss(laid)

        loss, answers = 0.0, 0
        for laid, value in self._each(chosen, one):
            loss += float(value)
            answers += len(laid.targets)
        return loss, answers

    def side_by_side(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Return *work* of each of *parts*, done on the lanes, in the order of the parts."""
        return list(self._pool.map(work, parts))

    def _each(self, chosen: Sequence[int], one: Callable[[Layout], T]) -> Iterator[tuple[Layout, T]]:
        self.forward.renew()
        parts: list[Pass] = lay_out(
            self.examples, chosen, pass_tokens=self.pass_tokens, lanes=self.lanes, share_prefix=self.forward.shares_prefix
        )
        laid = [each for each in (layout(self.examples, part, self._round_to) for part in parts) if len(each.targets)]
        if self.lanes == 1:
            return ((each, one(each)) for each in laid)
        return zip(laid, self._pool.map(one, laid), strict=True)

    def _loss(self, laid: Layout) -> Tensor:
        flat = FlatPass.of(laid, self.device)
        return self.forward.loss(flat, laid)

    def _begin_lane(self) -> None:
        torch.set_num_threads(self._threads_per_lane)
