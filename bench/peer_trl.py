"""Plain TRL on the same rows, adapter and order, measured from inside: one JSON line on standard output."""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from pathlib import Path

BEGAN = time.time()

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True)
parser.add_argument("--rows", required=True, type=Path)
parser.add_argument("--out", required=True)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--way", choices=["one-by-one", "flat", "packing", "padded"], required=True)
parser.add_argument("--dtype", choices=["fp32", "bf16"], required=True)
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--warmup", type=float, default=0.05, help="share of the steps over which the rate rises")
parser.add_argument("--seed", type=int, default=7, help="of the adapters' first values; the rows come in their order")
options = parser.parse_args()

import torch  # noqa: E402
from datasets import Dataset, disable_progress_bars  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

disable_progress_bars()
torch.set_num_threads(options.threads)
set_seed(options.seed)  # TRL makes the adapters before it sets its own
rows = [json.loads(line)["messages"] for line in options.rows.read_text().splitlines()]
examples = Dataset.from_list([{"prompt": each[:-1], "completion": each[-1:]} for each in rows])
bf16 = options.dtype == "bf16"
model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.bfloat16 if bf16 else torch.float32)
whole, packed = options.batch, max(1, options.batch // 4)
batch, accumulate = {"one-by-one": (1, whole), "flat": (whole, 1), "packing": (1, packed), "padded": (whole, 1)}[options.way]
config = SFTConfig(
    options.out,
    per_device_train_batch_size=batch,
    gradient_accumulation_steps=accumulate,
    max_steps=options.steps,
    max_length=None if options.way == "flat" else 1024,
    padding_free=options.way == "flat",
    learning_rate=options.rate,
    lr_scheduler_type="cosine",
    warmup_steps=math.ceil(options.warmup * options.steps),
    packing=options.way == "packing",
    bf16=bf16,
    gradient_checkpointing=False,
    train_sampling_strategy="sequential",
    use_cpu=not torch.cuda.is_available(),
    report_to="none",
    logging_steps=1,
    save_strategy="no",
    seed=options.seed,
    disable_tqdm=True,
    dataloader_num_workers=0,
)
adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
steps: list[tuple[float, int]] = []
losses: list[float] = []
first: list[float] = []


class Meter(TrainerCallback):
    """Counts real tokens and seconds of each optimizer step."""

    tokens = 0

    def on_step_begin(self, *_args, **_kwargs):
        self.began = time.perf_counter()
        self.tokens = 0

    def on_step_end(self, *_args, **_kwargs):
        steps.append((time.perf_counter() - self.began, self.tokens))

    def on_log(self, _args, _state, _control, logs=None, **_kwargs):
        if logs and "loss" in logs:
            losses.append(logs["loss"])


meter = Meter()


class Trainer(SFTTrainer):
    """Counts what goes into the model."""

    def training_step(self, model, inputs, *args, **kwargs):
        if not first:
            first.append(time.time() - BEGAN)
        mask = inputs.get("attention_mask")
        meter.tokens += int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
        return super().training_step(model, inputs, *args, **kwargs)


trainer = Trainer(
    model=model,
    args=config,
    train_dataset=examples,
    processing_class=AutoTokenizer.from_pretrained(options.model),
    peft_config=adapter,
    callbacks=[meter],
)
trainer.train()
warm = steps[1:] or steps
print(
    "RESULT "
    + json.dumps(
        {
            "tokens_per_second": sum(tokens for _, tokens in warm) / sum(seconds for seconds, _ in warm),
            "tokens": sum(tokens for _, tokens in steps),
            "first_pass_seconds": first[0],
            "peak_memory_bytes": torch.cuda.max_memory_reserved()
            if torch.cuda.is_available()
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "losses": losses,
        }
    )
)
