"""Jobs: submitted, listed, and steered by a member; their events and logs."""

from __future__ import annotations

from intramural.domain.access import Action
from intramural.domain.confinement import Level
from intramural.domain.job import Job
from intramural.domain.report import JobReport
from intramural.domain.spec import JobSpec
from intramural.domain.value import JobId, digest_of
from intramural.domain.views import Explanation, JobEvent, Resolution
from intramural.domain.workload import EVENT
from intramural.errors import InvalidInput, NotFound
from intramural.service.context import Context
from intramural.service.datasets import find_dataset
from intramural.service.explanations import explain
from intramural.service.fit import check_fit
from intramural.service.models import find_model, nearest
from intramural.service.policies import approvals_to_start, freeze, judge_submission
from intramural.service.policy_facts import label_of
from intramural.service.present_policy import adopt_policy
from intramural.service.reports import build_report
from intramural.service.scope_keys import check_readable
from intramural.store import Reading, Transaction


def resolve_job(ctx: Context, spec: JobSpec) -> Resolution:
    """Tell what submitting *spec* now would use and what was checked; change nothing."""
    with ctx.read() as tx:
        base, data = find_model(ctx, tx, spec.base), find_dataset(ctx, tx, spec.data)
        verdict = judge_submission(ctx, tx, spec, base.digest, data)
        needed = approvals_to_start(ctx, tx, label_of(spec, data)) if verdict.allowed else 0
    check_readable(data)
    found = check_fit(ctx, spec, base, data)
    waits = (f"It will wait until {needed} other person{'s' if needed > 1 else ''} approved it.",) if needed else ()
    return found.model_copy(update={"verdict": verdict, "checks": (*found.checks, _level_here(ctx), *_swap_here(ctx), *waits)})


def _level_here(ctx: Context) -> str:
    """Say how firmly runs are confined here, and why not more firmly."""
    level = ctx.level()
    why = f" ({'; '.join(ctx.level_reasons())})" if level is not Level.NAMESPACES and ctx.level_reasons() else ""
    if level is Level.NONE:
        return f"Runs are not confined on this machine{why}: only public and internal data is worked on by default."
    return f"Runs are confined at the level {level.value}{why}."


def _swap_here(ctx: Context) -> tuple[str, ...]:
    """Say what may be written to swap here; nothing where the machine has none."""
    told = {
        "cgroup": "Swap is on: runs are kept out of it; the platform's own processes, which hold keys, are not.",
        "nothing": "Swap is on, and nothing keeps runs out of it: rows and keys may be written there in clear. "
        "Switch it off, or encrypt it.",
    }
    return (told[how],) if (how := ctx.swap()) in told else ()


def submit_job(ctx: Context, spec: JobSpec) -> Job:
    """Queue the work that *spec* describes. Raises `NotFound`, `InvalidInput`, `DoesNotFit`, `Refused` by the policy."""
    adopt_policy(ctx)
    with ctx.act(Action.JOB_SUBMIT, target=spec.name) as tx:
        base, data = find_model(ctx, tx, spec.base), find_dataset(ctx, tx, spec.data)
        check_readable(data)
        check_fit(ctx, spec, base, data)
        verdict = judge_submission(ctx, tx, spec, base.digest, data)
        if not verdict.allowed:
            raise verdict.refusal()
        job = Job(
            id=JobId(ctx.new_id("job")),
            project=ctx.project,
            spec=spec,
            spec_digest=digest_of(spec.document()),
            base_digest=base.digest,
            dataset_label=data.label,
            dataset_digest=data.digest,
            policy_digest=freeze(ctx, tx),
            label=label_of(spec, data),
            start_approvals=approvals_to_start(ctx, tx, label_of(spec, data)),
            submitted_by=ctx.actor.subject,
            submitted_at=ctx.now(),
        )
        tx.jobs.add(job)
        tx.concerns.update(digest=job.spec_digest, detail={"job": job.id, "policy": job.policy_digest})
        return job


def show_job(ctx: Context, ref: str) -> JobReport:
    """Return everything a person asks about one job."""
    with ctx.read() as tx:
        return build_report(ctx, tx, find_job(ctx, tx, ref))


def list_jobs(ctx: Context) -> list[Job]:
    """Return jobs, newest first."""
    with ctx.read() as tx:
        return tx.jobs.all(ctx.project)


def find_job(ctx: Context, tx: Reading, ref: str) -> Job:
    """Return a job by id, the newest by name, or by the unique beginning of an id. Raises `NotFound`, `InvalidInput`."""
    found = tx.jobs.matching(ctx.project, ref) if ref else []
    if not found:
        known = sorted({each.spec.name for each in tx.jobs.all(ctx.project)})
        raise NotFound(f"There is no job {ref}.", hint=nearest(ref, known, "intramural run tune.yaml"))
    if len(found) > 1:
        raise InvalidInput(f"{ref} begins the id of more than one job.", hint="Type a few more letters.")
    if isinstance(tx, Transaction):  # inside an act, which is then about this job
        tx.concerns.update(digest=found[0].spec_digest, detail={"job": found[0].id})
    return found[0]


def cancel_job(ctx: Context, ref: str) -> Job:
    """Ask for the end; a job that is not running ends at once."""
    with ctx.act(Action.JOB_CANCEL, target=ref) as tx:
        job = find_job(ctx, tx, ref).cancelled(now=ctx.now())
        tx.jobs.save(job)
        return job


def pause_job(ctx: Context, ref: str) -> Job:
    """Ask for a checkpoint and a rest."""
    with ctx.act(Action.JOB_PAUSE, target=ref) as tx:
        job = find_job(ctx, tx, ref).paused()
        tx.jobs.save(job)
        return job


def resume_job(ctx: Context, ref: str, *, accept_drift: bool = False) -> Job:
    """Queue it again from its newest verified checkpoint."""
    with ctx.act(Action.JOB_RESUME, target=ref) as tx:
        job = find_job(ctx, tx, ref).resumed(accept_drift=accept_drift)
        tx.jobs.save(job)
        return job


def explain_job(ctx: Context, ref: str) -> Explanation:
    """Tell why a job stands where it stands, and what would change it."""
    with ctx.read() as tx:
        return explain(ctx, tx, find_job(ctx, tx, ref))


def job_events(ctx: Context, ref: str, *, after: int = 0, limit: int = 1000) -> list[JobEvent]:
    """Return a job's events after the place *after*, over all its attempts."""
    with ctx.read() as tx:
        runs = {each.id: each for each in tx.runs.of_job(find_job(ctx, tx, ref).id)}
        rows = tx.events.of_runs(list(runs), after=after, limit=limit)
    return [JobEvent(seq=seq, attempt=runs[run_id].attempt, event=EVENT.validate_python(body)) for seq, run_id, body in rows]
