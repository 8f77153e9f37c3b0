"""The parts of a job's evidence, each a document of names, figures and digests."""

from __future__ import annotations

from typing import Any

from intramural.domain.artifact import ArtifactKind
from intramural.domain.attestation import Resource
from intramural.domain.audit import AuditEntry, AuditFilter
from intramural.domain.evaluation import MEMBERSHIP, MEMBERSHIP_RULE
from intramural.domain.evidence import Part, compute_of
from intramural.domain.job import Job, Run
from intramural.domain.keys import dataset_scope, job_scope
from intramural.domain.receipt import UNSEEN
from intramural.domain.report import JobReport
from intramural.service.audit import prove_audit
from intramural.service.context import Context
from intramural.service.evidence_people import access_part, approvals_part, placement_part
from intramural.store import Reading

MOST_ENTRIES = 100_000
NAMED = {ArtifactKind.ADAPTER: "adapter/", ArtifactKind.MERGED_MODEL: "merged/"}
"""Before the name of an artifact's file, where the artifact is a folder."""


def evidence_parts(ctx: Context, tx: Reading, job: Job, report: JobReport) -> dict[Part, Any]:
    """Return every part but the audit excerpt, which is read after the export itself is on record."""
    runs = tx.runs.of_job(job.id)
    return {
        Part.DATA: _data_sheet(tx, job, report),
        Part.LINEAGE: _lineage(job, report),
        Part.RUN: _run(job, report, runs),
        Part.COMPUTE: _compute(tx, report, runs),
        Part.EVALUATION: _evaluation(report),
        Part.MEMORISATION: _memorisation(report),
        Part.RECEIPT: _receipts(runs),
        Part.PLACEMENT: placement_part(tx, job, report, runs),
        Part.KEYS: _keys(tx, job, report),
        Part.APPROVALS: approvals_part(ctx, tx, job),
        Part.ACCESS: access_part(ctx, tx, job),
    }


def artifact_files(ctx: Context, report: JobReport) -> list[Resource]:
    """Return every file of the job's artifacts, with the digest of what `artifact export` writes."""
    return [
        Resource(name=f"{NAMED.get(artifact.kind, '')}{name}", digest=each.digest)
        for artifact in report.artifacts
        for name, each in ctx.vault.tree(artifact.digest).files.items()
    ]


def proofs(ctx: Context, job: Job, report: JobReport) -> dict[str, Any]:
    """Return what the trail says of the job, its runs, data and artifacts, each entry with the proof that it is in it."""
    with ctx.read() as tx:
        names = {job.id, *(each.id for each in tx.runs.of_job(job.id)), *(each.id for each in report.artifacts)}
        digests = {job.spec_digest, job.dataset_digest, job.base_digest, *(each.digest for each in report.artifacts)}
        found = [
            each for each in tx.audit.search(ctx.project, AuditFilter(limit=MOST_ENTRIES)) if _concerns(each, names, digests)
        ]
    return {
        "entries": [prove_audit(ctx, each.seq).document() for each in found],
        "how_to_check": "`record` hashes to `leaf` (RFC 6962), `path` leads from it to `root`, `head` signs `root` with the "
        "key in audit.pub; `record` ends with SHA-256 of `salt` and `body`.",
    }


def _concerns(entry: AuditEntry, names: set[str], digests: set[str]) -> bool:
    return entry.target in names or entry.digest in digests or entry.detail.get("job") in names


def _data_sheet(tx: Reading, job: Job, report: JobReport) -> dict[str, Any]:
    data = report.data
    policy = tx.policies.with_digest(job.project, job.policy_digest) if job.policy_digest else None
    rules = policy.policy.of(job.label.classification) if policy and job.label else None
    return {
        "data": data.document() if data else {"label": job.dataset_label, "digest": job.dataset_digest},
        "label": job.label.document() if job.label else None,
        "retention": {
            "days_by_the_data_set": data.retain_days if data else None,
            "days_by_the_policy": rules.retention_days if rules else None,
        },
        "policy": {"digest": job.policy_digest, "rules": rules.document() if rules else None},
    }


