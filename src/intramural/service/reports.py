"""The document of a job, drawn from what its runs told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from intramural.domain.job import Job, JobState, Run
from intramural.domain.report import AttemptLine, CheckpointLine, CurvePoint, JobReport, Measured
from intramural.domain.value import RunId
from intramural.service.context import Context
from intramural.store import Reading

MOST_POINTS = 5_000
"""Points of a curve in one document; longer trainings are thinned evenly, the last point kept."""
TOLD = ("phase", "resolved", "first_pass", "step", "checkpoint", "resume", "evaluation", "baseline", "notice", "outcome")
PACE_STEPS = 50
"""Steps whose pace predicts the time left."""

Rows = list[tuple[int, RunId, dict[str, Any]]]
Steps = dict[int, dict[str, Any]]


class Standing(NamedTuple):
    """How far a running job is."""

    phase: str | None
    step: int
    total_steps: int | None
    seconds_left: float | None


def progress_of(tx: Reading, job: Job) -> Standing:
    """Return how far the newest attempt is, from its newest events alone."""
    runs = tx.runs.of_job(job.id)
    if not runs:
        return Standing(None, 0, None, None)
    phase = tx.events.newest(runs[-1].id, ["phase"])
    step = tx.events.newest(runs[-1].id, ["step"])
    if step is None:
        return Standing(phase["phase"] if phase else None, job.checkpoint_step, None, None)
    left = (step["total_steps"] - step["step"]) * step["seconds"]
    return Standing(phase["phase"] if phase else None, step["step"], step["total_steps"], left)


def build_report(ctx: Context, tx: Reading, job: Job) -> JobReport:
    """Return everything a person asks about *job*."""
    runs = tx.runs.of_job(job.id)
    rows = tx.events.of_runs([each.id for each in runs], types=TOLD)
    by_type: dict[str, list[dict[str, Any]]] = {each: [] for each in TOLD}
    for _, _, body in rows:
        by_type[body["type"]].append(body)
    resolved = by_type["resolved"][-1] if by_type["resolved"] else {}
    steps = _steps_that_count(rows)
    is_running = job.state is JobState.RUNNING
    return JobReport(
        job_id=job.id,
        name=job.spec.name,
        state=job.state,
        spec=job.spec,
        spec_digest=job.spec_digest,
        settings=resolved.get("settings", {}),
        base=next((each for each in tx.models.all(job.project) if each.digest == job.base_digest), None),
        data=next((each for each in tx.datasets.all(job.project) if each.label == job.dataset_label), None),
        submitted_by=job.submitted_by,
        submitted_at=job.submitted_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        duration_seconds=sum(((each.ended_at or ctx.now()) - each.started_at).total_seconds() for each in runs) or None,
        start_latency_seconds=by_type["first_pass"][0]["seconds_since_submit"] if by_type["first_pass"] else None,
        phase=progress_of(tx, job).phase if is_running else None,
        phase_seconds=_phases(rows, ctx.now()),
        step=max(steps, default=0),
        total_steps=resolved.get("total_steps"),
        seconds_left=_left(steps, resolved.get("total_steps")) if is_running else None,
        metrics=_measured(by_type),
        tokens_per_second=_rate(steps),
        peak_memory_bytes=_peak(by_type),
        peak_gpu_memory_bytes=max((body.get("peak_gpu_memory_bytes") or 0 for body in by_type["outcome"]), default=0) or None,
        curve=_curve(steps),
        checkpoints=_checkpoints(rows, runs),
        attempts=_attempts(rows, runs),
        artifacts=tuple(tx.artifacts.all(job.project, job.id)),
        environment=resolved.get("environment", {}),
        notices=tuple(dict.fromkeys(body["message"] for body in by_type["notice"])),
        waiting=runs[-1].waiting if runs else None,
        cause=job.failure.cause if job.failure else None,
        evidence=job.failure.evidence if job.failure else None,
        next_step=job.failure.remedy if job.failure else None,
    )


def _steps_that_count(rows: Rows) -> Steps:
    """Return the steps the adapter went through: an attempt forgets what was trained after the checkpoint it begins from."""
    steps: Steps = {}
    began: set[RunId] = set()
    for _, run_id, body in rows:
        if body["type"] == "resume" or (body["type"] == "step" and run_id not in began):
            began.add(run_id)
            kept = body["step"] if body["type"] == "resume" else 0
            steps = {number: step for number, step in steps.items() if number <= kept}
        if body["type"] == "step":
            steps[body["step"]] = body
    return steps


def _phases(rows: Rows, now: datetime) -> dict[str, float]:
    """Sum the seconds of each phase over all attempts; an open one counts to the attempt's last event."""
    seconds: dict[str, float] = {}
    last: dict[RunId, float] = {run_id: body["at"] for _, run_id, body in rows}
    open_phase: dict[RunId, tuple[str, float]] = {}
    for _, run_id, body in rows:
        if body["type"] not in {"phase", "outcome"}:
            continue
        if run_id in open_phase:
            name, since = open_phase.pop(run_id)
            seconds[name] = seconds.get(name, 0.0) + body["at"] - since
        if body["type"] == "phase":
            open_phase[run_id] = (body["phase"], body["at"])
    for run_id, (name, since) in open_phase.items():
        seconds[name] = seconds.get(name, 0.0) + min(now.timestamp(), last[run_id]) - since
    seconds.pop("done", None)
    return seconds


