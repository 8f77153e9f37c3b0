"""Values for tests: valid by default, keywords for what matters."""

from datetime import UTC, datetime, timedelta

from intramural.domain.access import Action, AuditEntry, Decision
from intramural.domain.artifact import Artifact, ArtifactKind, Lineage
from intramural.domain.dataset import Classification, DatasetVersion, ExampleKind, Split
from intramural.domain.job import Job, Lease, Run
from intramural.domain.model import BaseModelVersion
from intramural.domain.spec import JobSpec
from intramural.domain.value import digest_of, digest_of_bytes

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def later(seconds):
    """The instant *seconds* after noon."""
    return NOON + timedelta(seconds=seconds)


def a_digest(of="bytes"):
    return digest_of_bytes(of.encode())


def a_spec(**fields):
    return JobSpec.model_validate({"name": "router", "base": "tiny", "data": "tickets", **fields})


def a_job(spec=None, **fields):
    spec = spec or a_spec()
    defaults = {
        "id": "job-1",
        "project": "default",
        "spec": spec,
        "spec_digest": digest_of(spec.document()),
        "base_digest": a_digest("base"),
        "dataset_label": "tickets@1",
        "dataset_digest": a_digest("tickets"),
        "submitted_by": "user:alice",
        "submitted_at": NOON,
    }
    return Job(**{**defaults, **fields})


def a_lease(**fields):
    return Lease(**{"holder": "one", "fence": 1, "expires_at": later(15), **fields})


def a_run(**fields):
    return Run(**{"id": "run-1", "job_id": "job-1", "attempt": 1, "lease": a_lease(), "started_at": NOON, **fields})


def a_model(**fields):
    defaults = {
        "name": "tiny",
        "digest": a_digest("base"),
        "source": "random",
        "architecture": "LlamaForCausalLM",
        "parameters": 100_000,
        "context_tokens": 1024,
        "weights_dtype": "bfloat16",
        "size_bytes": 200_000,
        "licence": "Apache-2.0",
        "chat_template": True,
        "added_at": NOON,
    }
    return BaseModelVersion(**{**defaults, **fields})


def a_dataset_version(**fields):
    defaults = {
        "name": "tickets",
        "version": 1,
        "digest": a_digest("tickets"),
        "kind": ExampleKind.CHAT,
        "classification": Classification.CONFIDENTIAL,
        "source_format": "chat",
        "train_digest": a_digest("train"),
        "holdout_digest": a_digest("holdout"),
        "train_examples": 90,
        "holdout_examples": 10,
        "size_bytes": 10_000,
        "rows_read": 100,
        "fault_count": 0,
        "duplicates": 0,
        "holdout_overlap": 0,
        "split": Split(),
        "added_at": NOON,
    }
    return DatasetVersion(**{**defaults, **fields})


def an_artifact(**fields):
    digests = ("base_digest", "dataset_digest", "spec_digest", "environment_digest")
    defaults = {
        "id": "art-1",
        "kind": ArtifactKind.ADAPTER,
        "job_id": "job-1",
        "run_id": "run-1",
        "job_name": "router",
        "digest": a_digest("adapter"),
        "size_bytes": 1000,
        "files": 2,
        "lineage": Lineage(**{each: a_digest(each) for each in digests}),
        "created_at": NOON,
    }
    return Artifact(**{**defaults, **fields})


def an_audit_entry(**fields):
    defaults = {"at": NOON, "project": "default", "subject": "user:alice", "target": "router"}
    return AuditEntry(**{**defaults, "action": Action.JOB_SUBMIT, "decision": Decision.ALLOWED, **fields})
