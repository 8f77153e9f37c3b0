"""The proof of a shredding fails where something still opens, or could: then it says so, and there is no certificate."""

import json
import sqlite3
from contextlib import closing

import pytest

from intramural.cli.exit_codes import ExitCode, exit_code
from intramural.domain.keys import KeyState
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, IntegrityFailure, Unavailable
from intramural.sealing import SealContext
from intramural.service import shred_proof
from intramural.service.datasets import add_dataset, list_datasets, sample_dataset
from intramural.service.keys import list_certificates, shred_dataset
from intramural.service.removals import remove_dataset
from intramural.service.sweeping import sweep_home
from intramural.store import Store
from intramural.vault.providers import KeyChoice, open_provider


class Lies:
    """A provider that says it destroyed a key, and keeps it."""

    def __init__(self, real):
        self._real = real
        self.is_away = False

    def __getattr__(self, name):
        return getattr(self._real, name)

    def destroy(self, wrapped):
        if self.is_away:
            raise Unavailable("The provider is away.")
        return wrapped.own


@pytest.fixture
def add(owner, tmp_path):
    path = tmp_path / "rows.jsonl"
    turn = '{"messages": [{"role": "user", "content": "%d"}, {"role": "assistant", "content": "yes"}]}\n'
    path.write_text("".join(turn % n for n in range(40)))

    def add(name="tickets", ctx=owner):
        return add_dataset(ctx, path, name, DatasetOptions(), lambda *_: None)

    return add


@pytest.fixture
def lying(make_context, owner):
    """A context whose provider lies, over the same home; and that provider."""
    ctx = make_context()
    provider = Lies(open_provider(KeyChoice(folder=owner.home / "keys")))
    ctx.__dict__["key_provider"] = provider
    return ctx, provider


@pytest.fixture
def shared(make_context):
    return make_context(keys=KeyChoice(folder=make_context().home / "keys", per_dataset=False))


def key_of(ctx, name="tickets"):
    with ctx.read() as tx:
        [found] = tx.scope_keys.of_scopes(ctx.project, [f"dataset:{name}"])
    return found


def checks(certificate):
    [key] = certificate.keys
    return {each.tried: each.result for each in key.checks}


def leave(home, document):
    """Put *document* into a table of the database that nothing of ours reads."""
    with closing(sqlite3.connect(home / "intramural.db")) as database, database:
        database.execute("CREATE TABLE left_by_somebody (document)")
        database.execute("INSERT INTO left_by_somebody VALUES (?)", [document])


def take_away(home):
    with closing(sqlite3.connect(home / "intramural.db")) as database, database:
        database.execute("PRAGMA secure_delete = ON")
        database.execute("DELETE FROM left_by_somebody")


def stays_unproved(ctx, match):
    """See that a shredding fails, and that nothing says it went well."""
    with pytest.raises(IntegrityFailure, match=match) as caught:
        shred_dataset(ctx, "tickets")
    assert exit_code(caught.value) is ExitCode.INTEGRITY
    assert list_certificates(ctx, "tickets") == []
    assert [each.is_half_shredded for each in list_datasets(ctx)] == [True]
    assert sweep_home(ctx).unfinished == ("tickets",)
    with ctx.read() as tx:
        unproved = [each for each in tx.audit.newest(ctx.project, 10) if each.detail.get("proved") is False]
    assert unproved[-1].detail["problems"] == caught.value.about["problems"]


def test_an_own_key_is_tried_with_what_it_wrapped_before(add, owner):
    add()

    certificate = shred_dataset(owner, "tickets")

    assert checks(certificate) == {
        shred_proof.UNWRAP: shred_proof.REFUSED,
        shred_proof.PROBE: shred_proof.REFUSED,
        shred_proof.SEARCH: "not there",
    }
    assert [each.is_half_shredded for each in list_datasets(owner)] == [False]


def test_a_provider_that_lies_is_found_out_each_time(add, lying):
    """The second time the wrapped form is gone; the probe is not."""
    ctx, _ = lying
    add(ctx=ctx)

    stays_unproved(ctx, r"the provider local still opens key .*train\.jsonl of tickets@1 still opens")
    stays_unproved(ctx, "the provider local still opens what key-")