def _left(steps: Steps, total: int | None) -> float | None:
    if not steps or total is None:
        return None
    newest = sorted(steps)[-PACE_STEPS:]
    pace = sum(float(steps[each]["seconds"]) for each in newest) / len(newest)
    return (total - newest[-1]) * pace


def _rate(steps: Steps) -> float | None:
    """Return tokens over seconds of all steps that count, each once."""
    seconds = sum(float(each["seconds"]) for each in steps.values())
    return sum(int(each["tokens"]) for each in steps.values()) / seconds if seconds else None


def _peak(by_type: dict[str, list[dict[str, Any]]]) -> int | None:
    told = [body["memory_bytes"] for body in by_type["step"]]
    told += [body["peak_memory_bytes"] for body in by_type["outcome"] if body["peak_memory_bytes"] is not None]
    return max(told, default=None)


def _measured(by_type: dict[str, list[dict[str, Any]]]) -> Measured:
    newest = {body["when"]: body["evaluation"] for body in by_type["evaluation"]}
    baselines = {body["evaluation"]["system"]: body["evaluation"] for body in by_type["baseline"]}
    return Measured.model_validate(
        {"before": newest.get("before"), "after": newest.get("after"), "baselines": list(baselines.values())}
    )


def _curve(steps: Steps) -> tuple[CurvePoint, ...]:
    order = sorted(steps)
    stride = -(-len(order) // MOST_POINTS) or 1
    kept = [each for n, each in enumerate(order) if n % stride == 0 or n == len(order) - 1]
    return tuple(
        CurvePoint(
            step=each,
            loss=steps[each]["loss"],
            grad_norm=steps[each]["grad_norm"],
            learning_rate=steps[each]["learning_rate"],
            tokens_per_second=steps[each]["tokens"] / max(steps[each]["seconds"], 1e-9),
        )
        for each in kept
    )


def _checkpoints(rows: Rows, runs: list[Run]) -> tuple[CheckpointLine, ...]:
    attempts = {each.id: each.attempt for each in runs}
    return tuple(
        CheckpointLine(
            step=body["step"],
            attempt=attempts[run_id],
            at=datetime.fromtimestamp(body["at"], UTC),
            size_bytes=body["size_bytes"],
            blocked_seconds=body["blocked_seconds"],
        )
        for _, run_id, body in rows
        if body["type"] == "checkpoint"
    )


def _attempts(rows: Rows, runs: list[Run]) -> tuple[AttemptLine, ...]:
    resumed = {run_id: body["step"] for _, run_id, body in rows if body["type"] == "resume"}
    return tuple(
        AttemptLine(
            attempt=run.attempt,
            started_at=run.started_at,
            ended_at=run.ended_at,
            outcome=run.outcome,
            cause=run.failure.cause if run.failure else None,
            resumed_from_step=resumed.get(run.id),
            evidence=run.failure.evidence if run.failure else None,
            walls=run.walls,
        )
        for run in runs
    )
