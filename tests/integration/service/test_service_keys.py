"""Keys as members meet them: made, rotated, away, destroyed; and what a certificate says."""

import json

import pytest

from factories import a_dataset_version, an_artifact
from intramural.domain.access import Role
from intramural.domain.keys import KeyState
from intramural.domain.value import digest_of_bytes
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, IntegrityFailure, NotFound, Refused, Unavailable
from intramural.service.datasets import add_dataset, diff_datasets, sample_dataset, show_dataset
from intramural.service.jobs import cancel_job, explain_job, submit_job
from intramural.service.keys import keys_status, list_certificates, rotate_keys, shred_dataset
from intramural.service.runs import claim_run, prepare_run
from intramural.service.scope_keys import dataset_files
from intramural.vault.providers import KeyChoice

CANARY = "the customer's secret sentence"


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    turns = [{"role": "user", "content": CANARY}, {"role": "assistant", "content": "yes"}]
    path.write_text(
        "".join(json.dumps({"messages": [*turns, {"role": "user", "content": f"{n}"}, turns[1]]}) + "\n" for n in range(40))
    )
    return path


@pytest.fixture
def add(owner, rows):
    def add(name="tickets", ctx=owner, **options):
        return add_dataset(ctx, rows, name, DatasetOptions(**options), lambda *_: None)

    return add


def files_with(text, folder):
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def keys_of(ctx):
    with ctx.read() as tx:
        return tx.scope_keys.all("default")


def test_a_data_set_is_sealed_and_its_sample_is_in_clear(add, owner):
    added = add()

    assert CANARY in sample_dataset(owner, "tickets", 1, "train").rows[0]["messages"][0]["content"]
    assert files_with(CANARY, owner.home) == []
    assert [each.scope for each in keys_of(owner)] == ["dataset:tickets"]
    assert added.train_sealed not in {None, added.train_digest}


def test_the_same_rows_again_are_the_same_version_and_leave_no_second_copy(add, owner):
    first = add()
    blobs = sorted(path.name for path in (owner.home / "vault").rglob("*") if path.is_file())

    assert add() == first
    assert sorted(path.name for path in (owner.home / "vault").rglob("*") if path.is_file()) == blobs


def test_adding_again_mends_a_damaged_version(add, owner):
    first = add()
    blob = owner.home / "vault" / first.train_sealed[7:9] / first.train_sealed[9:]
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    with pytest.raises(IntegrityFailure):
        sample_dataset(owner, "tickets", 1, "train")

    assert add().digest == first.digest
    assert sample_dataset(owner, "tickets", 1, "train").rows


def test_rows_of_one_side_do_not_open_as_the_other(add, owner):
    found = add()
    swapped = found.model_copy(update={"train_sealed": found.holdout_sealed, "holdout_sealed": found.train_sealed})
    with owner.store.writing() as tx:
        tx.datasets.replace("default", swapped)

    with pytest.raises(IntegrityFailure):
        sample_dataset(owner, "tickets", 1, "train")


def test_an_older_file_in_the_place_of_a_newer_one_is_found(add, owner):
    first, second = add(), add(classification="restricted")
    paths = [owner.home / "vault" / each.train_sealed[7:9] / each.train_sealed[9:] for each in (first, second)]
    paths[1].unlink()
    paths[1].write_bytes(paths[0].read_bytes())

    with pytest.raises(IntegrityFailure):
        sample_dataset(owner, "tickets@2", 1, "train")


def test_a_rotation_wraps_anew_and_rewrites_no_data(add, owner):
    add()
    add("other")
    before = {path: path.stat().st_mtime_ns for path in (owner.home / "vault").rglob("*")}
    wraps = {each.id: each.wrapped.body for each in keys_of(owner)}

    done = rotate_keys(owner)

    assert (done.rewrapped, keys_status(owner).behind) == (2, 0)
    assert {path: path.stat().st_mtime_ns for path in (owner.home / "vault").rglob("*")} == before
    assert all(wraps[each.id] != each.wrapped.body for each in keys_of(owner))
    assert sample_dataset(owner, "tickets", 1, "train").rows


