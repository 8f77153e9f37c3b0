"""
The API in process: a table of routes, each a verb, JSON in and JSON out.

A server will mount the same table; here a request is a function call with the same
documents and the same errors, so code that works against one works against the other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote

from pydantic import ValidationError

from intramural.client.transport import OnProgress, silent
from intramural.domain.audit import AuditFilter
from intramural.domain.measure_options import MeasureOptions
from intramural.domain.spec import JobSpec
from intramural.domain.value import Value, faults_of
from intramural.domain.views import DatasetOptions, ModelSource
from intramural.errors import IntramuralError, InvalidInput, NotFound, from_document
from intramural.service import (
    approvals,
    artifacts,
    audit,
    datasets,
    drill,
    evidence,
    jobs,
    keys,
    lineage,
    measurements,
    models,
    policies,
    quarantines,
    redactions,
    removals,
    run_logs,
    scans,
    sweeping,
    traces,
)
from intramural.service.context import Context

V = TypeVar("V", bound=Value)


class Request:
    """What a route may look at."""

    def __init__(
        self,
        parts: list[str],
        query: dict[str, Any],
        body: dict[str, Any],
        on_progress: OnProgress,
        upload: BinaryIO | None = None,
    ) -> None:
        self.parts, self.query, self.body, self.on_progress, self.upload = parts, query, body, on_progress, upload


def _read(kind: type[V], document: Any) -> V:
    """Return the value a body describes. Raises `InvalidInput` that names the field, never what was given."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = faults_of(error)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"`{field}`: {first['msg']}.", hint="`intramural schema` prints what is known.") from None


