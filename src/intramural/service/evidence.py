"""Evidence: one signed bundle of everything the platform knows of a job, written for somebody outside."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import intramural
from intramural.domain.access import Action
from intramural.domain.attestation import Provenance, Resource, envelope, signed_bytes, statement
from intramural.domain.evidence import (
    BOM_FILE,
    ENVELOPE_FILE,
    KEY_FILE,
    PAGE_FILE,
    TRAIL_KEY_FILE,
    EvidenceBundle,
    Part,
)
from intramural.domain.job import Job
from intramural.domain.report import JobReport
from intramural.domain.value import digest_of_bytes
from intramural.errors import Conflict, Unavailable
from intramural.service.context import Context
from intramural.service.evidence_parts import artifact_files, evidence_parts, proofs
from intramural.service.jobs import find_job
from intramural.service.places import check_new_folder
from intramural.service.reports import build_report
from intramural.vault import disk_errors


def export_evidence(ctx: Context, ref: str, folder: Path) -> EvidenceBundle:
    """
    Write the evidence of a job that came to rest to a new or empty folder; an act that is recorded, and in the bundle.

    Raises `Conflict` while it runs, `InvalidInput` for a folder with something in it, `Unavailable` without the signing key.
    """
    if ctx.audit_key is None or ctx.audit_key.public() is None:
        raise Unavailable("The signing key is away, so nothing can be signed.", hint="Restore keys/audit.key from a backup.")
    check_new_folder(folder)
    with ctx.act(Action.EVIDENCE_EXPORT, target=ref) as tx:
        job = find_job(ctx, tx, ref)
        if job.ended_at is None:
            raise Conflict(
                f"{job.spec.name} is {job.state}; evidence is of work that ended.", hint="Wait for it, or cancel it."
            )
        tx.concerns["target"] = job.id
    with ctx.read() as tx:
        report = build_report(ctx, tx, job)
        parts = evidence_parts(ctx, tx, job, report)
    parts[Part.AUDIT] = proofs(ctx, job, report)
    return _write(ctx, job, report, parts, folder)


def _write(ctx: Context, job: Job, report: JobReport, parts: dict[Part, Any], folder: Path) -> EvidenceBundle:
    """Write everything beside the folder, then put it in place: whole, or not there."""
    from intramural.pages.evidence_page import evidence_html  # noqa: PLC0415 - templates, for this verb alone
    from intramural.service.evidence_bom import bill_of_materials  # noqa: PLC0415 - as above

    key = ctx.audit_key
    public = key.public() if key is not None else None
    assert key is not None  # noqa: S101 - the caller saw to it
    assert public is not None  # noqa: S101 - as above
    made = artifact_files(ctx, report)
    contents: dict[str, bytes] = {f"{part}.json": _json(document) for part, document in parts.items()}
    contents[BOM_FILE] = _json(bill_of_materials(report, made, at=ctx.now()))
    contents[KEY_FILE] = public.pem()
    contents[TRAIL_KEY_FILE] = f"{public.line()}\n".encode()
    contents[PAGE_FILE] = evidence_html(report, parts, key=public.line(), at=ctx.now()).encode()
    digests = {name: digest_of_bytes(content) for name, content in contents.items()}
    subjects = made + [Resource(name=f"evidence/{name}", digest=digest) for name, digest in digests.items()]
    payload = statement(subjects, _provenance(ctx, job, report, public.name))
    contents[ENVELOPE_FILE] = _json(envelope(payload, public.name, key.signature(signed_bytes(payload))))
    with disk_errors(str(folder)):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, content in contents.items():
                (beside / name).write_bytes(content)
            if folder.exists():
                folder.rmdir()
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return EvidenceBundle(
        folder=str(folder),
        job_id=job.id,
        name=job.spec.name,
        files=digests,
        subjects=len(subjects),
        audit_entries=len(parts[Part.AUDIT]["entries"]),
        key=public.line(),
    )


def _provenance(ctx: Context, job: Job, report: JobReport, builder: str) -> Provenance:
    base, data = report.base, report.data
    manifest = "the manifest of its files: canonical JSON"
    materials = [
        Resource(name=f"base model {base.name if base else job.spec.base}", digest=job.base_digest, of=manifest),
        Resource(name=f"data set {job.dataset_label}", digest=job.dataset_digest, of=manifest),
    ]
    if base is not None and ctx.vault.has(base.digest):
        files = ctx.vault.tree(base.digest).files
        materials += [Resource(name=f"base model file {name}", digest=each.digest) for name, each in files.items()]
    if data is not None:
        rows = "the rows in clear; the platform keeps them sealed"
        materials.append(Resource(name=f"training rows of {data.label}", digest=data.train_digest, of=rows))
        materials.append(Resource(name=f"hold-out rows of {data.label}", digest=data.holdout_digest, of=rows))
    materials += [
        Resource(name=name, uri=package_address(name, number))
        for name, number in report.environment.items()
        if name in LIBRARIES
    ]
    return Provenance(
        asked={"spec": job.spec.document(), "base": job.spec.base, "data": job.dataset_label},
        resolved={"settings": report.settings, "environment": report.environment, "policy": job.policy_digest},
        materials=tuple(materials),
        builder=f"urn:intramural:home:{builder}",
        version=intramural.__version__,
        invocation=job.id,
        started_at=report.started_at,
        ended_at=report.ended_at,
    )


def package_address(name: str, version: str) -> str:
    """Return the package URL of a library."""
    return f"pkg:pypi/{name}@{quote(version, safe='')}"


LIBRARIES = frozenset({"torch", "transformers", "peft", "tokenizers", "safetensors", "numpy"})
"""The packages among what a run's environment names; the rest of it is the machine."""


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
