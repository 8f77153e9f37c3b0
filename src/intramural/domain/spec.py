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
    """Width of the adapter; its size and memory grow with it."""
    alpha: Annotated[int, Field(ge=1, le=4096)] = 32
    """The adapter's output is scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the adapter's inputs set to zero while training; above 0 the slower forward pass is used."""
    targets: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all-linear"
    """Layers that get an adapter: all linear ones but the output head, or names such as `q_proj`."""


class Method(Value):
    """How the base model is changed."""

    kind: Literal["sft"] = "sft"
    """Supervised fine-tuning: learn the answers of the examples."""
    lora: LoraOptions = LoraOptions()
    """The low-rank adapters that are trained; the base stays as it is."""
    merge: bool = False
    """Also write the merged model as an artifact."""


class Train(Value):
    """The optimisation; give `epochs` or `steps`, not both."""

    epochs: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Times through the training examples; one when neither is given."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps, instead of epochs."""
    sequence_length: Annotated[int, Field(ge=8)] | Auto = AUTO
    """Tokens; longer examples are cut at the end. `auto`: the longest example, at most the model's context."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | Auto = AUTO
    """The highest rate. `auto`: by the size of the base."""
    schedule: Schedule = Schedule.COSINE
    """How the rate falls after the warm-up."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps over which the rate rises from zero."""
    effective_batch: Annotated[int, Field(ge=1)] | Auto = AUTO
    """Examples per optimizer step."""
    pass_tokens: Annotated[int, Field(ge=64)] | Auto = AUTO
    """Most tokens in one forward and backward pass; memory grows with it."""
    precision: Precision | Auto = AUTO
    """Of the frozen base. `auto`: bf16 where the hardware multiplies it, else fp32."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """A longer gradient is scaled down to this length."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 7
    """Of the order of the examples, the adapters' first values and dropout."""

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give train.epochs or train.steps, not both")
        return self


class CheckpointPolicy(Value):
    """When a resumable state is written and how many are kept."""

    every_minutes: Annotated[float, Field(gt=0)] | None = 5.0
    """Minutes from one to the next; none: by steps alone."""
    every_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps from one to the next."""
    keep: Annotated[int, Field(ge=1)] = 2
    """How many of the newest are kept."""


class Evaluate(Value):
    """What is measured on the hold-out, before and after training."""

    suites: tuple[Literal["loss", "structured", "memorisation"], ...] = ("loss", "structured")
    """`loss`: loss and perplexity. `structured`: generate and score JSON or short answers. `memorisation`: how well rows that
    were trained on can be told from rows that were not."""
    before: bool = True
    """Measure the base model too."""
    limit: Annotated[int, Field(ge=1)] | None = 500
    """Most hold-out examples used, the same ones before and after."""
    max_new_tokens: Annotated[int, Field(ge=1)] | Auto = AUTO
    """`auto`: the longest reference answer and a quarter more."""


class Resources(Value):
    """What the run may use."""

    threads: Annotated[int, Field(ge=1)] | Auto = AUTO
    """Processor cores; `auto`: those the run may use."""
    memory_gb: Annotated[float, Field(gt=0)] | Auto = AUTO
    """Checked before the start; `auto` is what the machine has free."""
    time_limit_minutes: Annotated[float, Field(gt=0)] | None = None
    """The run ends with a checkpoint after so long; none: no limit."""


class JobSpec(Value):
    """One fine-tuning job."""

    name: Name
    """What people will call the job and its adapter."""
    base: Name
    """A base model of `intramural model list`."""
    data: str
    """A data set of `intramural data list`: `name` (its newest version) or `name@version`."""
    method: Method = Method()
    """How the base is changed."""
    train: Train = Train()
    """How long, how fast and in what portions it learns."""
    checkpoint: CheckpointPolicy = CheckpointPolicy()
    """When resumable states are written."""
    evaluate: Evaluate = Evaluate()
    """What is measured before and after."""
    resources: Resources = Resources()
    """What the run may use of the machine."""
    job_class: Annotated[JobClass, Field(alias="class")] = JobClass.TRAINING
    """How urgent it is."""
    classification: Classification | None = None
    """At least the data's own; a stricter one may be given."""

    model_config = {**Value.model_config, "validate_by_name": True, "validate_by_alias": True, "serialize_by_alias": True}