def test_once_the_key_is_gone_for_real_the_same_shredding_is_certified(add, lying, owner):
    ctx, _ = lying
    add(ctx=ctx)
    stays_unproved(ctx, "still opens")

    certificate = shred_dataset(owner, "tickets")

    assert checks(certificate) == {shred_proof.PROBE: shred_proof.REFUSED, shred_proof.SEARCH: shred_proof.SEARCHED_BY_NAME}
    assert list_certificates(owner, "tickets") == [certificate]


def test_a_provider_that_still_has_the_key_is_believed(add, lying):
    ctx, provider = lying
    provider.destroy = lambda wrapped: False
    add(ctx=ctx)

    stays_unproved(ctx, "still has key-")


def test_a_provider_that_went_away_proves_nothing(add, lying):
    ctx, provider = lying
    add(ctx=ctx)
    provider.is_away = True

    with pytest.raises(Unavailable):
        shred_dataset(ctx, "tickets")

    assert list_certificates(ctx, "tickets") == []
    assert key_of(ctx).state is KeyState.DESTROYED


def test_silence_of_a_provider_is_no_refusal(add, lying):
    ctx, provider = lying
    add(ctx=ctx)
    away = (
        open_provider(KeyChoice(folder=ctx.home)).describe().model_copy(update={"available": False, "problem": "It is away."})
    )

    def goes_away(wrapped):
        def silent(*_):
            raise Unavailable("It is away.")

        provider.unwrap, provider.describe = silent, lambda: away
        return True

    provider.destroy = goes_away

    with pytest.raises(Unavailable):
        shred_dataset(ctx, "tickets")
    assert list_certificates(ctx, "tickets") == []


def test_a_key_shared_with_other_data_is_not_called_proved(add, shared):
    add(ctx=shared)
    add("other", ctx=shared)

    certificate = shred_dataset(shared, "tickets")

    assert checks(certificate) == {shred_proof.UNWRAP: shred_proof.SHARED, shred_proof.SEARCH: "not there"}
    assert "not provable here" in shred_proof.SHARED
    assert [each.provider_destroyed for each in certificate.keys] == [False]
    assert sample_dataset(shared, "other", 1, "train").rows


@pytest.mark.parametrize("part", [slice(None), slice(-64, -32), slice(-32, None)])
@pytest.mark.parametrize("kind", ["own", "shared"])
def test_a_wrapped_copy_that_is_left_in_the_database_is_found(add, owner, shared, kind, part):
    """Even one of which a part was written over; and once it is gone, the same call goes through."""
    ctx = owner if kind == "own" else shared
    add(ctx=ctx)
    leave(ctx.home, f"as {key_of(ctx).wrapped.body[part]} it was")

    with pytest.raises(IntegrityFailure, match=r"intramural\.db still holds the wrapped form"):
        shred_dataset(ctx, "tickets")
    assert list_certificates(ctx, "tickets") == []

    take_away(ctx.home)
    assert shred_dataset(ctx, "tickets").keys


def test_a_copy_that_is_left_whole_opens_the_data_and_is_found_by_the_next_call_too(add, shared):
    add(ctx=shared)
    leave(shared.home, key_of(shared).model_dump_json())

    stays_unproved(shared, r"still holds the wrapped form .*train\.jsonl of tickets@1 still opens")
    stays_unproved(shared, "still holds the wrapped form")

    take_away(shared.home)
    assert checks(shred_dataset(shared, "tickets"))[shred_proof.SEARCH] == shred_proof.SEARCHED_BY_NAME


