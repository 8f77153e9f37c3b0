"""
The contract between the control plane and a workload, so that any trainer can stand behind it.

A workload is one process on one run directory:

    RUN/spec.json       what to do (`WorkloadSpec`), written before the start
    RUN/inputs/         what it reads: model/, train.jsonl, holdout.jsonl, checkpoints/ of earlier attempts
                        (all but the model sealed, where the spec has `sealing`)
    RUN/events.jsonl    what it tells, one `Event` a line, appended and flushed
    RUN/log             its standard output and error
    RUN/checkpoints/    resumable states, `step-00000042/`, each whole or absent
    RUN/outputs/        what it leaves: adapter/, merged/, evaluation.json; sealed, as checkpoints are
    RUN/pid.json        which process it is, written by whoever started it
    RUN/exit.json       how the process ended: `code` or `signal`

Signals: SIGUSR1 asks for a checkpoint now; SIGTERM asks for a checkpoint and the end
(outcome `stopped`). Exit codes: 0 succeeded, 1 failed, 3 stopped. The last event is
the outcome; a process that is gone without one was killed. No event, log line or file
name holds text of a data set.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from intramural.domain.cause import Failure
from intramural.domain.dataset import ExampleKind
from intramural.domain.evaluation import Evaluation
from intramural.domain.job import Outcome
from intramural.domain.spec import JobSpec
from intramural.domain.value import INF_NAN, Digest, JobId, ProjectId, RunId, Value

SPEC_FILE = "spec.json"
EVENTS_FILE = "events.jsonl"
LOG_FILE = "log"
PID_FILE = "pid.json"
EXIT_FILE = "exit.json"
INPUTS = "inputs"
CHECKPOINTS = "checkpoints"
OUTPUTS = "outputs"

EXIT_CODES: dict[Outcome, int] = {Outcome.SUCCEEDED: 0, Outcome.FAILED: 1, Outcome.STOPPED: 3}


class Sealing(Value):
    """
    Under which words and keys a run's files are sealed; the keys themselves come through a pipe.

    A file is sealed under its name in its folder: rows in the project's `dataset` *dataset*, everything
    that the run writes in its `output` *job_id*, with the key *key_id*.
    """

    project: ProjectId
    dataset: str
    job_id: JobId
    key_id: str


class WorkloadSpec(Value):
    """What a run directory asks of its workload."""

    run_id: RunId
    attempt: int
    job: JobSpec
    example_kind: ExampleKind
    base_digest: Digest
    dataset_digest: Digest
    sealing: Sealing | None = None
    """None only for a workload that a person runs by hand, on plain files of their own; the platform always seals."""
    accept_drift: bool = False
    submitted_at: float
    """Seconds since the epoch; the date a chat template may write, the same for every attempt."""
    asked_at: float
    """Seconds since the epoch when this attempt was asked for; the start latency counts from it."""


class _Event(Value):
    at: float
    """Seconds since the epoch."""


class PhaseEvent(_Event):
    """A new stretch of work began."""

    type: Literal["phase"] = "phase"
    phase: Literal["load", "evaluate_before", "train", "evaluate_after", "write", "done"]


class ResolvedEvent(_Event):
    """What `auto` became and where it runs; frozen into the report."""

    type: Literal["resolved"] = "resolved"
    settings: dict[str, Any]
    environment: dict[str, str]
    total_steps: int
    total_tokens: int


class ProgressEvent(_Event):
    """How far the present phase is."""

    type: Literal["progress"] = "progress"
    phase: str
    done: int
    total: int


class FirstPassEvent(_Event):
    """The first forward pass is about to run; ends the start latency."""

    type: Literal["first_pass"] = "first_pass"
    seconds_since_submit: float


class StepEvent(_Event):
    """One optimizer step."""

    type: Literal["step"] = "step"
    step: int
    total_steps: int
    loss: float
    """Mean cross-entropy per answer token, in nats."""
    grad_norm: float
    learning_rate: float
    tokens: int
    """Real tokens in this step; nothing is padded."""
    seconds: float
    batch_digest: str
    """Of the ids of the step's examples, in order; equal batches have equal digests."""
    memory_bytes: int
    """Peak resident set so far."""


class CheckpointEvent(_Event):
    """A checkpoint is whole on disk."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    size_bytes: int
    blocked_seconds: float
    """How long the training thread waited."""
    write_seconds: float


class ResumeEvent(_Event):
    """Training continues from a checkpoint."""

    type: Literal["resume"] = "resume"
    step: int
    skipped: tuple[str, ...] = ()
    """Newer checkpoints that did not verify, each with its reason."""
    drift: tuple[str, ...] = ()
    """Differences that were accepted."""


class EvaluationEvent(_Event):
    """A measurement on the hold-out is complete."""

    type: Literal["evaluation"] = "evaluation"
    when: Literal["before", "after"]
    evaluation: Evaluation


class BaselineEvent(_Event):
    """A simple baseline on the same hold-out."""

    type: Literal["baseline"] = "baseline"
    evaluation: Evaluation


class NoticeEvent(_Event):
    """Something a person should know; written by us, no content."""

    type: Literal["notice"] = "notice"
    message: str


class OutcomeEvent(_Event):
    """The last event."""

    type: Literal["outcome"] = "outcome"
    outcome: Outcome
    failure: Failure | None = None
    tokens_per_second: float | None = None
    """Real tokens of this attempt's training steps over their time."""
    peak_memory_bytes: int | None = None
    """The largest resident set of the process."""
    peak_gpu_memory_bytes: int | None = None
    """The most memory of the GPU that was reserved; none without a GPU."""


Event = Annotated[
    PhaseEvent
    | ResolvedEvent
    | ProgressEvent
    | FirstPassEvent
    | StepEvent
    | CheckpointEvent
    | ResumeEvent
    | EvaluationEvent
    | BaselineEvent
    | NoticeEvent
    | OutcomeEvent,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(ser_json_inf_nan=INF_NAN, hide_input_in_errors=True))
"""Reads and writes one event: `EVENT.validate_json(line)`, `EVENT.dump_json(event)`."""
