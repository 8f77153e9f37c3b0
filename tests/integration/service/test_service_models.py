"""Base models: what is refused, what is stored, and what stands in the way of removing one."""

import json

import pytest
from service_world import FolderBuilder

from intramural.domain.views import ModelSource
from intramural.errors import Conflict, IntegrityFailure, InvalidInput, NotFound, Refused, UnsafeModel
from intramural.service.audit import hold_audit, release_audit
from intramural.service.jobs import cancel_job
from intramural.service.models import add_model, list_models, remove_model, show_model

GOOD = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"weights"}


def silent(done, total, what):
    """Show no progress."""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    for name, body in GOOD.items():
        (folder / name).write_bytes(body)
    return folder


def add(ctx, folder, name="tiny"):
    return add_model(ctx, name, ModelSource(folder=str(folder)), silent)


def test_a_folder_becomes_a_model_by_digest(owner, folder, decisions):
    told = []

    model = add_model(owner, "tiny", ModelSource(folder=str(folder)), lambda *each: told.append(each))

    assert owner.vault.verify_tree(model.digest).files.keys() == GOOD.keys()
    assert list_models(owner) == [show_model(owner, "tiny")] == [model]
    assert decisions() == [("model:add", "allowed", None)]
    assert [what for _, _, what in told] == ["copying the folder", "building", "storing by digest"]
    assert list((owner.home / "work").iterdir()) == [owner.home / "work" / ".lock"]


def test_what_a_builder_makes_becomes_a_model(make_context):
    owner = make_context(model_builder=FolderBuilder(GOOD))

    model = add_model(owner, "tiny", ModelSource(starter="tiny-random"), silent)

    assert owner.vault.tree(model.digest).files.keys() == GOOD.keys()


@pytest.mark.parametrize(
    ("name", "body", "rule"),
    [
        ("pytorch_model.bin", b"x", "model:no-pickle"),
        ("optimizer.PT", b"x", "model:no-pickle"),
        ("modeling_own.py", b"x", "model:no-remote-code"),
        ("native.so", b"x", "model:no-remote-code"),
        ("config.json", json.dumps({"auto_map": {"AutoModel": "own.Model"}}).encode(), "model:no-remote-code"),
        ("tokenizer_config.json", json.dumps({"auto_map": {}}).encode(), "model:no-remote-code"),
    ],
)
def test_what_could_run_code_is_refused_and_recorded(owner, folder, decisions, name, body, rule):
    (folder / name).write_bytes(body)

    with pytest.raises(UnsafeModel) as caught:
        add(owner, folder)

    assert caught.value.hint
    assert decisions() == [("model:add", "refused", rule)]
    assert list_models(owner) == []


def test_a_link_is_refused_without_following_it(owner, folder, decisions):
    (folder / "secrets.json").symlink_to("/etc/passwd")

    with pytest.raises(UnsafeModel, match="is a link"):
        add(owner, folder)
    assert decisions() == [("model:add", "refused", "model:plain-files")]


@pytest.mark.parametrize("error", [None, UnsafeModel("the hub's own code", hint="no")])
def test_what_a_builder_refuses_or_brings_is_refused_and_recorded(make_context, decisions, error):
    files = GOOD if error else {**GOOD, "model.bin": b"x"}
    owner = make_context(model_builder=FolderBuilder(files, error))

    with pytest.raises(UnsafeModel):
        add_model(owner, "tiny", ModelSource(hub="a/b", revision="c"), silent)

    assert [each[:2] for each in decisions()] == [("model:add", "refused")]
    assert not any(each.exists() for each in owner.model_builder.seen)


@pytest.mark.parametrize("missing", GOOD)
def test_a_folder_that_is_no_model_is_invalid(owner, folder, missing):
    (folder / missing).unlink()

    with pytest.raises(InvalidInput) as caught:
        add(owner, folder)
    assert caught.value.hint


def test_a_configuration_that_is_not_json_is_invalid(owner, folder):
    (folder / "config.json").write_bytes(b"\xff{")

    with pytest.raises(InvalidInput, match="is not JSON"):
        add(owner, folder)


def test_a_folder_that_is_not_there_is_not_found(owner, tmp_path):
    with pytest.raises(NotFound):
        add(owner, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["Tiny", "../tiny", "tiny model", "", "x" * 200, "tiny\n"])
def test_a_bad_name_is_refused_before_any_work(owner, folder, name):
    with pytest.raises(InvalidInput, match="not a name"):
        add(owner, folder, name)
    assert owner.model_builder.seen == []


def test_a_name_is_given_once(owner, folder):
    add(owner, folder)

    with pytest.raises(Conflict, match="already"):
        add(owner, folder)


def test_the_nearest_name_is_shown(owner, folder):
    add(owner, folder)

    with pytest.raises(NotFound) as caught:
        show_model(owner, "tinny")
    assert caught.value.hint == "Did you mean tiny?"


def test_a_model_that_a_job_needs_stays(owner, a_stored_job):
    job = a_stored_job()
    with pytest.raises(Conflict, match="router needs tiny"):
        remove_model(owner, "tiny")

    cancel_job(owner, job.id)
    remove_model(owner, "tiny")

    assert list_models(owner) == []
    with pytest.raises(NotFound):
        remove_model(owner, "tiny")


def test_a_removed_model_gives_its_disk_space_back_but_not_what_others_share(owner, folder, decisions):
    first = add(owner, folder)
    (folder / "model.safetensors").write_bytes(b"other weights")
    second = add(owner, folder, "other")
    (alone,) = [each.digest for name, each in owner.vault.tree(first.digest).files.items() if name == "model.safetensors"]

    remove_model(owner, "tiny")

    with pytest.raises(IntegrityFailure):
        owner.vault.open(alone)
    assert owner.vault.verify_tree(second.digest).files.keys() == GOOD.keys()
    assert decisions()[-1] == ("model:remove", "allowed", None)


def test_a_model_under_a_legal_hold_stays(owner, folder, decisions):
    model = add(owner, folder)
    hold_audit(owner, "dispute", target="tiny")

    with pytest.raises(Refused, match="under the hold dispute"):
        remove_model(owner, "tiny")
    assert decisions()[-1] == ("model:remove", "refused", "audit:hold")
    assert owner.vault.verify_tree(model.digest).files.keys() == GOOD.keys()

    release_audit(owner, "dispute")
    remove_model(owner, "tiny")


def test_a_model_that_another_name_holds_keeps_its_bytes(owner, folder):
    add(owner, folder)
    add(owner, folder, "same")

    remove_model(owner, "tiny")

    assert owner.vault.verify_tree(show_model(owner, "same").digest).files.keys() == GOOD.keys()


def test_a_damaged_model_can_be_removed_and_added_again(owner, folder):
    model = add(owner, folder)
    for digest in (model.digest, owner.vault.tree(model.digest).files["config.json"].digest):
        blob = owner.home / "vault" / digest[7:9] / digest[9:]
        blob.chmod(0o600)
        blob.write_bytes(b"flipped")

    remove_model(owner, "tiny")

    assert owner.vault.verify_tree(add(owner, folder).digest).files.keys() == GOOD.keys()
