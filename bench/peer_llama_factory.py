"""
LLaMA-Factory on the same rows and adapter: one JSON line on standard output.

Runs in an environment of its own (`bench_train.py --llama-factory PYTHON`), because it pins other
versions. Its rate is the rows' tokens over its own training time, the first step included; the
caller compares it with our rate counted the same way.
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True)
parser.add_argument("--rows", required=True, type=Path)
parser.add_argument("--out", required=True, type=Path)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--dtype", choices=["fp32", "bf16"], required=True)
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--threads", type=int, required=True)
options = parser.parse_args()

import torch  # noqa: E402

torch.set_num_threads(options.threads)

from llamafactory.train.tuner import run_exp  # noqa: E402


def in_fp32(folder: Path, copy: Path) -> Path:
    """Return a copy of the model in fp32: LLaMA-Factory computes in the dtype of the files, and bf16 is slow here."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - after the threads are set

    if not copy.is_dir():
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).save_pretrained(copy)
        AutoTokenizer.from_pretrained(folder).save_pretrained(copy)
    return copy


data = options.out / "data"
data.mkdir(parents=True, exist_ok=True)
(data / "rows.jsonl").write_text(options.rows.read_text())
described = {
    "file_name": "rows.jsonl",
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}
(data / "dataset_info.json").write_text(json.dumps({"rows": described}))
run_exp(
    {
        "model_name_or_path": str(in_fp32(options.model, options.out / "fp32")) if options.dtype == "fp32" else options.model,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 16,
        "lora_alpha": 32,
        "lora_target": "all",
        "dataset": "rows",
        "dataset_dir": str(data),
        "template": "smollm2",
        "cutoff_len": 1024,
        "output_dir": str(options.out / "saved"),
        "overwrite_output_dir": True,
        "overwrite_cache": True,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": options.batch,
        "learning_rate": options.rate,
        "lr_scheduler_type": "cosine",
        "max_steps": options.steps,
        "bf16": options.dtype == "bf16",
        "use_cpu": not torch.cuda.is_available(),
        "disable_gradient_checkpointing": True,
        "report_to": "none",
        "logging_steps": 1,
        "save_steps": 100_000,
        "seed": 7,
        "disable_tqdm": True,
    }
)
state = json.loads((options.out / "saved" / "trainer_state.json").read_text())
summary = next(each for each in reversed(state["log_history"]) if "train_runtime" in each)
print(
    "RESULT "
    + json.dumps(
        {
            "train_seconds": summary["train_runtime"],
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "losses": [each["loss"] for each in state["log_history"] if "loss" in each],
        }
    )
)