def test_a_rotation_moves_the_keys_to_another_provider(add, owner, make_context):
    add()
    moved = make_context(keys=KeyChoice(folder=owner.home / "keys", key="second", per_dataset=False))

    rotate_keys(moved)

    assert [each.wrapped.key for each in keys_of(moved)] == ["second"]
    assert sample_dataset(moved, "tickets", 1, "train").rows


def test_a_provider_that_is_away_is_named_and_nothing_is_stored(owner, add, make_context):
    away = make_context(
        keys=KeyChoice(folder=owner.home, provider="openbao", address="http://127.0.0.1:9", secret_file=secret(owner))
    )

    with pytest.raises(Unavailable, match="OpenBao"):
        add("fresh", ctx=away)

    assert keys_of(owner) == []
    assert not keys_status(away).provider.available


def secret(ctx):
    path = ctx.home.parent / "credential"
    path.touch(mode=0o600)
    path.write_text("x")
    return path


def test_a_job_whose_provider_is_away_waits_and_says_so(a_stored_job, owner, system, make_context):
    job = a_stored_job()
    with owner.read() as tx:
        (record,) = tx.scope_keys.all("default")
    with owner.store.writing() as tx:
        tx.scope_keys.save(record.model_copy(update={"wrapped": record.wrapped.model_copy(update={"provider": "openbao"})}))
    choice = KeyChoice(folder=owner.home, provider="openbao", address="http://127.0.0.1:9", secret_file=secret(owner))
    away = make_context(Role.SYSTEM, keys=choice)
    claim = claim_run(away, "one", 15)

    with pytest.raises(Unavailable, match="OpenBao"):
        prepare_run(away, claim, away.runs / claim.run.id)

    told = explain_job(make_context(keys=choice), job.id)
    assert "waiting for its keys" in told.summary
    assert not told.summary.endswith(".")  # the sentence it becomes has its own
    assert "OpenBao" in told.summary
    assert not (away.runs / claim.run.id / "spec.json").exists()

    with owner.store.writing() as tx:
        tx.scope_keys.save(record)
    assert len(prepare_run(system, claim, system.runs / claim.run.id)) == 2


def test_a_lost_key_is_not_made_anew_in_silence(owner, make_context):
    shared = make_context(keys=KeyChoice(folder=owner.home / "keys", per_dataset=False))
    dataset_files(shared, "one")
    with shared.store.writing() as tx:
        dataset_files(shared, "one").write_down(tx, "default")
    (owner.home / "keys" / "main.key").unlink()

    with pytest.raises(Unavailable, match="which wraps 1 others, is not there"):
        dataset_files(shared, "two")

    assert not (owner.home / "keys" / "main.key").exists()


def test_a_run_gets_the_keys_of_its_data_and_of_its_job_and_no_others(a_stored_job, add, system):
    add("other")
    job = a_stored_job()
    claim = claim_run(system, "one", 15)

    keys = prepare_run(system, claim, system.runs / claim.run.id)

    scopes = {each.id: each.scope for each in keys_of(system)}
    assert {scopes[each] for each in json.loads(keys.encode())} == {"dataset:tickets", f"job:{job.id}"}


def test_shredding_destroys_proves_and_certifies(add, owner):
    one, two = add(), add(classification="restricted")
    bodies = [each.wrapped.body for each in keys_of(owner)]

    certificate = shred_dataset(owner, "tickets")

    assert {(each.dataset, each.file, each.result) for each in certificate.objects} == {
        (label, file, "does not open") for label in (one.label, two.label) for file in ("train.jsonl", "holdout.jsonl", "index")
    }
    assert [each.provider_destroyed for each in certificate.keys] == [True]
    assert (certificate.by, list_certificates(owner, "tickets")) == ("user:owner", [certificate])
    assert any("Backups" in each for each in certificate.not_reached)
    assert [each.state for each in keys_of(owner)] == [KeyState.DESTROYED]
    assert files_with(bodies[0], owner.home) == []
    assert show_dataset(owner, "tickets").shredded_at is not None
    with pytest.raises(Conflict, match="was shredded"):
        sample_dataset(owner, "tickets", 1, "train")
    with pytest.raises(Conflict, match="was shredded"):
        diff_datasets(owner, "tickets@1", "tickets@2")