def _lineage(job: Job, report: JobReport) -> dict[str, Any]:
    return {
        "base": report.base.document() if report.base else {"digest": job.base_digest},
        "data": {"label": job.dataset_label, "digest": job.dataset_digest},
        "spec": job.spec_digest,
        "policy": job.policy_digest,
        "checkpoints": [each.document() for each in report.checkpoints],
        "artifacts": [each.document() for each in report.artifacts],
    }


def _run(job: Job, report: JobReport, runs: list[Run]) -> dict[str, Any]:
    return {
        "job": job.id,
        "name": job.spec.name,
        "state": job.state.value,
        "submitted_by": job.submitted_by,
        "submitted_at": job.submitted_at.isoformat(),
        "ended_at": job.ended_at.isoformat() if job.ended_at else None,
        "spec": job.spec.document(),
        "settings": report.settings,
        "environment": report.environment,
        "attempts": [{"run": run.id, **line.document()} for run, line in zip(runs, report.attempts, strict=True)],
        "notices": list(report.notices),
        "failure": job.failure.document() if job.failure else None,
    }


def _compute(tx: Reading, report: JobReport, runs: list[Run]) -> dict[str, Any]:
    rows = [body for _, _, body in tx.events.of_runs([each.id for each in runs], types=("step",))]
    newest = {body["step"]: body for body in rows}
    measured = report.metrics
    evaluations = [each for each in (measured.before, measured.after) if each is not None]
    return compute_of(
        report.base.parameters if report.base else 0,
        sum(int(body["tokens"]) for body in rows),
        sum(int(body["tokens"]) for body in newest.values()),
        sum(each.generated_tokens for each in evaluations),
        run_seconds=report.duration_seconds or 0.0,
        training_seconds=sum(float(body["seconds"]) for body in rows),
        attempts=len(runs),
        device=report.environment.get("device"),
    ).document()


def _evaluation(report: JobReport) -> dict[str, Any]:
    return {
        **report.metrics.document(),
        "limits": "Measured on the hold-out of the data set alone. No set for safety or bias was run.",
    }


def _memorisation(report: JobReport) -> dict[str, Any]:
    """Tell how well rows that were trained on can be told from rows that were not, by the losses alone."""
    before, after = (
        each.scores.get(MEMBERSHIP) if each is not None else None for each in (report.metrics.before, report.metrics.after)
    )
    return {
        "membership_auc": {"before": before.document() if before else None, "after": after.document() if after else None},
        "meaning": MEMBERSHIP_RULE,
        "said": None if after else "Not measured: the job did not run the suite `memorisation`.",
    }


def _receipts(runs: list[Run]) -> dict[str, Any]:
    """Tell what each run tried, in numbers: a host's name is the run's choice, and stays in the sealed receipt."""
    found = {
        run.id: None if run.walls is None else {**run.walls.document(), "unseen": list(UNSEEN[run.walls.level])} for run in runs
    }
    said = None if all(found.values()) else "A run without a receipt was not confined: what it reached is not known."
    return {"runs": found, "said": said}


def _keys(tx: Reading, job: Job, report: JobReport) -> dict[str, Any]:
    name = report.data.name if report.data else job.dataset_label.partition("@")[0]
    records = tx.scope_keys.of_scopes(job.project, [dataset_scope(name), job_scope(job.id)])
    certificates = tx.certificates.of_dataset(job.project, name)
    return {
        "keys": [
            {**each.document(), "wrapped": {key: value for key, value in each.wrapped.document().items() if key != "body"}}
            for each in (record.model_copy(update={"probe": None}) for record in records)
        ],
        "shredding": [each.document() for each in certificates],
        "said": "Who had a key unwrapped is in the log of the provider that holds the customer's key, not in the trail.",
    }
