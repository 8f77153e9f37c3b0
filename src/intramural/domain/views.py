"""What verbs answer beside the nouns themselves: explanations, resolutions, pages of events and logs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from intramural.domain.cause import Cause
from intramural.domain.dataset import Classification, ExampleKind, RegulatedKind, Split
from intramural.domain.findings import FindingKind, Treatment
from intramural.domain.job import Job, JobState, Run
from intramural.domain.policy_verdict import Verdict
from intramural.domain.spec import JobSpec
from intramural.domain.value import Digest, Instant, JobId, Value
from intramural.domain.workload import Event


class ModelSource(Value):
    """Where a base model comes from; exactly one of the four."""

    folder: str | None = None
    hub: str | None = None
    """`ORG/NAME`"""
    revision: str | None = None
    """The commit of the hub model."""
    starter: str | None = None
    """A model that comes as a package, or `tiny-random`."""


class DatasetOptions(Value):
    """How files become a dataset version."""

    source_format: str = "auto"
    mapping: dict[str, str] = {}
    holdout: str | None = None
    """A file that is the whole hold-out."""
    split: Split = Split()
    skip_bad: bool = False
    classification: Classification = Classification.CONFIDENTIAL
    base: str | None = None
    """Count tokens as this base model sees them."""
    on: dict[FindingKind, Treatment] = {}
    """What is done about findings, instead of what the class does."""
    deny: str | None = None
    """A file of terms that must not be in the rows, one a line."""
    names: str | None = None
    """The installed model that finds names and addresses; none: they are not looked for."""
    regulated: tuple[RegulatedKind, ...] = ()
    region: str | None = None
    purpose: str | None = None
    licence: str | None = None
    """An SPDX expression; `LicenseRef-NAME` for a licence of one's own."""
    origin: str | None = None
    """Where the rows are from."""
    retain_days: Annotated[int, Field(ge=1)] | None = None


class Resolution(Value):
    """What would happen if a spec were submitted now."""

    spec: JobSpec
    base_digest: Digest
    dataset_label: str
    dataset_digest: Digest
    kind: ExampleKind
    checks: tuple[str, ...]
    """What was looked at and found good, one sentence each."""
    verdict: Verdict | None = None
    """What the policy says to it."""


class Explanation(Value):
    """Why a job stands where it stands."""

    job_id: JobId
    state: JobState
    summary: str
    cause: Cause | None = None
    evidence: str | None = None
    next_step: str | None = None
    seconds_left: float | None = None
    waiting_since: Instant | None = None
    """Since when a running job waits for something that is away; none while it goes on."""


class JobEvent(Value):
    """One event of one of a job's runs."""

    seq: int
    """Grows over all attempts of the job; ask for what came after it."""
    attempt: int
    event: Annotated[Event, Field()]


class JobLog(Value):
    """A piece of a job's log, and where the next begins."""

    text: str
    offset: int


class Sample(Value):
    """Rows of a data set, in clear; handed out by the one verb that does so."""

    label: str
    side: str
    rows: tuple[dict[str, object], ...]


class Claim(Value):
    """A run that a scheduler may act on, and the job it is an attempt at."""

    job: Job
    run: Run
