"""
The drill: kill a running job on purpose, let it continue by itself, and compare.

`drill_job` waits for nothing: it answers None until a checkpoint and a few steps after
it are there to be repeated, and is asked again. The killed run is marked in its own
directory; the scheduler treats its end as any other kill.
"""

from __future__ import annotations

from typing import Any

from intramural.domain.access import Action
from intramural.domain.drill import DrillProgress, compare
from intramural.domain.job import Job, JobState, Run
from intramural.domain.workload import StepEvent
from intramural.errors import Conflict
from intramural.service.context import Context
from intramural.service.jobs import find_job
from intramural.store import Reading

STEPS_TO_REPEAT = 3
"""Steps since the newest checkpoint, so that there is something to compare."""
MARK, ASKED = "drill", "drill-asked"


def drill_job(ctx: Context, ref: str) -> DrillProgress | None:
    """Kill the run of a job, or return None while it is too early. Raises `Conflict` when it is not running."""
    ctx.check(Action.JOB_DRILL, target=ref)
    with ctx.read() as tx:
        job = find_job(ctx, tx, ref)
        run = next((each for each in tx.runs.of_job(job.id) if each.ended_at is None), None)
        step = tx.events.newest(run.id, ["step"]) if run else None
        kept = tx.events.newest(run.id, ["checkpoint", "resume"]) if run else None
    if job.state not in {JobState.RUNNING, JobState.QUEUED}:
        raise Conflict(
            f"Job {job.spec.name} is {job.state}; a drill needs one that trains.",
            hint="Start a longer one, then drill it.",
            state=job.state.value,
        )
    if run is None or step is None:
        return None
    folder = ctx.runs / run.id
    if kept is None:
        # asked for once: a second one would come later, and leave fewer steps to repeat than were counted from the first
        if not (folder / ASKED).exists() and ctx.run_control.checkpoint(folder):
            (folder / ASKED).touch(mode=0o600)
        return None
    if step["step"] < kept["step"] + STEPS_TO_REPEAT:
        return None
    with ctx.act(Action.JOB_DRILL, target=job.id):
        (folder / MARK).touch(mode=0o600)
    if not ctx.run_control.kill(folder):
        (folder / MARK).unlink(missing_ok=True)
        raise Conflict(f"The run of {job.spec.name} ended before it could be killed.", hint="Drill a longer job.")
    return DrillProgress(complete=False)


def compare_attempts(ctx: Context, ref: str) -> DrillProgress | None:
    """
    Compare the run that was drilled last with what came after it. Raises `Conflict` when there was no drill.

    None means: the kill fell on a checkpoint, no step was repeated; drill again.
    """
    with ctx.read() as tx:
        job = find_job(ctx, tx, ref)
        runs = tx.runs.of_job(job.id)
        drilled = next((each for each in reversed(runs) if (ctx.runs / each.id / MARK).exists()), None)
        if drilled is None:
            raise Conflict(f"Job {job.spec.name} was not drilled.", hint=f"`intramural drill {job.spec.name}` does it.")
        later = [each for each in runs if each.attempt > drilled.attempt]
        killed = _steps(tx, [drilled])
        again = _steps(tx, later)
        resumed = _resumed_from(tx, later)
    if _is_over(job, drilled):
        return DrillProgress(complete=True, receipt=compare(job.spec.name, killed, again, resumed))
    if not again or max(again) < max(killed):
        return DrillProgress(complete=False)
    receipt = compare(job.spec.name, killed, again, resumed)
    return DrillProgress(complete=True, receipt=receipt) if receipt.overlapping_steps else None


def _is_over(job: Job, drilled: Run) -> bool:
    """Tell whether nothing more will come: the drilled run is closed, and its job waits for a person or is done."""
    return drilled.ended_at is not None and job.state not in {JobState.RUNNING, JobState.QUEUED}


def _steps(tx: Reading, runs: list[Run]) -> dict[int, StepEvent]:
    """Return the steps of *runs* by number, the first that was told of each."""
    steps: dict[int, StepEvent] = {}
    for _, _, body in tx.events.of_runs([each.id for each in runs], types=["step"]):
        event = StepEvent.model_validate(body)
        steps.setdefault(event.step, event)
    return steps


def _resumed_from(tx: Reading, later: list[Run]) -> int:
    """Return the step from which the next attempt went on, 0 when it began anew."""
    told: list[dict[str, Any]] = [body for _, _, body in tx.events.of_runs([each.id for each in later[:1]], types=["resume"])]
    return int(told[0]["step"]) if told else 0
