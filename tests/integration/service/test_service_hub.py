"""A base model from a hub's mirror at a pinned revision, over real HTTP."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from integration.service.hub_mirror import REVISION, hub_mirror
from intramural.app.model_builder import ProcessModelBuilder
from intramural.domain.views import ModelSource
from intramural.errors import NotFound, Unavailable, UnsafeModel

REPOSITORY = "tarnbrook/tiny"


def silent(_done: int, _total: int, _what: str) -> None:
    """Show no progress."""


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "model"
    request = json.dumps({"source": "tiny-random", "target": str(folder)})
    subprocess.run([sys.executable, "-m", "intramural.workloads.build_model", request], check=True, capture_output=True)
    return folder


def build(endpoint: str, target: Path, revision: str = REVISION) -> dict:
    target.mkdir()
    source = ModelSource(hub=REPOSITORY, revision=revision)
    return ProcessModelBuilder(endpoint).build(source, target, silent)


def test_a_pinned_revision_comes_from_the_mirror(model_folder, tmp_path):
    with hub_mirror(REPOSITORY, model_folder) as endpoint:
        facts = build(endpoint, tmp_path / "model")

    assert facts["source"] == f"hub:{REPOSITORY}@{REVISION}"
    assert facts["licence"] == "apache-2.0"
    fetched = {each.name for each in (tmp_path / "model").iterdir()}
    assert {"config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"} <= fetched
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (model_folder / "model.safetensors").read_bytes()


def test_a_repository_with_code_is_refused(model_folder, tmp_path):
    with_code = tmp_path / "source"
    with_code.mkdir()
    for each in model_folder.iterdir():
        (with_code / each.name).write_bytes(each.read_bytes())
    (with_code / "modeling_own.py").write_text("raise SystemExit\n")
    with hub_mirror(REPOSITORY, with_code) as endpoint, pytest.raises(UnsafeModel, match="modeling_own"):
        build(endpoint, tmp_path / "model")


def test_an_unknown_revision_is_not_found(model_folder, tmp_path):
    with hub_mirror(REPOSITORY, model_folder) as endpoint, pytest.raises(NotFound, match="no tarnbrook"):
        build(endpoint, tmp_path / "model", revision="f" * 40)


def test_a_hub_that_is_away_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="did not answer"):
        build("http://127.0.0.1:9", tmp_path / "model")
