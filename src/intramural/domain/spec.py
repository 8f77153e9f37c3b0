"""
`tune.yaml`: what a member asks for, strict and typed.

`auto` has documented rules (`docs/concepts/tune.md`); the workload resolves it
against the data and the machine and records what it chose.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from intramural.domain.dataset import Classification
from intramural.domain.value import Name, Value

Auto = Literal["auto"]
AUTO: Auto = "auto"


class JobClass(StrEnum):
    """How urgent the work is; each class has its own queue and start-up promise."""

    DEV = "dev"
    TRAINING = "training"
    BATCH = "batch"


class Schedule(StrEnum):
    """How the learning rate moves after the warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"


class Precision(StrEnum):
    """Number format of the frozen base; adapters, optimizer and losses are always fp32."""

    FP32 = "fp32"
    BF16 = "bf16"


class LoraOptions(Value):
    """Low-rank adapters in PEFT's terms."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    alpha: Annotated[int, Field(ge=1, le=4096)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all-linear"


class Method(Value):
    """How the base model is changed."""

    kind: Literal["sft"] = "sft"
    lora: LoraOptions = LoraOptions()
    merge: bool = False
    """Also write the merged model as an artifact."""


class Train(Value):
    """The optimisation; give `epochs` or `steps`, not both."""

    epochs: Annotated[float, Field(gt=0, le=1000)] | None = None
    steps: Annotated[int, Field(ge=1)] | None = None
    sequence_length: Annotated[int, Field(ge=8)] | Auto = AUTO
    """Tokens; longer examples are cut at the end. `auto`: the longest example, at most the model's context."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | Auto = AUTO
    schedule: Schedule = Schedule.COSINE
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps over which the rate rises from zero."""
    effective_batch: Annotated[int, Field(ge=1)] | Auto = AUTO
    """Examples per optimizer step."""
    pass_tokens: Annotated[int, Field(ge=64)] | Auto = AUTO
    """Most tokens in one forward and backward pass; memory grows with it."""
    precision: Precision | Auto = AUTO
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 7

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give train.epochs or train.steps, not both")
        return self


class CheckpointPolicy(Value):
    """When a resumable state is written and how many are kept."""

    every_minutes: Annotated[float, Field(gt=0)] | None = 5.0
    every_steps: Annotated[int, Field(ge=1)] | None = None
    keep: Annotated[int, Field(ge=1)] = 2


class Evaluate(Value):
    """What is measured on the hold-out, before and after training."""

    suites: tuple[Literal["loss", "structured"], ...] = ("loss", "structured")
    """`loss`: loss and perplexity. `structured`: generate and score JSON or short answers."""
    before: bool = True
    limit: Annotated[int, Field(ge=1)] | None = 500
    """Most hold-out examples used, the same ones before and after."""
    max_new_tokens: Annotated[int, Field(ge=1)] | Auto = AUTO
    """`auto`: the longest reference answer and a quarter more."""


class Resources(Value):
    """What the run may use."""

    threads: Annotated[int, Field(ge=1)] | Auto = AUTO
    memory_gb: Annotated[float, Field(gt=0)] | Auto = AUTO
    """Checked before the start; `auto` is what the machine has free."""
    time_limit_minutes: Annotated[float, Field(gt=0)] | None = None


class JobSpec(Value):
    """One fine-tuning job."""

    name: Name
    base: Name
    """A base model of `intramural model list`."""
    data: str
    """A data set of `intramural data list`: `name` (its newest version) or `name@version`."""
    method: Method = Method()
    train: Train = Train()
    checkpoint: CheckpointPolicy = CheckpointPolicy()
    evaluate: Evaluate = Evaluate()
    resources: Resources = Resources()
    job_class: Annotated[JobClass, Field(alias="class")] = JobClass.TRAINING
    classification: Classification | None = None
    """At least the data's own; a stricter one may be given."""

    model_config = {**Value.model_config, "validate_by_name": True, "validate_by_alias": True, "serialize_by_alias": True}
