"""An interview from the first question to the page: asked, measured, both; the real command, real records, real PDFs."""

import json
import re
from pathlib import Path

import pytest

from intramural.domain.profile import FIELDS, Profile, applies, field_of
from intramural.interview import profile_file
from intramural.interview.guide import guide

TRACES = Path(__file__).parents[3] / "shared" / "data" / "traces"

ANSWERS = {
    "context.organisation": "enterprise",
    "context.people": "12",
    "context.runs_jobs": "ml_engineer, devops",
    "context.success": "better_answers > compliance > cost",
    "anatomy.job_mix": "eval 60%; sft_lora 30%; dev 10%",
    "anatomy.model_sizes": "7B 80%; 70B 20%",
    "anatomy.run_time": "eval 2 min / 20 min; sft_lora 3 min / 19 min; dev 2 min / 15 min",
    "anatomy.gpu_count": "1/2/4/8",
    "anatomy.gpu_vram": "80 GB",
    "anatomy.multi_node": "1 %",
    "anatomy.pains": "queue_time > out_of_memory > cost",
    "anatomy.queue_time": "training 1 s / 5 min",
    "anatomy.checkpoint_interval": "30-60 min",
    "anatomy.checkpoint_size": "1.5 GB",
    "anatomy.resume_rate": "don't know",
    "anatomy.dataset_size": "~40 GB",
    "anatomy.dataset_tokens": "2.5B",
    "anatomy.sequence_length": "4096",
    "anatomy.samples": "13k samples",
    "anatomy.artifacts": "adapter, eval_report",
    "anatomy.success_rate": "95%",
    "anatomy.failure_causes": "gpu_out_of_memory 60%; time_limit 40%",
    "stack.frameworks": "transformers, trl, vllm",
    "stack.precision": "bf16",
    "stack.qlora": "yes",
    "stack.cuda": "whatever works",
    "stack.container": "vm",
    "stack.vm_reason": "security",
    "stack.internet": "yes",
    "stack.domains": "huggingface.co, api.wandb.ai",
    "governance.contents": "pii, ip",
    "governance.region_lock": "yes",
    "governance.regions": "eu-central-1",
    "governance.isolation": "dedicated_node",
    "governance.encryption": "yes",
    "governance.customer_keys": "yes",
    "governance.audit_logs": "yes",
    "governance.audit_retention": "2 years",
    "governance.data_retention": "180 days",
    "governance.store_prompts": "no",
    "governance.ingress": "s3, vpn",
    "governance.egress": "s3",
    "operations.start_dev": "1 min",
    "operations.start_training": "30 min",
    "operations.spot": "with_checkpoints",
    "operations.spot_conditions": "at night",
    "operations.slo": "completion > start_latency",
    "operations.support": "slack",
    "operations.response_time": "4h",
    "operations.onboarding": "yes",
    "workflow.launch": "cli, ci",
    "workflow.tracking": "mlflow",
    "workflow.registry": "s3, internal",
    "workflow.auth": "rbac, api_keys",
    "workflow.sso_later": "yes",
}


@pytest.fixture
def call(platform):
    """Return the command line in a folder and a home of its own; it returns what was printed."""
    return lambda *words: platform.call(*words).stdout


def asked(call, path="profile.yaml"):
    settings = [part for key, answer in ANSWERS.items() for part in ("--set", f"{key}={answer}")]
    call("interview", path, *settings, "--json")


def pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes()))


def test_every_line_of_the_guide_is_answered_and_printed_on_one_page(call, platform):
    asked(call)

    profile = profile_file.load(platform.folder / "profile.yaml")
    claimed = {line for path in ANSWERS for line in field_of(path).guide}
    assert set(guide().to_answer()) <= claimed
    open_ones = [each.path for each in FIELDS if applies(profile, each) and profile.answers(each.path).asked is None]
    assert open_ones == []

    for paper in ("a4", "letter"):
        call("report", "--paper", paper, "-o", f"{paper}.pdf")
        assert pages(platform.folder / f"{paper}.pdf") == 1
    call("report", "-o", "page.html")
    assert re.findall(r"(?:src|href)=[\"'](?!data:|#)", (platform.folder / "page.html").read_text()) == []
    printed = call("report", "--format", "terminal")
    for expected in ("Batch evaluation", "60 %", "80 GB", "30 min\N{EN DASH}1 h", "eu-central-1", "MLflow", "Queue time"):
        assert expected in printed
    numbers = json.loads(call("report", "hard-numbers", "--json"))
    assert {"dataset_size_gb", "tokens_estimate", "seq_len", "gpu_count", "gpu_vram_needed", "success_rate"} <= set(numbers)


@pytest.mark.skipif(not TRACES.is_dir(), reason="../shared/data/traces is not here")
def test_records_alone_make_a_page_and_beside_the_answers_they_contradict(call, platform):
    sacct = TRACES / "sacct" / "acme_like_sacct_P.txt.gz"

    call("measure", sacct, "--into", "measured.yaml")
    alone = call("report", "--profile", "measured.yaml")
    assert "49.4 %" in alone
    assert "not asked" in alone

    asked(call, "both.yaml")
    before = profile_file.load(platform.folder / "both.yaml")
    call("measure", sacct, "--into", "both.yaml")
    both = profile_file.load(platform.folder / "both.yaml")
    assert said(both) == said(before)
    merged = call("report", "--profile", "both.yaml")
    assert "said 95 %, measured 49.4 %" in merged
    call("report", "--profile", "both.yaml", "-o", "both.pdf")
    assert pages(platform.folder / "both.pdf") == 1


def said(profile: Profile):
    return {each.path: profile.answers(each.path).asked for each in FIELDS}
