"""What nobody needs any more is removed, what something needs is not; and what killed processes left is swept."""

import json
from pathlib import Path

import pytest

from intramural.domain.access import Role
from intramural.domain.artifact import ArtifactKind
from intramural.domain.job import Outcome
from intramural.domain.keys import KeyState
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, IntegrityFailure, InvalidInput, NotFound, Refused
from intramural.service.artifacts import list_artifacts, show_artifact
from intramural.service.audit import hold_audit, release_audit
from intramural.service.datasets import add_dataset, list_datasets, sample_dataset, show_dataset
from intramural.service.jobs import cancel_job, show_job
from intramural.service.keys import list_certificates, shred_dataset
from intramural.service.models import remove_model
from intramural.service.quarantines import quarantine_object, release_object
from intramural.service.removals import remove_artifact, remove_dataset, remove_job
from intramural.service.runs import claim_run, collect_artifacts, end_run, prepare_run
from intramural.service.scope_keys import dataset_files
from intramural.service.sweeping import sweep_home
from intramural.vault.providers import KeyChoice


@pytest.fixture
def ended(a_stored_job, system):
    """A job that succeeded and left an adapter and a log."""
    job = a_stored_job()
    claim = claim_run(system, "one", 15)
    folder = system.runs / claim.run.id
    prepare_run(system, claim, folder)
    (folder / "outputs" / "adapter").mkdir(parents=True)
    (folder / "outputs" / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "log").write_text("log")
    collect_artifacts(system, claim.run.id, 1, folder)
    end_run(system, claim.run.id, 1, Outcome.SUCCEEDED, None)
    return job


@pytest.fixture
def add(owner, tmp_path):
    """Add rows as a version of `notes`; other *words*, another version."""

    def add(words="yes"):
        turns = [{"role": "user", "content": "1"}, {"role": "assistant", "content": words}]
        path = tmp_path / "rows.jsonl"
        path.write_text(
            "".join(json.dumps({"messages": [*turns, {**turns[0], "content": f"{n}"}, turns[1]]}) + "\n" for n in range(20))
        )
        return add_dataset(owner, path, "notes", DatasetOptions(), lambda *_: None)

    return add


def blobs(ctx):
    return {path for path in (ctx.home / "vault").rglob("*") if path.is_file()}


def keys_of(ctx, scope):
    with ctx.read() as tx:
        return [each for each in tx.scope_keys.all(ctx.project) if each.scope == scope]


def key_files(ctx):
    return {path.stem for path in (ctx.home / "keys").glob("key-*.key")}


def the_last_act(ctx):
    with ctx.read() as tx:
        return tx.audit.newest(ctx.project, 1)[0]


def test_a_removed_job_leaves_nothing_but_its_entries(owner, ended, make_context):
    kept = blobs(owner)
    made = list_artifacts(owner, ended.id)

    done = remove_job(owner, ended.id)

    assert set(done.artifacts) == {each.id for each in made}
    assert list((owner.home / "runs").iterdir()) == []
    assert blobs(owner) < kept
    assert not owner.vault.has(made[0].digest)
    assert [each.state for each in keys_of(owner, f"job:{ended.id}")] == [KeyState.DESTROYED]
    with pytest.raises(NotFound):
        show_job(owner, ended.id)
    entry = the_last_act(owner)
    assert (entry.action, entry.target, entry.digest) == ("job:remove", ended.id, ended.spec_digest)
    assert sweep_home(owner).is_empty
    remove_model(owner, "tiny")
    remove_dataset(owner, "tickets@1")
    assert blobs(owner) == set()


def test_a_job_that_may_go_on_stays(owner, a_stored_job):
    job = a_stored_job()
    with pytest.raises(Conflict, match="queued"):
        remove_job(owner, job.id)

    cancel_job(owner, job.id)

    assert remove_job(owner, job.id).artifacts == ()


