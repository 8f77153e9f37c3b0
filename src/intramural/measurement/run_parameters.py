"""
The parameters of a tracked run that are looked at, and what each is of a job record.

A tracker holds whatever people logged, prompts among it. Only what is named here is read, and of
that only numbers and short words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

GPUS = ("gpus", "num_gpus", "n_gpu", "gpu_count", "world_size")
NODES = ("num_nodes", "nnodes", "num_machines")
SEQUENCE = ("max_seq_length", "max_seq_len", "seq_length", "sequence_length", "max_length", "cutoff_len", "block_size")
SAMPLES = ("num_train_samples", "train_samples", "num_samples", "max_train_samples")
WORDS = (
    "job_type",
    "type",
    "task",
    "stage",
    "method",
    "trainer",
    "algorithm",
    "loss_type",
    "peft_type",
    "peft_method",
    "adapter",
)
FOUR_BIT = ("load_in_4bit", "use_qlora", "quantization", "quantization_bit")
LOW_RANK = ("use_lora", "use_peft", "lora_r", "lora_rank")
WHOLE = "finetuning_type"
CLASSES = ("queue", "partition", "qos", "priority", "job_class")

COLUMNS: dict[str, tuple[str, ...]] = {
    "gpus": GPUS,
    "nodes": NODES,
    "sequence_tokens": SEQUENCE,
    "dataset_samples": SAMPLES,
}
NAMES: frozenset[str] = frozenset({*GPUS, *NODES, *SEQUENCE, *SAMPLES, *WORDS, *FOUR_BIT, *LOW_RANK, WHOLE, *CLASSES})
"""Everything that is read."""

_NOTHING = frozenset({"none", "false", "0", "0.0", ""})
_WORD = re.compile(r"[\w.+-]{1,40}")


def figures(parameters: Mapping[str, Any]) -> dict[str, float]:
    """Return the columns of a job record that *parameters* tell."""
    told: dict[str, float] = {}
    for column, names in COLUMNS.items():
        numbers = (_number(parameters.get(name)) for name in names)
        first = next((each for each in numbers if each is not None), None)
        if first is not None:
            told[column] = first
    return told


def kind_words(parameters: Mapping[str, Any]) -> str:
    """Return what tells the type of the job in the words that the rules of job types look for."""
    words = [str(parameters[name]) for name in WORDS if parameters.get(name) is not None]
    if any(re.search(r"(?i)^true$|^4(\.0)?$|4[-_]?bit|nf4", str(parameters.get(name))) for name in FOUR_BIT):
        words.append("qlora")
    if any(str(parameters.get(name)).casefold() not in _NOTHING for name in LOW_RANK):
        words.append("lora")
    if parameters.get(WHOLE) is not None:
        words.append("full_ft" if parameters[WHOLE] == "full" else str(parameters[WHOLE]))
    return " ".join(word for word in words if _WORD.fullmatch(word))


def class_of(parameters: Mapping[str, Any]) -> str | None:
    """Return the queue or class, where one is named."""
    words = (str(parameters[name]) for name in CLASSES if parameters.get(name) is not None)
    return next((each for each in words if _WORD.fullmatch(each)), None)


def _number(given: Any) -> float | None:
    """Return a number that counts something; none for what is no number or not above zero."""
    try:
        number = float(given)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < 1e15 else None
