"""The choices that the questions of a profile offer, in the field's own words."""

from __future__ import annotations

from intramural.domain.answer_kinds import Choice
from intramural.domain.cause import Cause


def _choices(*each: tuple[str, str] | tuple[str, str, tuple[str, ...]]) -> tuple[Choice, ...]:
    return tuple(Choice(*one) for one in each)


JOB_TYPES = _choices(
    ("dev", "Dev/test", ("debug", "test", "dev_test")),
    ("sft_lora", "SFT (LoRA)", ("lora", "sft")),
    ("sft_qlora", "SFT (QLoRA)", ("qlora",)),
    ("preference", "Preference tuning", ("dpo", "rlhf", "orpo", "kto", "preference_tuning")),
    ("full", "Full fine-tune", ("full_fine_tune", "full_fine_tuning", "full_ft")),
    ("eval", "Batch evaluation", ("evaluation", "batch_eval", "evals")),
    ("online", "Online inference", ("inference", "serving", "online_inference")),
    ("other", "Other"),
)
JOB_CLASSES = _choices(
    ("dev", "Dev"), ("training", "Training", ("train",)), ("batch", "Batch"), ("online", "Online", ("serving", "inference"))
)
ORGANISATIONS = _choices(
    ("solo", "One person", ("1", "1_person", "one_person")),
    ("small_team", "Small ML team", ("small", "team")),
    ("enterprise", "Enterprise ML platform", ("platform", "large")),
)
RUNNERS = _choices(
    ("ml_engineer", "ML engineer", ("mle", "ml_engineers")),
    ("data_scientist", "Data scientist", ("ds", "data_scientists", "researcher")),
    ("data_engineer", "Data engineer", ("data_engineers",)),
    ("devops", "DevOps or platform", ("ops", "sre", "platform_engineer")),
)
SUCCESS = _choices(
    ("better_answers", "Better answers", ("quality", "accuracy")),
    ("style_control", "Style control", ("style", "tone")),
    ("compliance", "Compliance"),
    ("cost", "Cost"),
    ("latency", "Latency", ("speed",)),
)
PAINS = _choices(
    ("queue_time", "Queue time", ("queue", "queueing", "waiting")),
    ("out_of_memory", "Out of memory", ("oom",)),
    ("slow_storage", "Slow storage", ("storage", "disk", "io")),
    ("slow_network", "Slow networking", ("network", "networking", "slow_networking")),
    ("cost", "Cost", ("price", "budget")),
    ("failures", "Failed runs", ("crashes", "reliability")),
    ("lost_work", "Lost work, no resume", ("resume", "checkpoints", "checkpointing")),
    ("governance", "Governance and approvals", ("compliance", "security")),
    ("setup", "Setup and drivers", ("environment", "drivers", "dependencies")),
    ("evaluation", "Not knowing whether it got better", ("evals",)),
)
ARTIFACTS = _choices(
    ("adapter", "LoRA adapter", ("lora", "adapters", "lora_adapters", "lora_adapter")),
    ("merged_model", "Merged model", ("merged", "full_model")),
    ("eval_report", "Evaluation report", ("report", "reports", "eval_reports", "evaluation_report")),
    ("logs", "Logs"),
)
FRAMEWORKS = _choices(
    ("transformers", "Transformers", ("hf", "hugging_face")),
    ("accelerate", "Accelerate"),
    ("trl", "TRL"),
    ("peft", "PEFT"),
    ("deepspeed", "DeepSpeed"),
    ("fsdp", "FSDP"),
    ("vllm", "vLLM"),
    ("tgi", "TGI", ("text_generation_inference",)),
)
PRECISIONS = _choices(("fp16", "fp16"), ("bf16", "bf16"), ("fp8", "fp8"), ("fp32", "fp32"))
CONTAINERS = _choices(
    ("container", "Containers are fine", ("containers", "yes", "ok", "docker", "container_only")),
    ("vm", "A VM is required", ("vm_required", "virtual_machine")),
    ("bare_metal", "Bare metal", ("metal",)),
)
VM_REASONS = _choices(("security", "Security"), ("drivers", "Drivers"), ("policy", "Corporate policy", ("corporate_policy",)))
CONTENTS = _choices(
    ("ip", "Intellectual property", ("secrets", "trade_secrets")),
    ("pii", "Personal data (PII)", ("personal", "personal_data")),
    ("phi", "Health data (PHI)", ("health", "medical")),
    ("financial", "Financial data", ("finance", "banking")),
    ("public", "Public data only", ("none",)),
)
ISOLATION = _choices(
    ("dedicated_node", "A dedicated node", ("node", "dedicated")),
    ("dedicated_project", "A dedicated project or network", ("project", "network", "project_network")),
    ("shared", "Shared is fine", ("none",)),
)
STORING = _choices(
    ("no", "Never", ("none", "never")),
    ("redacted", "Redacted only", ("masked",)),
    ("encrypted", "Encrypted only"),
    ("yes", "Yes", ("allowed",)),
)
INGRESS = _choices(
    ("upload", "Upload"),
    ("s3", "S3", ("aws_s3",)),
    ("gcs", "GCS", ("google_cloud_storage",)),
    ("azure_blob", "Azure Blob", ("azure",)),
    ("shared_disk", "Shared disk (NFS, Lustre)", ("nfs", "lustre", "disk")),
    ("vpn", "VPN"),
    ("peering", "Peering", ("vpc_peering",)),
)
SPOT = _choices(
    ("no", "No", ("never",)),
    ("with_checkpoints", "Yes, when checkpoints resume", ("checkpoints", "resume")),
    ("dev_only", "For dev only", ("dev",)),
    ("yes", "Yes", ("always",)),
)
SLO = _choices(
    ("start_latency", "Start latency", ("start", "latency")),
    ("completion", "Completion reliability", ("reliability", "completion_reliability")),
    ("throughput", "Throughput", ("speed",)),
    ("durability", "Artifact durability", ("artifact_durability",)),
)
SUPPORT = _choices(
    ("slack", "Slack"),
    ("discord", "Discord"),
    ("email", "E-mail", ("mail",)),
    ("tickets", "Tickets", ("jira", "portal")),
    ("phone", "Phone"),
    ("none", "None needed", ("no",)),
)
LAUNCHERS = _choices(
    ("notebook", "Notebook", ("jupyter", "notebooks")),
    ("cli", "Command line", ("terminal", "shell")),
    ("ci", "CI", ("ci_cd", "pipeline")),
    ("mlops_tool", "MLOps tool", ("mlops", "airflow", "kubeflow")),
    ("api", "API or SDK", ("sdk",)),
)
TRACKERS = _choices(
    ("wandb", "W&B", ("weights_biases", "w_b")),
    ("mlflow", "MLflow"),
    ("dashboards", "Custom dashboards", ("custom", "grafana", "tensorboard")),
    ("none", "None", ("no",)),
)
REGISTRIES = _choices(
    ("hf_private", "Hugging Face, private", ("hf", "hugging_face", "huggingface")),
    ("internal", "Internal registry", ("internal_registry",)),
    ("s3", "S3"),
    ("gcs", "GCS"),
    ("artifact_store", "Artifact store", ("artifactory", "nexus")),
    ("none", "None", ("no",)),
)
AUTH = _choices(
    ("projects", "Orgs and projects", ("orgs", "orgs_projects")),
    ("rbac", "RBAC roles", ("roles",)),
    ("api_keys", "API keys", ("keys",)),
    ("sso", "SSO", ("saml", "oidc", "sso_later")),
)
_CAUSE_LABELS = {
    Cause.GPU_MEMORY: "Out of GPU memory",
    Cause.HOST_MEMORY: "Out of host memory",
    Cause.GPU_FAULT: "GPU fault",
    Cause.USER_CODE: "User code error",
}
CAUSES = tuple(
    Choice(
        each.value,
        _CAUSE_LABELS.get(each, each.value.replace("_", " ").capitalize()),
        {Cause.GPU_MEMORY: ("oom", "cuda_oom"), Cause.NETWORK: ("nccl",), Cause.USER_CODE: ("user_code", "code", "bug")}.get(
            each, ()
        ),
    )
    for each in Cause
)