def test_the_log_is_searched_too(add, make_context):
    """Somebody reads the database all the time, so that its log cannot be emptied."""
    owner = make_context()
    owner = make_context(store=Store.in_file(owner.home / "intramural.db", busy_milliseconds=100))
    add(ctx=owner)
    with closing(sqlite3.connect(owner.home / "intramural.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM scope_keys").fetchall()
        body = key_of(owner).wrapped.body
        with pytest.raises(IntegrityFailure, match="still holds the wrapped form"):
            shred_dataset(owner, "tickets")
        left = [name for name in shred_proof.DATABASE_FILES if body.encode() in bytes_of(owner.home / name)]
    assert left

    assert shred_dataset(owner, "tickets").keys
    assert [name for name in shred_proof.DATABASE_FILES if body.encode() in bytes_of(owner.home / name)] == []


def bytes_of(path):
    return path.read_bytes() if path.exists() else b""


def test_what_lies_in_clear_in_the_vault_is_no_proof(add, owner):
    found = add()
    path = owner.home / "vault" / found.train_sealed[7:9] / found.train_sealed[9:]
    path.chmod(0o600)
    path.write_bytes(b'{"messages": []}\n')

    with pytest.raises(IntegrityFailure, match=r"train\.jsonl of tickets@1 lies in clear"):
        shred_dataset(owner, "tickets")


def test_what_another_key_sealed_is_no_proof(add, owner):
    """The row names bytes that a key seals which is not destroyed."""
    found, other = add(), add("other")
    with owner.store.writing() as tx:
        tx.datasets.replace(owner.project, found.model_copy(update={"train_sealed": other.train_sealed}))

    with pytest.raises(IntegrityFailure, match=r"is sealed with key .* which was not destroyed"):
        shred_dataset(owner, "tickets")


def test_a_damaged_object_is_no_obstacle(add, owner):
    found = add()
    path = owner.home / "vault" / found.train_sealed[7:9] / found.train_sealed[9:]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:50] + bytes(200))
    (owner.home / "vault" / found.holdout_sealed[7:9] / found.holdout_sealed[9:]).unlink()

    certificate = shred_dataset(owner, "tickets")

    results = {each.file: each.result for each in certificate.objects}
    assert (results["train.jsonl"], results["holdout.jsonl"]) == ("does not open", "absent")


def test_a_half_shredded_data_set_takes_no_rows_and_is_not_removed_before_it_is_whole(add, lying, owner):
    """Completing the shredding would take new rows with it; removing the version would leave the provider's key for ever."""
    ctx, _ = lying
    label = add(ctx=ctx).label
    stays_unproved(ctx, "still opens")

    for act in (add, lambda: remove_dataset(owner, label)):
        with pytest.raises(Conflict, match="was interrupted, or its proof failed"):
            act()

    shred_dataset(owner, "tickets")
    assert add().version == 2
    remove_dataset(owner, label)


def test_a_second_shredding_certifies_the_keys_of_its_own_time(add, owner, make_context):
    """What an earlier provider wrapped, and an earlier certificate tells of, does not hold it up."""
    add()
    [first] = [each.id for each in shred_dataset(owner, "tickets").keys]
    with owner.store.writing() as tx:
        record = key_of(owner)
        tx.scope_keys.save(record.model_copy(update={"wrapped": record.wrapped.model_copy(update={"provider": "openbao"})}))
    add()

    [second] = [each.id for each in shred_dataset(owner, "tickets").keys]

    assert first != second


def test_a_key_of_a_provider_that_is_not_set_is_told_before_anything_is_destroyed(add, owner):
    add()
    with owner.store.writing() as tx:
        record = key_of(owner)
        tx.scope_keys.save(record.model_copy(update={"wrapped": record.wrapped.model_copy(update={"provider": "openbao"})}))

    with pytest.raises(IntegrityFailure, match="wrapped by openbao"):
        shred_dataset(owner, "tickets")

    assert key_of(owner).state is KeyState.ACTIVE
    assert list_datasets(owner)[0].shredded_at is None


def test_an_own_key_that_was_lost_before_is_certified_as_such(add, owner):
    add()
    (owner.home / "keys" / f"{key_of(owner).id}.key").unlink()

    assert checks(shred_dataset(owner, "tickets"))[shred_proof.UNWRAP] == shred_proof.REFUSED_BEFORE


def test_the_probe_of_a_destroyed_key_protects_nothing(add, owner):
    """It is random bytes, not the key that it stands in for."""
    add()
    provider, record = open_provider(KeyChoice(folder=owner.home / "keys")), key_of(owner)
    secret = provider.unwrap(record.wrapped, SealContext("default", "key", f"dataset:tickets {record.id}"))
    kept = (owner.home / "keys" / f"{record.id}.key").read_bytes()
    shred_dataset(owner, "tickets")
    (owner.home / "keys" / f"{record.id}.key").write_bytes(kept)
    (owner.home / "keys" / f"{record.id}.key").chmod(0o600)

    probe = key_of(owner).probe

    assert probe is not None
    assert provider.unwrap(probe, SealContext("default", "key", f"dataset:tickets {record.id}")) != secret
    assert json.loads(key_of(owner).model_dump_json())["wrapped"]["body"] == ""
