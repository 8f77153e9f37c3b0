"""An artifact: immutable files by digest, with everything it came from."""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.label import Label
from intramural.domain.value import ArtifactId, Digest, Instant, JobId, RunId, Value


class ArtifactKind(StrEnum):
    """What the files are."""

    ADAPTER = "adapter"
    """PEFT safetensors; loads in plain `peft`."""
    MERGED_MODEL = "merged_model"
    EVALUATION = "evaluation"
    LOGS = "logs"
    METRICS = "metrics"
    RECEIPT = "receipt"
    """What a run tried to reach, and under which walls it ran."""


class Lineage(Value):
    """What an artifact was made of, all by digest."""

    base_digest: Digest
    dataset_digest: Digest
    spec_digest: Digest
    environment_digest: Digest
    """Of the library versions and the machine it was made with."""


class Artifact(Value):
    """One artifact of a job."""

    id: ArtifactId
    kind: ArtifactKind
    job_id: JobId
    run_id: RunId
    job_name: str
    digest: Digest
    """Of the manifest of its files."""
    size_bytes: int
    files: int
    lineage: Lineage
    label: Label | None = None
    """That of its job; none in an artifact from before labels flowed."""
    created_at: Instant
