"""
What a run leaves, as bytes in memory: an adapter in PEFT's format, a merged model in Transformers'.

The libraries' own `save_pretrained` writes to a disk, where these bytes must not be before
they are sealed; so the same files are made here, one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save
from transformers.core_model_loading import revert_weight_conversion
from transformers.modeling_utils import remove_tied_weights_from_state_dict

from intramural.workloads.loading import ADAPTER

FORMAT = {"format": "pt"}
SHARD_BYTES = 4 << 30
"""A shard is in memory twice while it is sealed."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")

Named = tuple[str, bytes]


def adapter_files(wrapped: PeftModel) -> Iterator[Named]:
    """Yield the adapter as PEFT safetensors: its weights and its configuration."""
    weights = get_peft_model_state_dict(wrapped, adapter_name=ADAPTER, save_embedding_layers=False)
    yield "adapter_model.safetensors", save({name: each.contiguous() for name, each in weights.items()}, metadata=FORMAT)
    config = {**wrapped.peft_config[ADAPTER].to_dict(), "inference_mode": True}
    plain = {name: sorted(each) if isinstance(each, set) else each for name, each in config.items()}
    yield "adapter_config.json", json.dumps(plain, indent=2, sort_keys=True).encode()


def merged_files(wrapped: PeftModel, model_folder: Path, dtype: torch.dtype) -> Iterator[Named]:
    """Yield base and adapter as one Transformers folder with the tokenizer; *wrapped* is used up."""
    merged: Any = wrapped.merge_and_unload(safe_merge=True)
    merged.to(dtype)
    merged.config.dtype = str(dtype).partition(".")[2]
    merged.config.architectures = [type(merged).__name__]
    yield "config.json", merged.config.to_json_string(use_diff=True).encode()
    yield "generation_config.json", merged.generation_config.to_json_string(use_diff=True).encode()
    yield from _weights(merged)
    for name in TOKENIZER_FILES:
        if (model_folder / name).is_file():
            yield name, (model_folder / name).read_bytes()


def _weights(merged: Any) -> Iterator[Named]:
    state = remove_tied_weights_from_state_dict(merged.state_dict(), merged)
    state = revert_weight_conversion(merged, state)
    split = split_torch_state_dict_into_shards(state, filename_pattern="model{suffix}.safetensors", max_shard_size=SHARD_BYTES)
    for name, tensors in split.filename_to_tensors.items():
        yield name, save({each: state[each].contiguous() for each in tensors}, metadata=FORMAT)
    if split.is_sharded:
        index = {"metadata": {"total_parameters": merged.num_parameters(), **split.metadata}}
        index["weight_map"] = split.tensor_to_filename
        yield "model.safetensors.index.json", (json.dumps(index, indent=2, sort_keys=True) + "\n").encode()
