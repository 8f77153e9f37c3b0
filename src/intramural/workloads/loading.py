"""
From a staged model folder to a model with fresh adapters, quietly and without code of its own.

Weights are read from safetensors only, in the format the run computes in; adapters are fp32.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as transformers_logging

from intramural.domain.adapter_targets import check_targets
from intramural.domain.spec import LoraOptions, Precision
from intramural.errors import InvalidInput

DTYPES: dict[Precision, torch.dtype] = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16}
ADAPTER = "default"
ADAPTABLE = (torch.nn.Linear, torch.nn.Embedding, Conv1D)
"""Layers of a language model that PEFT puts low-rank adapters beside."""


class NoSuchLayer(InvalidInput):
    """The targets of the adapter name no layer of the base."""


def load_base(folder: Path, precision: Precision, device: torch.device) -> Any:
    """Return the causal language model of *folder*, frozen, in evaluation mode."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # PEFT still asks for an attribute that Transformers renamed; nothing a person reading the log could do.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=DTYPES[precision],
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    model.requires_grad_(False)
    return model.to(device).eval()


def add_adapter(model: Any, options: LoraOptions, seed: int, base_name: str) -> PeftModel:
    """
    Wrap *model* with fresh low-rank adapters, drawn from *seed*: the same at every start of the same job.

    Raises `NoSuchLayer`.
    """
    try:
        check_targets(options, [name for name, each in model.named_modules() if isinstance(each, ADAPTABLE)], base_name)
    except InvalidInput as error:
        raise NoSuchLayer(error.message, hint=error.hint) from None
    targets = options.targets if isinstance(options.targets, str) else list(options.targets)
    config = LoraConfig(
        r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=targets, task_type="CAUSAL_LM"
    )
    torch.manual_seed(seed)
    wrapped = get_peft_model(model, config, adapter_name=ADAPTER, autocast_adapter_dtype=True)
    # The staged path means nothing outside this run; the base model's name does.
    wrapped.peft_config[ADAPTER].base_model_name_or_path = base_name
    for parameter in wrapped.parameters():
        if parameter.requires_grad and parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()
    return wrapped


def adapter_parameters(wrapped: PeftModel) -> dict[str, Tensor]:
    """Return the trainable parameters by name, in a fixed order."""
    return {name: each for name, each in wrapped.named_parameters() if each.requires_grad}