def test_a_removed_artifact_frees_its_files_and_the_others_stay(owner, ended):
    adapter = next(each for each in list_artifacts(owner) if each.kind is ArtifactKind.ADAPTER)
    rest = [each for each in list_artifacts(owner) if each != adapter]

    assert remove_artifact(owner, adapter.id).size_bytes == adapter.size_bytes

    assert list_artifacts(owner) == rest
    assert not owner.vault.has(adapter.digest)
    assert all(owner.vault.verify_tree(each.digest) for each in rest)
    with pytest.raises(NotFound):
        show_artifact(owner, adapter.id)


def test_a_version_that_a_job_names_stays(owner, ended):
    with pytest.raises(Conflict, match="was made from tickets@1"):
        remove_dataset(owner, "tickets@1")

    remove_job(owner, ended.id)
    remove_dataset(owner, "tickets@1")

    assert list_datasets(owner) == []


def test_the_key_goes_with_the_last_version(owner, add):
    one, two = add(), add("no")
    before = key_files(owner)

    first = remove_dataset(owner, one.label)
    assert sample_dataset(owner, two.label, 1, "train").rows
    second = remove_dataset(owner, two.label)

    assert (first.keys_destroyed, second.keys_destroyed) == (0, 1)
    assert before - key_files(owner) == {each.id for each in keys_of(owner, "dataset:notes")}
    assert blobs(owner) == set()
    with pytest.raises(InvalidInput, match="every version"):
        remove_dataset(owner, "notes")


def test_a_shredded_version_is_removed_and_its_certificate_stays(owner, add):
    label = add().label
    shred_dataset(owner, "notes")

    remove_dataset(owner, label)

    assert list_datasets(owner) == []
    assert len(list_certificates(owner, "notes")) == 1


@pytest.mark.parametrize(("subject", "target"), [(None, None), (None, "tickets@1"), ("user:owner", None)])
def test_what_a_legal_hold_covers_stays(owner, ended, decisions, subject, target):
    remove_job(owner, ended.id)
    sample_dataset(owner, "tickets@1", 1, "train")  # a hold on a person is about what they acted on
    hold_audit(owner, "dispute", subject, target)

    for act in (lambda: remove_dataset(owner, "tickets@1"), lambda: shred_dataset(owner, "tickets")):
        with pytest.raises(Refused, match="under the hold dispute"):
            act()
    assert decisions()[-1][1:] == ("refused", "audit:hold")

    release_audit(owner, "dispute")
    remove_dataset(owner, "tickets@1")


def test_a_hold_on_something_else_keeps_nothing(owner, ended):
    hold_audit(owner, "dispute", target="other")
    hold_audit(owner, "person", "user:somebody")

    assert remove_job(owner, ended.id).artifacts


def test_what_is_in_quarantine_stays(owner, ended):
    adapter = next(each for each in list_artifacts(owner) if each.kind is ArtifactKind.ADAPTER)
    quarantine_object(owner, adapter.id, "looked at")

    for act in (lambda: remove_artifact(owner, adapter.id), lambda: remove_job(owner, ended.id)):
        with pytest.raises(Refused, match="in quarantine"):
            act()

    release_object(owner, adapter.id)
    remove_artifact(owner, adapter.id)


def test_only_an_owner_removes(ended, make_context, decisions):
    member = make_context(Role.MEMBER)
    for act in (lambda: remove_job(member, ended.id), lambda: remove_dataset(member, "tickets@1"), lambda: sweep_home(member)):
        with pytest.raises(Refused):
            act()
    assert [each[1] for each in decisions()[-3:]] == ["refused"] * 3


def test_a_sweep_removes_what_no_row_names_and_nothing_else(owner, ended, add):
    label = add().label
    kept = blobs(owner)
    waste = owner.vault.put_bytes(b"sealed by a command that was killed")

    told = sweep_home(owner, dry_run=True)
    there_still = owner.vault.has(waste)
    done = sweep_home(owner)

    assert (told.blobs, told.size_bytes, there_still) == (1, 35, True)
    assert done == told
    assert blobs(owner) == kept
    assert sample_dataset(owner, label, 1, "train").rows
    assert sweep_home(owner).is_empty


