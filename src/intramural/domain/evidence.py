"""
The evidence of a job: what may be said of it to somebody who was not there, in one bundle.

A part is a JSON document; none holds content. The figures that are computed, and not
looked up, are computed here.
"""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.value import Digest, JobId, Value


class Part(StrEnum):
    """One file of a bundle, by its name without the ending."""

    DATA = "data-sheet"
    LINEAGE = "lineage"
    RUN = "run"
    """Configuration, code, versions, hardware."""
    COMPUTE = "compute"
    EVALUATION = "evaluation"
    MEMORISATION = "memorisation"
    """How far the tuned model tells rows it was trained on from rows it never saw."""
    RECEIPT = "receipt"
    """What the runs tried to reach."""
    PLACEMENT = "placement"
    """Where the work was done, and what was refused because of where."""
    KEYS = "keys"
    APPROVALS = "approvals"
    ACCESS = "access"
    """Who acted, who may approve, which keys there are."""
    AUDIT = "audit"
    """What the trail says of the job, each entry with its proof."""


BOM_FILE = "bom.cdx.json"
PAGE_FILE = "index.html"
ENVELOPE_FILE = "provenance.dsse.json"
KEY_FILE = "key.pem"
TRAIL_KEY_FILE = "audit.pub"

FLOP_PER_PARAMETER = 6
"""For each token: 2 forward, 2 for the gradients of activations, 2 for those of weights."""
FLOP_PER_FROZEN_PARAMETER = 4
"""The same without gradients of the weights, which an adapter's frozen base does not need."""
FLOP_PER_GENERATED = 2
RULE = (
    "Training, as regulators count it: 6 floating-point operations (FLOP) per parameter and token, as if every weight were "
    "trained. The estimate: 4 FLOP, because an adapter's base is frozen and its weights' gradients are not computed, and 2 "
    "FLOP per parameter and generated token. Tokens are those of every step of every attempt, repeated ones included. Left "
    "out: attention's own products, the adapter's few parameters, prompts and hold-out losses of the evaluation."
)


class Compute(Value):
    """What a job took."""

    parameters: int
    """Of the base model."""
    tokens: int
    """Trained on, in all attempts together."""
    tokens_kept: int
    """Those of the steps that the adapter went through; the others were repeated after a loss."""
    generated_tokens: int
    flop_as_full_training: float
    flop_estimate: float
    """Of what was computed: with the frozen base, and with what was generated."""
    rule: str = RULE
    run_seconds: float
    """Of all attempts, from start to end."""
    training_seconds: float
    attempts: int
    device: str | None


def compute_of(
    parameters: int,
    tokens: int,
    tokens_kept: int,
    generated_tokens: int,
    *,
    run_seconds: float,
    training_seconds: float,
    attempts: int,
    device: str | None,
) -> Compute:
    """Return what a job took, with its estimates."""
    return Compute(
        parameters=parameters,
        tokens=tokens,
        tokens_kept=tokens_kept,
        generated_tokens=generated_tokens,
        flop_as_full_training=float(FLOP_PER_PARAMETER) * parameters * tokens,
        flop_estimate=float(FLOP_PER_FROZEN_PARAMETER) * parameters * tokens
        + float(FLOP_PER_GENERATED) * parameters * generated_tokens,
        run_seconds=run_seconds,
        training_seconds=training_seconds,
        attempts=attempts,
        device=device,
    )


class EvidenceBundle(Value):
    """A bundle that was written."""

    folder: str
    job_id: JobId
    name: str
    files: dict[str, Digest]
    """Every file but the envelope, which signs them."""
    subjects: int
    """How many files the statement names, those of the artifacts included."""
    audit_entries: int
    key: str
    """Who signed."""
