"""
What `auto` becomes: documented rules over the data and the machine (`docs/concepts/tune.md`).

A resumed run does not resolve again: it takes the settings of its checkpoint.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from intramural.domain.spec import AUTO, JobSpec, Precision
from intramural.errors import DoesNotFit
from intramural.workloads import machine
from intramural.workloads.passes import total_steps

CPU_PASS_TOKENS = 1024
"""Beyond it a pass leaves the processor's cache and gets slower, measured on two cores."""
GPU_PASS_TOKENS = 16384
RATES = ((0.5e9, 1e-3), (3e9, 5e-4), (20e9, 2e-4), (float("inf"), 1e-4))
"""Learning rate of adapters by the base model's parameters: smaller models bear, and need, larger steps."""
BATCHES = ((2_000, 4), (8_000, 8), (40_000, 16))
LARGEST_BATCH = 32
"""Examples per step by training examples: enough steps on small sets, less noise on large ones."""


@dataclass(frozen=True)
class Settings:
    """Every value a training depends on, nothing left to guess."""

    sequence_length: int
    learning_rate: float
    schedule: str
    warmup: float
    effective_batch: int
    pass_tokens: int
    precision: Precision
    weight_decay: float
    max_grad_norm: float
    seed: int
    total_steps: int
    lanes: int
    threads: int

    def document(self) -> dict[str, Any]:
        """Return the settings as plain JSON types."""
        return {**asdict(self), "precision": self.precision.value}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Settings:
        """Read what `document` wrote."""
        return cls(**{**document, "precision": Precision(document["precision"])})


@dataclass(frozen=True)
class Shape:
    """The sizes of a base model that its memory depends on."""

    parameters: int
    layers: int
    width: int
    inner: int
    vocabulary: int
    context: int


def shape_of(config: Any, parameters: int) -> Shape:
    """Read the sizes out of a Transformers configuration."""
    text = config.get_text_config()
    return Shape(
        parameters=parameters,
        layers=int(text.num_hidden_layers),
        width=int(text.hidden_size),
        inner=int(getattr(text, "intermediate_size", None) or 4 * text.hidden_size),
        vocabulary=int(text.vocab_size),
        context=int(getattr(text, "max_position_embeddings", 0) or 4096),
    )


def bytes_per_token(shape: Shape, precision: Precision) -> int:
    """Return the memory one token of a pass needs: the activations kept for the backward pass.

    Per layer: the input of each of both blocks, query, attended values and the residual (about five
    widths), keys and values (at most two), and the two inner activations. Half again for what is alive within a block.
    """
    size = 4 if precision is Precision.FP32 else 2
    return int(1.5 * size * shape.layers * (7 * shape.width + 2 * shape.inner))


def precision(spec: JobSpec, where: torch.device) -> Precision:
    """Return the asked precision, or the fast one of this machine."""
    return machine.best_precision(where) if spec.train.precision == AUTO else spec.train.precision


def resolve(
    spec: JobSpec, shape: Shape, lengths: list[int], chosen: Precision, where: torch.device, *, flat: bool = True
) -> Settings:
    """Return the settings of a new training on examples of *lengths* tokens; *flat* tells that lanes may be used."""
    train, count = spec.train, len(lengths)
    sequence = min(max(lengths), shape.context) if train.sequence_length == AUTO else min(train.sequence_length, shape.context)
    rate = (
        next(rate for below, rate in RATES if shape.parameters < below) if train.learning_rate == AUTO else train.learning_rate
    )
    if train.effective_batch == AUTO:
        batch = min(count, next((size for below, size in BATCHES if count < below), LARGEST_BATCH))
    else:
        batch = min(train.effective_batch, count)
    threads = machine.cores() if spec.resources.threads == AUTO else spec.resources.threads
    # Dropout draws from one generator: side by side, the draws would depend on which lane is faster.
    lanes = 1 if where.type == "cuda" or spec.method.lora.dropout or not flat else min(threads, batch)
    longest = min(max(lengths), sequence)
    return Settings(
        sequence_length=sequence,
        learning_rate=rate,
        schedule=train.schedule.value,
        warmup=train.warmup,
        effective_batch=batch,
        pass_tokens=_pass_tokens(spec, shape, chosen, where, lanes, longest)
        if train.pass_tokens == AUTO
        else train.pass_tokens,
        precision=chosen,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        seed=train.seed,
        total_steps=total_steps(count, batch, epochs=train.epochs, steps=train.steps),
        lanes=lanes,
        threads=threads,
    )


def _pass_tokens(spec: JobSpec, shape: Shape, chosen: Precision, where: torch.device, lanes: int, longest: int) -> int:
    """Return as many tokens as are fast and fit; raise `DoesNotFit` when the longest example alone does not."""
    if where.type == "cuda":
        free, best = torch.cuda.mem_get_info(where)[0], GPU_PASS_TOKENS
    else:
        free, best = machine.free_memory(), CPU_PASS_TOKENS
    if spec.resources.memory_gb != AUTO:
        free = min(free, int(spec.resources.memory_gb * 1e9))
    room = int(0.7 * free) // lanes // bytes_per_token(shape, chosen)
    if room < longest:
        raise DoesNotFit(
            f"An example of {longest} tokens needs about {longest * bytes_per_token(shape, chosen) * lanes / 1e9:.1f} GB "
            f"of memory in {lanes} lanes; {free / 1e9:.1f} GB are free.",
            hint="Lower train.sequence_length or resources.threads, or free memory.",
        )
    return min(best, room)