def test_a_sweep_that_finds_nothing_leaves_no_entry_and_one_that_does_leaves_one(owner, system):
    sweep_home(system)
    with owner.read() as tx:
        assert tx.audit.newest(owner.project, 1) == []
    owner.vault.put_bytes(b"waste")

    sweep_home(system)

    assert (the_last_act(owner).action, the_last_act(owner).detail["blobs"]) == ("home:sweep", 1)


def test_a_sweep_does_not_disturb_what_is_being_stored(owner):
    with owner.vault.adding():
        waste = owner.vault.put_bytes(b"a row will name it in a moment")
        with pytest.raises(Conflict, match="just now"):
            sweep_home(owner)
    assert owner.vault.has(waste)


def test_a_key_whose_maker_is_gone_is_destroyed_and_one_at_work_is_not(owner):
    working, gone = dataset_files(owner, "one"), dataset_files(owner, "two")
    at_work, left = working.files.key_id, gone.files.key_id
    del gone

    done = sweep_home(owner)

    assert (done.keys, done.keys_left, key_files(owner)) == (1, 0, {at_work})
    assert left != at_work
    assert the_last_act(owner).detail["keys"] == [left]
    assert sweep_home(owner).is_empty


def test_the_key_of_data_that_was_stored_stays(owner, add):
    label = add().label

    assert sweep_home(owner).is_empty

    assert sample_dataset(owner, label, 1, "train").rows
    assert list((owner.home / "making").glob("*.key.lock")) == []


def test_the_key_of_a_file_that_was_not_taken_is_swept(owner, tmp_path):
    (tmp_path / "bad.jsonl").write_text("{")
    with pytest.raises(InvalidInput):
        add_dataset(owner, tmp_path / "bad.jsonl", "bad", DatasetOptions(), lambda *_: None)

    assert sweep_home(owner).keys == 1
    assert key_files(owner) == set()


def test_keys_of_a_provider_that_is_not_set_any_more_are_told_and_left(owner, make_context):
    dataset_files(owner, "one")
    [note] = (owner.home / "making").glob("*.key.lock")
    note.write_text("openbao")

    done = sweep_home(owner)

    assert (done.keys, done.keys_left) == (0, 1)
    assert note.exists()


def test_an_interrupted_shredding_is_told(owner, add):
    label = add().label
    shred_dataset(owner, "notes")
    with owner.store.writing() as tx:
        later = owner.now().replace(year=owner.now().year + 1)
        tx.datasets.replace("default", show_dataset(owner, label).model_copy(update={"shredded_at": later}))

    assert sweep_home(owner).unfinished == ("notes",)


def test_a_damaged_folder_stops_a_sweep_before_anything_is_removed(owner, ended):
    digest = list_artifacts(owner)[0].digest
    path: Path = owner.home / "vault" / digest[7:9] / digest[9:]
    path.chmod(0o600)
    path.write_text("{}")
    waste = owner.vault.put_bytes(b"waste")

    with pytest.raises(IntegrityFailure):
        sweep_home(owner)

    assert owner.vault.has(waste)


def test_directories_of_a_job_that_was_removed_are_swept_and_those_of_a_forgotten_one_stay(owner, ended):
    [run] = [each.name for each in (owner.home / "runs").iterdir()]
    remove_job(owner, ended.id)
    for name in (run, "run-of-a-restored-database"):
        (owner.home / "runs" / name / "checkpoints").mkdir(parents=True)

    assert sweep_home(owner).runs == 1

    assert [each.name for each in (owner.home / "runs").iterdir()] == ["run-of-a-restored-database"]


def test_sweeping_with_shared_keys_finds_no_keys(make_context):
    shared = make_context(keys=KeyChoice(folder=make_context().home / "keys", per_dataset=False))
    dataset_files(shared, "one")

    assert sweep_home(shared).keys_left == 0
