"""
The SDK: one typed method per verb, over the paths the HTTP API has.

    with nothing started, `intramural.app.open.open_client()` gives one that works in process.

Paths of files and folders are those of the machine that answers; in process, that is this one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from intramural.client.transport import OnProgress, Transport, silent
from intramural.domain.approval import Approval, ApprovalRequest, ApprovalStanding, Approver
from intramural.domain.artifact import Artifact
from intramural.domain.audit import AuditCheck, AuditEntry, AuditFilter, AuditProof, Exported, Hold, Pruned
from intramural.domain.dataset import DatasetDifference, DatasetVersion
from intramural.domain.drill import DrillReceipt
from intramural.domain.evidence import EvidenceBundle
from intramural.domain.findings import ScanReport, ScanScore
from intramural.domain.job import Job
from intramural.domain.keys import KeysStatus, Rotation, ShredCertificate
from intramural.domain.lineage import LineageTree, Quarantine, QuarantineAnswer, Trace
from intramural.domain.measure_options import MeasureOptions
from intramural.domain.measurement import Measurement
from intramural.domain.model import BaseModelVersion
from intramural.domain.policy import StoredPolicy
from intramural.domain.removal import Removed, Swept
from intramural.domain.report import JobReport
from intramural.domain.spec import JobSpec
from intramural.domain.views import DatasetOptions, Explanation, JobEvent, JobLog, ModelSource, Resolution, Sample
from intramural.errors import TimedOut

DRILL_PAUSE_SECONDS = 0.2


class Client:
    """A project of the platform, as code sees it."""

    def __init__(self, transport: Transport, project: str = "default") -> None:
        self._transport = transport
        self._root = f"/api/v1/projects/{quote(project)}"

    def add_model(self, name: str, source: ModelSource, on_progress: OnProgress = silent) -> BaseModelVersion:
        """Check a model and store it by digest under *name*."""
        body = {"name": name, "source": source.document()}
        return BaseModelVersion.model_validate(self._call("POST", "/models", body=body, on_progress=on_progress))

    def list_models(self) -> list[BaseModelVersion]:
        """Return every base model, oldest first."""
        return [BaseModelVersion.model_validate(each) for each in self._call("GET", "/models")]

    def show_model(self, name: str) -> BaseModelVersion:
        """Return one base model."""
        return BaseModelVersion.model_validate(self._call("GET", f"/models/{_part(name)}"))

    def remove_model(self, name: str) -> None:
        """Forget a base model."""
        self._call("DELETE", f"/models/{_part(name)}")

    def add_dataset(
        self,
        sources: Path | Sequence[str | Path],
        name: str,
        options: DatasetOptions | None = None,
        on_progress: OnProgress = silent,
        upload: BinaryIO | None = None,
    ) -> DatasetVersion:
        """Validate files and store them as a version of *name*; `-` among them stands for *upload*."""
        body = {"sources": _names(sources), "name": name, "options": (options or DatasetOptions()).document()}
        found = self._call("POST", "/datasets", body=body, on_progress=on_progress, upload=upload)
        return DatasetVersion.model_validate(found)

    def list_datasets(self) -> list[DatasetVersion]:
        """Return every version of every data set."""
        return [DatasetVersion.model_validate(each) for each in self._call("GET", "/datasets")]

    def show_dataset(self, label: str) -> DatasetVersion:
        """Return `name@version`, or the newest of `name`."""
        return DatasetVersion.model_validate(self._call("GET", f"/datasets/{_part(label)}"))

    def diff_datasets(self, left: str, right: str) -> DatasetDifference:
        """Count what changed between two versions."""
        found = self._call("GET", f"/datasets/{_part(left)}/difference", query={"to": right})
        return DatasetDifference.model_validate(found)

    def sample_dataset(self, label: str, count: int = 3, side: str = "train") -> Sample:
        """Return examples in clear; recorded as an act."""
        return Sample.model_validate(
            self._call("POST", f"/datasets/{_part(label)}/sample", body={"count": count, "side": side})
        )

    def scan_dataset(
        self,
        sources: str | Path | Sequence[str | Path],
        options: DatasetOptions | None = None,
        on_progress: OnProgress = silent,
        upload: BinaryIO | None = None,
    ) -> ScanReport:
        """Look for findings in files or a version; store nothing; recorded as an act."""
        body = {"sources": _names(sources), "options": (options or DatasetOptions()).document()}
        return ScanReport.model_validate(self._call("POST", "/scans", body=body, on_progress=on_progress, upload=upload))

    def score_scan(self, sample: Path, options: DatasetOptions | None = None, on_progress: OnProgress = silent) -> ScanScore:
        """Return the scan's precision and recall on a labelled sample; recorded as an act."""
        body = {"sample": str(sample), "options": (options or DatasetOptions()).document()}
        return ScanScore.model_validate(self._call("POST", "/scans/score", body=body, on_progress=on_progress))

    def redact_dataset(
        self, label: str, options: DatasetOptions | None = None, on_progress: OnProgress = silent
    ) -> DatasetVersion:
        """Redact a version into a new one by `on` and `deny` of *options*; recorded as an act."""
        body = {"options": (options or DatasetOptions()).document()}
        found = self._call("POST", f"/datasets/{_part(label)}/redact", body=body, on_progress=on_progress)
        return DatasetVersion.model_validate(found)

    def shred_dataset(self, name: str) -> ShredCertificate:
        """Destroy the keys of every version of a data set; return the certificate. Cannot be taken back."""
        return ShredCertificate.model_validate(self._call("POST", f"/datasets/{_part(name)}/shred"))

    def remove_dataset(self, label: str) -> Removed:
        """Forget one version (`name@version`) that no job names, and remove its files; a shredding proves more."""
        return Removed.model_validate(self._call("DELETE", f"/datasets/{_part(label)}"))

    def list_certificates(self, name: str) -> list[ShredCertificate]:
        """Return the certificates of a shredded data set, oldest first."""
        return [ShredCertificate.model_validate(each) for each in self._call("GET", f"/datasets/{_part(name)}/certificates")]

    def keys_status(self) -> KeysStatus:
        """Return who holds the customer's key, and how many keys it wraps."""
        return KeysStatus.model_validate(self._call("GET", "/keys"))

    def sweep_home(self, *, dry_run: bool = False) -> Swept:
        """Remove what killed processes left that no row names; with *dry_run* only tell of it."""
        return Swept.model_validate(self._call("POST", "/sweep", body={"dry_run": dry_run}))

    def rotate_keys(self) -> Rotation:
        """Make a new version of the customer's key and wrap every scope key with it."""
        return Rotation.model_validate(self._call("POST", "/keys/rotate"))

    def resolve_job(self, spec: JobSpec) -> Resolution:
        """Tell what submitting *spec* would use; change nothing."""
        return Resolution.model_validate(self._call("POST", "/jobs/resolve", body=spec.document()))

    def submit_job(self, spec: JobSpec) -> Job:
        """Queue a job."""
        return Job.model_validate(self._call("POST", "/jobs", body=spec.document()))

    def list_jobs(self) -> list[Job]:
        """Return jobs, newest first."""
        return [Job.model_validate(each) for each in self._call("GET", "/jobs")]

    def show_job(self, ref: str) -> JobReport:
        """Return a job's whole document; *ref* is an id, its beginning, or a name (the newest)."""
        return JobReport.model_validate(self._call("GET", f"/jobs/{_part(ref)}"))

    def remove_job(self, ref: str) -> Removed:
        """Forget a job that ended, its runs and its artifacts; the key of what it left is destroyed."""
        return Removed.model_validate(self._call("DELETE", f"/jobs/{_part(ref)}"))

    def explain_job(self, ref: str) -> Explanation:
        """Tell why a job stands where it stands."""
        return Explanation.model_validate(self._call("GET", f"/jobs/{_part(ref)}/explanation"))

    def job_events(self, ref: str, *, after: int = 0, limit: int = 1000) -> list[JobEvent]:
        """Return events after the place *after*, over all attempts."""
        found = self._call("GET", f"/jobs/{_part(ref)}/events", query={"after": after, "limit": limit})
        return [JobEvent.model_validate(each) for each in found]

    def job_log(self, ref: str, *, offset: int = 0) -> JobLog:
        """Return the next piece of the log."""
        return JobLog.model_validate(self._call("GET", f"/jobs/{_part(ref)}/log", query={"offset": offset}))

    def cancel_job(self, ref: str) -> Job:
        """Ask for a job's end."""
        return Job.model_validate(self._call("POST", f"/jobs/{_part(ref)}/cancel"))

    def pause_job(self, ref: str) -> Job:
        """Ask for a checkpoint and a rest."""
        return Job.model_validate(self._call("POST", f"/jobs/{_part(ref)}/pause"))

    def resume_job(self, ref: str, *, accept_drift: bool = False) -> Job:
        """Queue a job again from its newest verified checkpoint."""
        return Job.model_validate(self._call("POST", f"/jobs/{_part(ref)}/resume", body={"accept_drift": accept_drift}))

    def drill_job(self, ref: str, *, timeout_seconds: float = 3600) -> DrillReceipt:
        """Kill a running job's process, wait until it caught up, and return whether it continued exactly. Raises `TimedOut`."""
        until = time.monotonic() + timeout_seconds
        path = f"/jobs/{_part(ref)}/drill"
        answer = self._call("POST", path)
        while answer is None or not answer["complete"]:
            if time.monotonic() > until:
                raise TimedOut(
                    f"The drill of {ref} did not end within {timeout_seconds:.0f} s.",
                    hint="`intramural why` tells where it is.",
                )
            time.sleep(DRILL_PAUSE_SECONDS)
            answer = self._call("POST", path) if answer is None else self._call("GET", path)
        return DrillReceipt.model_validate(answer["receipt"])

    def show_policy(self, digest: str | None = None) -> StoredPolicy:
        """Return the policy that holds, or one that a job froze, by the beginning of its digest."""
        found = self._call("GET", f"/policy/{_part(digest)}") if digest else self._call("GET", "/policy")
        return StoredPolicy.model_validate(found)

    def set_policy(self, text: str, *, where: str = "policy.yaml", dry_run: bool = False) -> StoredPolicy:
        """Make what the text of a policy.yaml describes the project's policy; with *dry_run* only read it."""
        body = {"text": text, "where": where, "dry_run": dry_run}
        return StoredPolicy.model_validate(self._call("PUT", "/policy", body=body))

    def show_lineage(self, ref: str) -> LineageTree:
        """Return what an object was made of and what was made of it; `KIND:NAME` where several have the name."""
        return LineageTree.model_validate(self._call("GET", f"/lineage/{_part(ref)}"))

    def trace_rows(self, path: Path, options: DatasetOptions | None = None, on_progress: OnProgress = silent) -> Trace:
        """Tell which versions hold the rows of a file, and what was trained or measured on them; recorded as an act."""
        body = {"path": str(path), "options": (options or DatasetOptions()).document()}
        return Trace.model_validate(self._call("POST", "/traces", body=body, on_progress=on_progress))

    def list_quarantined(self) -> list[Quarantine]:
        """Return everything in quarantine, oldest first."""
        return [Quarantine.model_validate(each) for each in self._call("GET", "/quarantine")]

    def quarantine_object(self, ref: str, reason: str, *, downstream: bool = False) -> QuarantineAnswer:
        """Keep an object, with *downstream* what was made of it too, from being used or leaving."""
        body = {"ref": ref, "reason": reason, "downstream": downstream}
        return QuarantineAnswer.model_validate(self._call("POST", "/quarantine", body=body))

    def release_object(self, ref: str, *, downstream: bool = False) -> QuarantineAnswer:
        """End an object's quarantine."""
        body = {"ref": ref, "downstream": downstream}
        return QuarantineAnswer.model_validate(self._call("POST", "/quarantine/release", body=body))

    def request_approval(self, ref: str) -> ApprovalRequest:
        """Return what an approver signs, of a job that waits or ended, or of an artifact."""
        return ApprovalRequest.model_validate(self._call("POST", "/approvals/requests", body={"ref": ref}))

    def add_approval(self, request: str, signature: str) -> Approval:
        """Keep a person's yes: the request's exact text, and what `ssh-keygen -Y sign` made of it."""
        return Approval.model_validate(self._call("POST", "/approvals", body={"request": request, "signature": signature}))

    def list_approvals(self, job: str | None = None) -> list[ApprovalStanding]:
        """Return the approvals of a job and what it made, or all, each with whether it counts now."""
        found = self._call("GET", "/approvals", query={"job": job} if job else None)
        return [ApprovalStanding.model_validate(each) for each in found]

    def withdraw_approval(self, ref: str) -> Approval:
        """Make an approval count no more, by the beginning of its id."""
        return Approval.model_validate(self._call("POST", f"/approvals/{_part(ref)}/withdraw"))

    def list_approvers(self) -> list[Approver]:
        """Return who may approve, with their keys."""
        return [Approver.model_validate(each) for each in self._call("GET", "/approvers")]

    def export_evidence(self, ref: str, folder: Path) -> EvidenceBundle:
        """Write the signed evidence of a job that ended to a new or empty folder."""
        return EvidenceBundle.model_validate(self._call("POST", f"/jobs/{_part(ref)}/evidence", body={"folder": str(folder)}))

    def list_artifacts(self, job: str | None = None) -> list[Artifact]:
        """Return the artifacts of a job, or of all."""
        return [Artifact.model_validate(each) for each in self._call("GET", "/artifacts", query={"job": job} if job else None)]

    def show_artifact(self, ref: str) -> Artifact:
        """Return one artifact by id or digest, or the unique beginning of either."""
        return Artifact.model_validate(self._call("GET", f"/artifacts/{_part(ref)}"))

    def remove_artifact(self, ref: str) -> Removed:
        """Forget an artifact of a job that ended and remove its files."""
        return Removed.model_validate(self._call("DELETE", f"/artifacts/{_part(ref)}"))

    def export_artifact(self, ref: str, folder: Path) -> Artifact:
        """Copy an artifact's files to a new or empty folder."""
        return Artifact.model_validate(self._call("POST", f"/artifacts/{_part(ref)}/export", body={"folder": str(folder)}))

    def verify_artifact(self, ref: str) -> Artifact:
        """Read an artifact whole and compare with its digests. Raises `IntegrityFailure`."""
        return Artifact.model_validate(self._call("POST", f"/artifacts/{_part(ref)}/verify"))

    def measure_jobs(self, options: MeasureOptions | None = None, on_progress: OnProgress = silent) -> Measurement:
        """Compute the interview's numbers from records of jobs, by default the platform's own."""
        body = (options or MeasureOptions()).document()
        return Measurement.model_validate(self._call("POST", "/measurements", body=body, on_progress=on_progress))

    def list_audit(self, limit: int = 20) -> list[AuditEntry]:
        """Return the newest audit entries, the newest last."""
        return [AuditEntry.model_validate(each) for each in self._call("GET", "/audit", query={"limit": limit})]

    def search_audit(self, wanted: AuditFilter) -> list[AuditEntry]:
        """Return the newest audit entries that match, the newest last."""
        return [AuditEntry.model_validate(each) for each in self._call("POST", "/audit/search", body=wanted.document())]

    def verify_audit(self, *, accept: bool = False) -> AuditCheck:
        """Check the whole trail; *accept* answers for what was not signed. Raises `IntegrityFailure`."""
        return AuditCheck.model_validate(self._call("POST", "/audit/verify", body={"accept": accept}))

    def prove_audit(self, seq: int) -> AuditProof:
        """Return the proof that one entry is in the signed trail."""
        return AuditProof.model_validate(self._call("GET", f"/audit/proofs/{seq}"))

    def export_audit(self, file: Path, form: str = "ocsf", after: int = 0) -> Exported:
        """Write the entries after *after* to a file, as `ocsf`, `cef` or `syslog`."""
        body = {"file": str(file), "form": form, "after": after}
        return Exported.model_validate(self._call("POST", "/audit/exports", body=body))

    def list_holds(self) -> list[Hold]:
        """Return the legal holds that stand."""
        return [Hold.model_validate(each) for each in self._call("GET", "/audit/holds")]

    def hold_audit(self, name: str, subject: str | None = None, target: str | None = None) -> Hold:
        """Stop the pruning of everybody's bodies, or of those of a subject or an object."""
        body = {"name": name, "subject": subject, "target": target}
        return Hold.model_validate(self._call("POST", "/audit/holds", body=body))

    def release_audit(self, name: str) -> Hold:
        """End a legal hold."""
        return Hold.model_validate(self._call("DELETE", f"/audit/holds/{_part(name)}"))

    def prune_audit(self, *, dry_run: bool = False) -> Pruned:
        """Take away bodies whose retention is over; their proof stays."""
        return Pruned.model_validate(self._call("POST", "/audit/prune", body={"dry_run": dry_run}))

    def _call(self, method: str, path: str, **rest: Any) -> Any:
        return self._transport.request(method, self._root + path, **rest)


def _names(sources: str | Path | Sequence[str | Path]) -> list[str]:
    return [str(each) for each in ([sources] if isinstance(sources, str | Path) else sources)]


def _part(name: str) -> str:
    """Write a name as one part of a path: names hold slashes."""
    return quote(name, safe="")
