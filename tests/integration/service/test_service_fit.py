"""Whether a job's adapter fits its base, and what a resolution says of its threads; asked before it is queued."""

import json
import os

import pytest

from factories import a_dataset_version, a_model, a_spec
from intramural.errors import IntegrityFailure, InvalidInput
from intramural.service.jobs import list_jobs, resolve_job, submit_job
from intramural.service.scope_keys import dataset_files

SHAPES = {
    "model.embed_tokens.weight": [97, 8],
    "model.layers.0.self_attn.q_proj.weight": [8, 8],
    "model.layers.0.self_attn.q_proj.bias": [8],
    "model.layers.0.mlp.down_proj.weight": [8, 16],
    "model.layers.0.input_layernorm.weight": [8],
}


def header(shapes):
    """The beginning of a safetensors file, which is all that the control plane reads of it."""
    tensors = {name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    return framed(json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode())


def framed(body):
    return len(body).to_bytes(8, "little") + body


@pytest.fixture
def with_base(owner, tmp_path):
    """Put a base model on record whose weights begin with the given bytes, and a data set."""

    def put(*weights):
        folder = tmp_path / "base"
        folder.mkdir()
        for number, body in enumerate(weights):
            (folder / f"model-{number}.safetensors").write_bytes(body)
        (folder / "config.json").write_text("{}")
        digest, _ = owner.vault.put_tree(folder)
        sealed = dataset_files(owner, "tickets")
        with owner.store.writing() as tx:
            tx.models.add("default", a_model(digest=digest))
            tx.datasets.add("default", a_dataset_version())
            sealed.write_down(tx, "default")

    return put


def a_job_on(*targets):
    return a_spec(method={"lora": {"targets": targets}})


@pytest.mark.parametrize(
    ("targets", "named", "words"),
    [
        (["nope"], "nope", "Known: down_proj, embed_tokens, lm_head, q_proj"),
        (["q_proj", "down_prj"], "down_prj", "Did you mean down_proj?"),
        (["proj"], "proj", "q_proj"),
        (["input_layernorm"], "input_layernorm", "all-linear"),
        (["self_attn"], "self_attn", "all-linear"),
        (["model.layers.1.self_attn.q_proj"], "layers.1", "model.layers.0.self_attn.q_proj"),
        (["all-linear"], "all-linear", "without a list"),
    ],
)
def test_a_target_that_names_no_layer_is_refused_with_the_nearest_name(owner, with_base, targets, named, words):
    with_base(header(SHAPES) + b"\0" * 64)

    for verb in (submit_job, resolve_job):
        with pytest.raises(InvalidInput, match=r"method\.lora\.targets") as caught:
            verb(owner, a_job_on(*targets))
        assert named in caught.value.message
        assert words in caught.value.hint
    assert list_jobs(owner) == []


@pytest.mark.parametrize(
    "targets", [["q_proj", "down_proj"], ["self_attn.q_proj"], ["model.layers.0.mlp.down_proj"], ["lm_head", "embed_tokens"]]
)
def test_a_target_that_peft_would_find_is_taken(owner, with_base, targets):
    shapes = list(SHAPES.items())
    with_base(header(dict(shapes[:2])), header(dict(shapes[2:])))

    assert submit_job(owner, a_job_on(*targets)).spec.method.lora.targets == tuple(targets)


@pytest.mark.parametrize(
    "weights", [b"", b"\xff" * 8, framed(b"{{{{{"), framed(b"[]"), framed(b'{"a.weight": 3}'), framed(b'{"a.weight": {}}')]
)
def test_weights_whose_header_cannot_be_read_are_damaged(owner, with_base, weights):
    with_base(weights)

    with pytest.raises(IntegrityFailure, match=r"model-0\.safetensors"):
        submit_job(owner, a_job_on("q_proj"))


def test_more_threads_than_cores_are_told_before_the_start(owner, with_base):
    with_base(header(SHAPES))

    few = resolve_job(owner, a_spec(resources={"threads": 1}))
    many = resolve_job(owner, a_spec(resources={"threads": 4096}))

    assert not [each for each in few.checks if "Threads" in each]
    [told] = [each for each in many.checks if "Threads" in each]
    assert told.startswith(f"Threads: 4,096 on {len(os.sched_getaffinity(0))} core")
    assert "`resources.threads: auto`" in told