def test_a_backup_of_the_database_does_not_outlive_the_own_key(add, owner, make_context):
    add()
    (record,) = keys_of(owner)
    dataset = show_dataset(owner, "tickets")
    kept = [
        (owner.home / "vault" / each[7:9] / each[9:]).read_bytes() for each in (dataset.train_sealed, dataset.holdout_sealed)
    ]

    shred_dataset(owner, "tickets")
    with owner.store.writing() as tx:
        tx.scope_keys.save(record)
        tx.datasets.replace("default", dataset)
    for body in kept:
        owner.vault.put_bytes(body)

    with pytest.raises(Unavailable, match="is not there"):
        sample_dataset(owner, "tickets", 1, "train")


def test_without_own_keys_the_certificate_says_what_a_backup_still_opens(add, make_context):
    shared = make_context(keys=KeyChoice(folder=make_context().home / "keys", per_dataset=False))
    add("shared", ctx=shared)

    certificate = shred_dataset(shared, "shared")

    assert [each.provider_destroyed for each in certificate.keys] == [False]
    assert any("Backups of the database" in each for each in certificate.not_reached)
    with pytest.raises(Conflict):
        sample_dataset(shared, "shared", 1, "train")


def test_shredding_again_is_harmless_and_certified_again(add, owner):
    add()
    shred_dataset(owner, "tickets")

    again = shred_dataset(owner, "tickets")

    assert {each.result for each in again.objects} == {"absent"}


def test_another_data_set_and_new_rows_under_the_old_name_still_open(add, owner):
    add()
    add("other")
    shred_dataset(owner, "tickets")

    assert add().version == 2
    assert sample_dataset(owner, "tickets", 1, "train").rows
    assert sample_dataset(owner, "other", 1, "train").rows


def test_what_was_trained_on_it_is_named_as_not_reached(add, owner):
    found = add()
    lineage = an_artifact().lineage.model_copy(update={"dataset_digest": found.digest})
    with owner.store.writing() as tx:
        tx.artifacts.add("default", an_artifact(lineage=lineage))

    assert shred_dataset(owner, "tickets").trained == ("art-1",)


def test_a_job_that_needs_the_data_holds_a_shredding_up(a_stored_job, owner):
    job = a_stored_job()
    with pytest.raises(Conflict, match="needs tickets@1"):
        shred_dataset(owner, "tickets")

    cancel_job(owner, job.id)
    shred_dataset(owner, "tickets")

    with pytest.raises(Conflict, match="was shredded"):
        submit_job(owner, job.spec)


def test_only_an_owner_shreds_and_rotates(add, make_context, decisions):
    add()
    for role in (Role.MEMBER, Role.VIEWER):
        for act in (lambda ctx: shred_dataset(ctx, "tickets"), rotate_keys):
            with pytest.raises(Refused):
                act(make_context(role))
    assert decisions()[-1][:2] == ("keys:rotate", "refused")


def test_there_is_nothing_to_shred(owner):
    with pytest.raises(NotFound):
        shred_dataset(owner, "nothing")


def test_data_from_before_sealing_is_refused_everywhere_and_a_shredding_proves_nothing(owner):
    old = a_dataset_version(train_sealed=None, holdout_sealed=None, train_digest=digest_of_bytes(b"x"))
    with owner.store.writing() as tx:
        tx.datasets.add("default", old)

    for act in (lambda: sample_dataset(owner, "tickets", 1, "train"), lambda: shred_dataset(owner, "tickets")):
        with pytest.raises(Conflict, match="before data was sealed"):
            act()


def test_a_key_destroyed_while_its_data_is_being_sealed_refuses_the_data(add, owner, rows):
    """Somebody shreds between the reading and the storing: the rows would be lost, so nothing is stored."""
    add()

    def shreds(done, total, message):
        if not list_certificates(owner, "tickets"):
            shred_dataset(owner, "tickets")

    with pytest.raises(Conflict, match="destroyed while"):
        add_dataset(owner, rows, "tickets", DatasetOptions(classification="restricted"), shreds)
