"""Small random models of many classes with adapters that say something, and what they compute example by example."""

import random
import warnings
from functools import partial

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import (
    Gemma2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.auto import AutoModelForCausalLM

from intramural.workloads.passes import TokenExample

VOCABULARY = 97
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024, "bos_token_id": 0, "eos_token_id": None, "pad_token_id": None,
    "initializer_range": 0.3,
}  # fmt: skip
CONFIGS = {
    "llama": lambda: LlamaConfig(**SIZES),
    "llama with biases": lambda: LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "qwen2": lambda: Qwen2Config(**SIZES),
    "mistral": lambda: MistralConfig(**SIZES, sliding_window=None, head_dim=16),
    "mistral with a window": lambda: MistralConfig(**SIZES, sliding_window=8),
    "llama with dynamic positions": lambda: LlamaConfig(
        **SIZES, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    ),
    "qwen3": lambda: Qwen3Config(**SIZES, head_dim=16),
    "gpt_neox": lambda: GPTNeoXConfig(**{k: v for k, v in SIZES.items() if k != "num_key_value_heads"}),
    "gemma2 with a soft cap": lambda: Gemma2Config(**SIZES, head_dim=16, final_logit_softcapping=5.0),
    "phi with a bias on its head": lambda: PhiConfig(**SIZES),
}


def random_model(kind, dtype=torch.float64):
    """Make the model of *kind*, frozen, in evaluation mode."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[kind]()).to(dtype).eval()
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # they begin as zeros, which would hide a bias that is forgotten
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=dtype) * 0.3)
    for module in model.modules():
        if dtype == torch.float64 and hasattr(module, "variance_epsilon"):
            module.forward = partial(rms_norm, module)
    return model.requires_grad_(False)


def rms_norm(module, x):
    """Transformers' norm in full: its own rounds to fp32 even where the model is finer, which would hide small mistakes."""
    return module.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + module.variance_epsilon)


def adapted(model, targets="all-linear", dropout=0.0):
    """Put adapters into *model* whose B is not zero; return the model with them and the trainable parameters."""
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules=targets, task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        wrapped = get_peft_model(model, config, autocast_adapter_dtype=False).eval()
    generator = torch.Generator().manual_seed(2)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.1)
    return wrapped.base_model.model, [each for each in wrapped.parameters() if each.requires_grad]


def examples(count=7, shared=9, longest=70, seed=3):
    """Examples that share a prefix, of many lengths, with an answer at their end."""
    rng = random.Random(seed)  # noqa: S311 - the same ones every time
    prefix = [rng.randrange(VOCABULARY) for _ in range(shared)]
    made = []
    for n in range(count):
        own = [rng.randrange(VOCABULARY) for _ in range(rng.randrange(2, longest))]
        answers = rng.randrange(1, len(own) + 1) if n else 1
        made.append(TokenExample(prefix + own, [False] * (shared + len(own) - answers) + [True] * answers))
    return made


def plain_loss(model, example):
    """The summed cross-entropy of one example, as the model itself computes it."""
    logits = model(input_ids=torch.tensor([example.ids]), use_cache=False).logits[0, :-1]
    targets, answer = torch.tensor(example.ids[1:]), torch.tensor(example.answer[1:])
    return cross_entropy(logits[answer], targets[answer], reduction="sum")


def plain_gradients(model, parameters, rows):
    """The summed loss of *rows* and the gradients of *parameters*, one example after another."""
    loss = sum(plain_loss(model, each) for each in rows)
    return loss.detach(), torch.autograd.grad(loss, parameters, materialize_grads=True)