Route = Callable[[Context, Request], Any]

ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "models"): lambda ctx, r: models.add_model(
        ctx, r.body["name"], _read(ModelSource, r.body["source"]), r.on_progress
    ),
    ("GET", "models"): lambda ctx, _: models.list_models(ctx),
    ("GET", "models/*"): lambda ctx, r: models.show_model(ctx, r.parts[0]),
    ("DELETE", "models/*"): lambda ctx, r: models.remove_model(ctx, r.parts[0]),
    ("POST", "datasets"): lambda ctx, r: datasets.add_dataset(
        ctx, r.body["sources"], r.body["name"], _read(DatasetOptions, r.body["options"]), r.on_progress, r.upload
    ),
    ("GET", "datasets"): lambda ctx, _: datasets.list_datasets(ctx),
    ("GET", "datasets/*"): lambda ctx, r: datasets.show_dataset(ctx, r.parts[0]),
    ("GET", "datasets/*/difference"): lambda ctx, r: datasets.diff_datasets(ctx, r.parts[0], r.query["to"]),
    ("POST", "datasets/*/sample"): lambda ctx, r: datasets.sample_dataset(ctx, r.parts[0], r.body["count"], r.body["side"]),
    ("POST", "scans"): lambda ctx, r: scans.scan_dataset(
        ctx, r.body["sources"], _read(DatasetOptions, r.body["options"]), r.on_progress, r.upload
    ),
    ("POST", "scans/score"): lambda ctx, r: scans.score_scan(
        ctx, Path(r.body["sample"]), _read(DatasetOptions, r.body["options"]), r.on_progress
    ),
    ("POST", "datasets/*/redact"): lambda ctx, r: redactions.redact_dataset(
        ctx, r.parts[0], _read(DatasetOptions, r.body["options"]), r.on_progress
    ),
    ("POST", "datasets/*/shred"): lambda ctx, r: keys.shred_dataset(ctx, r.parts[0]),
    ("DELETE", "datasets/*"): lambda ctx, r: removals.remove_dataset(ctx, r.parts[0]),
    ("GET", "datasets/*/certificates"): lambda ctx, r: keys.list_certificates(ctx, r.parts[0]),
    ("GET", "keys"): lambda ctx, _: keys.keys_status(ctx),
    ("POST", "keys/rotate"): lambda ctx, _: keys.rotate_keys(ctx),
    ("POST", "sweep"): lambda ctx, r: sweeping.sweep_home(ctx, **r.body),
    ("POST", "jobs/resolve"): lambda ctx, r: jobs.resolve_job(ctx, _read(JobSpec, r.body)),
    ("POST", "jobs"): lambda ctx, r: jobs.submit_job(ctx, _read(JobSpec, r.body)),
    ("GET", "jobs"): lambda ctx, _: jobs.list_jobs(ctx),
    ("GET", "jobs/*"): lambda ctx, r: jobs.show_job(ctx, r.parts[0]),
    ("DELETE", "jobs/*"): lambda ctx, r: removals.remove_job(ctx, r.parts[0]),
    ("GET", "jobs/*/explanation"): lambda ctx, r: jobs.explain_job(ctx, r.parts[0]),
    ("GET", "jobs/*/events"): lambda ctx, r: jobs.job_events(ctx, r.parts[0], **r.query),
    ("GET", "jobs/*/log"): lambda ctx, r: run_logs.job_log(ctx, r.parts[0], **r.query),
    ("POST", "jobs/*/cancel"): lambda ctx, r: jobs.cancel_job(ctx, r.parts[0]),
    ("POST", "jobs/*/pause"): lambda ctx, r: jobs.pause_job(ctx, r.parts[0]),
    ("POST", "jobs/*/resume"): lambda ctx, r: jobs.resume_job(ctx, r.parts[0], **r.body),
    ("POST", "jobs/*/evidence"): lambda ctx, r: evidence.export_evidence(ctx, r.parts[0], Path(r.body["folder"])),
    ("POST", "jobs/*/drill"): lambda ctx, r: drill.drill_job(ctx, r.parts[0]),
    ("GET", "jobs/*/drill"): lambda ctx, r: drill.compare_attempts(ctx, r.parts[0]),
    ("GET", "policy"): lambda ctx, _: policies.show_policy(ctx),
    ("GET", "policy/*"): lambda ctx, r: policies.show_policy(ctx, r.parts[0]),
    ("PUT", "policy"): lambda ctx, r: policies.set_policy(ctx, **r.body),
    ("POST", "traces"): lambda ctx, r: traces.trace_rows(
        ctx, Path(r.body["path"]), _read(DatasetOptions, r.body["options"]), r.on_progress
    ),
    ("GET", "lineage/*"): lambda ctx, r: lineage.show_lineage(ctx, r.parts[0]),
    ("GET", "quarantine"): lambda ctx, _: quarantines.list_quarantined(ctx),
    ("POST", "quarantine"): lambda ctx, r: quarantines.quarantine_object(ctx, **r.body),
    ("POST", "quarantine/release"): lambda ctx, r: quarantines.release_object(ctx, **r.body),
    ("POST", "approvals/requests"): lambda ctx, r: approvals.request_approval(ctx, r.body["ref"]),
    ("POST", "approvals"): lambda ctx, r: approvals.add_approval(ctx, **r.body),
    ("GET", "approvals"): lambda ctx, r: approvals.list_approvals(ctx, r.query.get("job")),
    ("POST", "approvals/*/withdraw"): lambda ctx, r: approvals.withdraw_approval(ctx, r.parts[0]),
    ("GET", "approvers"): lambda ctx, _: approvals.list_approvers(ctx),
    ("GET", "artifacts"): lambda ctx, r: artifacts.list_artifacts(ctx, r.query.get("job")),
    ("GET", "artifacts/*"): lambda ctx, r: artifacts.show_artifact(ctx, r.parts[0]),
    ("DELETE", "artifacts/*"): lambda ctx, r: removals.remove_artifact(ctx, r.parts[0]),
    ("POST", "artifacts/*/export"): lambda ctx, r: artifacts.export_artifact(ctx, r.parts[0], Path(r.body["folder"])),
    ("POST", "artifacts/*/verify"): lambda ctx, r: artifacts.verify_artifact(ctx, r.parts[0]),
    ("POST", "measurements"): lambda ctx, r: measurements.measure_jobs(ctx, _read(MeasureOptions, r.body), r.on_progress),
    ("GET", "audit"): lambda ctx, r: audit.list_audit(ctx, **r.query),
    ("POST", "audit/search"): lambda ctx, r: audit.search_audit(ctx, _read(AuditFilter, r.body)),
    ("POST", "audit/verify"): lambda ctx, r: audit.verify_audit(ctx, **r.body),
    ("GET", "audit/proofs/*"): lambda ctx, r: audit.prove_audit(ctx, int(r.parts[0])),
    ("POST", "audit/exports"): lambda ctx, r: audit.export_audit(ctx, Path(r.body["file"]), r.body["form"], r.body["after"]),
    ("GET", "audit/holds"): lambda ctx, _: audit.list_holds(ctx),
    ("POST", "audit/holds"): lambda ctx, r: audit.hold_audit(ctx, **r.body),
    ("DELETE", "audit/holds/*"): lambda ctx, r: audit.release_audit(ctx, r.parts[0]),
    ("POST", "audit/prune"): lambda ctx, r: audit.prune_audit(ctx, **r.body),
}
"""Below `/api/v1/projects/{project}/`; a star is one part of the path."""


class LocalTransport:
    """Answers the SDK's requests with the verbs of one context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._root = f"/api/v1/projects/{context.project}/"

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        upload: BinaryIO | None = None,
        on_progress: OnProgress = silent,
    ) -> Any:
        """Return the answer's document; errors are rebuilt from theirs, as they would be behind a wire."""
        route, parts = self._match(method, path)
        try:
            return _plain(route(self._context, Request(parts, query or {}, body or {}, on_progress, upload)))
        except IntramuralError as error:
            raise from_document(error.document()) from error

    def _match(self, method: str, path: str) -> tuple[Route, list[str]]:
        steps = path.removeprefix(self._root).split("/")
        for (verb, template), route in ROUTES.items():
            wanted = template.split("/")
            if verb == method and len(wanted) == len(steps):
                pairs = list(zip(wanted, steps, strict=True))
                if all(want in ("*", step) for want, step in pairs):
                    return route, [unquote(step) for want, step in pairs if want == "*"]
        raise NotFound(f"There is no {method} {path}.", hint="Use the SDK's methods.")


def _plain(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_plain(each) for each in answer]
    return answer.document() if hasattr(answer, "document") else answer
