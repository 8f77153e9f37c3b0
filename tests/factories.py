"""Values for tests: valid by default, keywords for what matters."""

from datetime import UTC, datetime, timedelta

from intramural.domain.access import Action
from intramural.domain.artifact import Artifact, ArtifactKind, Lineage
from intramural.domain.audit import AuditEntry, Decision
from intramural.domain.dataset import Classification, DatasetVersion, ExampleKind, Split
from intramural.domain.job import Job, Lease, Run
from intramural.domain.model import BaseModelVersion
from intramural.domain.profile import Profile
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
        "train_sealed": a_digest("sealed train"),
        "holdout_sealed": a_digest("sealed holdout"),
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


def a_profile(**changes):
    """What a small team said, every question answered; `anatomy__success_rate="90%"` changes an answer, none removes it.

    Names without `__` are the profile's own: `name`, `respondent`, `window_days`.
    """
    return Profile.model_validate(_with_changes(_said(), changes))


def a_measured_profile(**changes):
    """What `sacct` alone has on record: nobody was asked."""
    return Profile.model_validate(_with_changes({"name": "Northwind Claims", "anatomy": _measured()}, changes))


def a_merged_profile(**changes):
    """What was said beside what was measured; success was said to be 95 % and measured 61 %."""
    document = _said()
    said = document["anatomy"]
    for name, answers in _measured().items():
        said[name] = {"asked": {"value": said[name]}, **answers}
    return Profile.model_validate(_with_changes(document, changes))


def _said():
    sections = {section: dict(answers) for section, answers in _ASKED.items()}
    return {"name": "Northwind Claims", "respondent": "ML platform lead", "interviewed": "2026-11-02", **sections}


def _with_changes(document, changes):
    for name, value in changes.items():
        section, _, field = name.partition("__")
        if not field:
            document[name] = value
        elif value is None:
            document.get(section, {}).pop(field, None)
        else:
            document[section] = {**document.get(section, {}), field: value}
    return document


def _measured(source="sacct"):
    window = {"days": 90, "first": "2026-08-04", "last": "2026-11-01"}
    about = {"confidence": "exact", "window": window, "source": source}
    return {name: {"measured": {"value": value, **about}} for name, value in _MEASURED.items()}


_ASKED = {
    "context": {
        "organisation": "small_team",
        "people": "12",
        "runs_jobs": ["ml_engineer", "devops"],
        "success": ["compliance", "better_answers", "cost"],
    },
    "anatomy": {
        "job_mix": {"sft_lora": "55%", "eval": "25%", "dev": "15%", "preference": "5%"},
        "model_sizes": {"7B": "80%", "70B": "20%"},
        "run_time": {
            "sft_lora": {"p50": "2 h", "p90": "5 h"},
            "eval": {"p50": "20 min", "p90": "1 h"},
            "dev": {"p50": "5 min", "p90": "30 min"},
        },
        "gpu_count": {"1": "60%", "8": "40%"},
        "gpu_vram": "80 GB",
        "multi_node": "~5%",
        "pains": ["queue_time", "out_of_memory", "cost"],
        "queue_time": {"dev": {"p50": "1 min", "p90": "10 min"}, "training": {"p50": "30 min", "p90": "2 h"}},
        "checkpoint_interval": "30 min",
        "checkpoint_size": "1-2 GB",
        "resume_rate": "~30%",
        "dataset_size": "40 GB",
        "dataset_tokens": "2.5B",
        "sequence_length": "4096",
        "samples": "13k samples",
        "artifacts": ["adapter", "eval_report"],
        "success_rate": "95%",
        "failure_causes": {"gpu_out_of_memory": "60%", "user_code_error": "40%"},
    },
    "stack": {
        "frameworks": ["transformers", "trl", "vllm"],
        "precision": ["bf16"],
        "qlora": "yes",
        "cuda": "12.4 or newer",
        "container": "vm",
        "vm_reason": ["security"],
        "internet": "yes",
        "domains": ["huggingface.co", "wandb.ai"],
    },
    "governance": {
        "contents": ["pii", "financial"],
        "region_lock": "yes",
        "regions": ["eu-central-1"],
        "isolation": "dedicated_node",
        "encryption": "yes",
        "customer_keys": "yes",
        "audit_logs": "yes",
        "audit_retention": "1 year",
        "data_retention": "90 days",
        "store_prompts": "no",
        "ingress": ["s3", "upload"],
        "egress": ["s3"],
    },
    "operations": {
        "start_dev": "5 min",
        "start_training": "1 h",
        "spot": "with_checkpoints",
        "spot_conditions": "only where runs resume",
        "slo": ["completion", "start_latency"],
        "support": ["slack"],
        "response_time": "4 h",
        "onboarding": "yes",
    },
    "workflow": {
        "launch": ["cli", "ci"],
        "tracking": ["mlflow"],
        "registry": ["hf_private", "s3"],
        "auth": ["rbac", "api_keys"],
        "sso_later": "yes",
    },
}
_MEASURED = {
    "job_mix": {"sft_lora": "38%", "dev": "34%", "eval": "22%", "preference": "6%"},
    "run_time": {
        "sft_lora": {"p50": "2.4 h", "p90": "11 h"},
        "eval": {"p50": "18 min", "p90": "50 min"},
        "dev": {"p50": "4 min", "p90": "25 min"},
        "preference": {"p50": "3 h", "p90": "7.5 h"},
    },
    "queue_time": {"dev": {"p50": "12 s", "p90": "3 min"}, "training": {"p50": "40 min", "p90": "5.5 h"}},
    "gpu_count": {"1": "52%", "8": "41%", "16": "7%"},
    "multi_node": "7%",
    "resume_rate": "4%",
    "success_rate": "61%",
    "failure_causes": {"user_code_error": "41%", "gpu_out_of_memory": "34%", "time_limit": "17%", "node_failure": "8%"},
}
