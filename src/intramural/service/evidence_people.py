"""The parts of a job's evidence that tell of people and places: who approved, who acted, where the work was done."""

from __future__ import annotations

from typing import Any

from intramural.domain.approval import NAMESPACE
from intramural.domain.audit import AuditEntry, AuditFilter, Decision
from intramural.domain.job import Job, Run
from intramural.domain.keys import KeyState
from intramural.domain.report import JobReport
from intramural.errors import IntramuralError
from intramural.service.approvals import approval_standing
from intramural.service.approvers import approvers_of
from intramural.service.context import Context
from intramural.store import Reading

MOST_ENTRIES = 100_000
PLACE_RULES = frozenset({"region", "isolation", "spot"})
"""Rules that look at where a run would be."""
HOW_TO_CHECK = (
    f"`ssh-keygen -Y verify -f SIGNERS -I LOGIN -n {NAMESPACE} -s SIGNATURE < REQUEST`, where SIGNERS holds the lines of "
    "`signers`; compare the keys with those you got another way."
)


def approvals_part(ctx: Context, tx: Reading, job: Job) -> dict[str, Any]:
    """Return who said yes to what, with the signatures, and whether each counts now."""
    policy = tx.policies.with_digest(job.project, job.policy_digest) if job.policy_digest else None
    rules = policy.policy.of(job.label.classification) if policy and job.label else None
    given = tx.approvals.of_job(job.id)
    try:
        approvers, problem = approvers_of(ctx), None
    except IntramuralError as error:
        approvers, problem = (), error.message
    standings = [approval_standing(ctx, tx, each, approvers) for each in given]
    return {
        "required": {"start": rules.start_approvals, "leave": rules.approvals} if rules else None,
        "approvals": [each.document() for each in standings],
        "signers": sorted({f"{each.by.removeprefix('user:')} {each.key}" for each in given}),
        "how_to_check": HOW_TO_CHECK,
        "problem": problem,
        "said": None if given else "Nobody approved anything of this job.",
    }


def placement_part(tx: Reading, job: Job, report: JobReport, runs: list[Run]) -> dict[str, Any]:
    """Return where the runs were, where the data is bound to be, and what was refused because of where."""
    entries = tx.audit.search(job.project, AuditFilter(decision=Decision.REFUSED, limit=MOST_ENTRIES))
    refused = [each for each in entries if each.rule in PLACE_RULES and each.target in {job.id, job.spec.name}]
    return {
        "data_is_bound_to": report.data.region if report.data else None,
        "runs": [
            {
                "run": run.id,
                "host": run.lease.holder.partition(":")[0],
                "region": run.region,
                "device": report.environment.get("device"),
            }
            for run in runs
        ],
        "refused": [{"entry": each.seq, "at": each.at.isoformat(), "rule": each.rule} for each in refused],
        "said": None if all(run.region for run in runs) else "Nobody had stated the region of the machine when a run began.",
    }


def access_part(ctx: Context, tx: Reading, job: Job) -> dict[str, Any]:
    """Return who has acted in the project, who may approve, and the state of its keys."""
    newest = tx.audit.search(job.project, AuditFilter(limit=MOST_ENTRIES))
    keys = tx.scope_keys.all(job.project)
    try:
        approvers = [{"person": each.person, "key": each.fingerprint} for each in approvers_of(ctx)]
    except IntramuralError:
        approvers = []
    return {
        "subjects": _subjects(newest),
        "approvers": approvers,
        "keys": {state.value: sum(each.state is state for each in keys) for state in KeyState},
        "entries_looked_at": len(newest),
        "said": "Whoever works as the home's operating-system user acts as its owner; there are no other members yet, and no "
        "API keys.",
    }


def _subjects(entries: list[AuditEntry]) -> list[dict[str, Any]]:
    """Return each subject with its first and last act, in the order of the newest entries."""
    found: dict[str, dict[str, Any]] = {}
    for each in entries:
        known = found.setdefault(each.subject, {"subject": each.subject, "first": each.at.isoformat(), "acts": 0, "refused": 0})
        known["last"] = each.at.isoformat()
        known["acts"] += 1
        known["refused"] += each.decision is Decision.REFUSED
    return sorted(found.values(), key=lambda each: str(each["subject"]))
