"""Measurements: the interview's numbers from the platform's own jobs and from records of other systems."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from intramural.domain.access import Action
from intramural.domain.job import Job
from intramural.domain.measure_options import OWN, MeasureOptions
from intramural.domain.measurement import Measurement
from intramural.service.context import Context, OnProgress
from intramural.store import Reading

if TYPE_CHECKING:
    from intramural.measurement.own_runs import OwnJob
    from intramural.measurement.records import Source

MOST_JOBS = 1_000_000
_GPU_MAKERS = ("NVIDIA", "Tesla", "AMD Instinct", "AMD Radeon")


def measure_jobs(ctx: Context, options: MeasureOptions, on_progress: OnProgress = lambda *_: None) -> Measurement:
    """Compute the interview's numbers from the sources. Raises `InvalidInput`, `NotFound`, `Unavailable`."""
    ctx.check(Action.PROFILE_MEASURE)
    measured = _measured(ctx, options, on_progress)
    with ctx.act(Action.PROFILE_MEASURE, target=", ".join(measured.sources)):
        return measured


def _measured(ctx: Context, options: MeasureOptions, on_progress: OnProgress) -> Measurement:
    # The libraries of tables take a quarter of a second that no other verb shall pay.
    from intramural.measurement.causes import load_cause_rules  # noqa: PLC0415 - as above
    from intramural.measurement.figures import measure  # noqa: PLC0415 - as above
    from intramural.measurement.job_types import load_rules  # noqa: PLC0415 - as above

    rules = load_rules(Path(options.rules)) if options.rules else None
    named = {"cause_rules": load_cause_rules(Path(options.causes))} if options.causes else {}
    names = dict.fromkeys(options.sources or (OWN,))
    sources = []
    for number, name in enumerate(names):
        told = partial(on_progress, number, len(names) + 1)
        told("reading")
        sources.append(_source(ctx, name, options, told))
    on_progress(len(names), len(names) + 1, "counting")
    return measure(sources, now=ctx.now(), days=options.days, rules=rules, **named)


def _source(ctx: Context, name: str, options: MeasureOptions, told: Callable[[str], None]) -> Source:
    """Return the records behind one name: our own, a tracker's, or a file's."""
    from intramural.connectors import mlflow  # noqa: PLC0415 - only where something is measured
    from intramural.measurement import mlflow_runs, own_runs, run_parameters  # noqa: PLC0415 - as above

    if name == OWN:
        return own_runs.from_own(_own_jobs(ctx), now=ctx.now())
    if mlflow.is_tracking(name):
        runs = mlflow.fetch_runs(
            name,
            params=run_parameters.NAMES,
            tags=mlflow_runs.TAGS,
            days=options.days,
            on_read=lambda done: told(f"{done:,} runs"),
        )
        return mlflow_runs.from_mlflow(runs, name=mlflow.shown(name))
    from intramural.measurement.detect import read_source  # noqa: PLC0415 - as above

    return read_source(name, mapping=Path(options.mapping) if options.mapping else None)


def _own_jobs(ctx: Context) -> list[OwnJob]:
    """Return every job of the project with what its attempts told."""
    with ctx.read() as tx:
        return [_own_job(tx, each) for each in tx.jobs.all(ctx.project, limit=MOST_JOBS)]


def _own_job(tx: Reading, job: Job) -> OwnJob:
    from intramural.measurement.own_runs import Checkpoint, OwnJob  # noqa: PLC0415 - only where something is measured

    runs = tx.runs.of_job(job.id)
    attempts = {each.id: each.attempt for each in runs}
    told = tx.events.of_runs(list(attempts), types=["checkpoint", "resolved"])
    resolved = next((body for _, _, body in reversed(told) if body["type"] == "resolved"), None)
    return OwnJob(
        job=job,
        runs=tuple(runs),
        checkpoints=tuple(
            Checkpoint(attempts[run_id], body["at"], body["size_bytes"])
            for _, run_id, body in told
            if body["type"] == "checkpoint"
        ),
        data=tx.datasets.find(job.project, *_parts(job.dataset_label)),
        sequence_tokens=resolved["settings"].get("sequence_length") if resolved else None,
        gpus=int(str(resolved["environment"].get("device", "")).startswith(_GPU_MAKERS)) if resolved else None,
    )


def _parts(label: str) -> tuple[str, int]:
    name, _, version = label.rpartition("@")
    return name, int(version)
