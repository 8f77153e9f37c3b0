"""Data that the policy does not let in, or out in clear: refused by its rule before a row is read, recorded, with the way."""

import json
from dataclasses import replace

import pytest

from intramural.domain.dataset import Classification
from intramural.domain.findings import Treatment
from intramural.domain.views import DatasetOptions
from intramural.errors import Refused
from intramural.service.datasets import add_dataset, list_datasets, sample_dataset
from intramural.service.policies import set_policy, treatments
from intramural.service.quarantines import quarantine_object, release_object
from intramural.service.redactions import redact_dataset
from intramural.vault.providers import KeyChoice


def silent(done, total, what):
    """Show no progress."""


CARD, MAIL = "4111 1111 1111 1111", "anna@example.com"


@pytest.fixture
def add(owner, tmp_path):
    def add(ctx=owner, text="question", name="tickets", **options):
        lines = [{"prompt": f"{text} {n}", "completion": f"answer {n}"} for n in range(20)]
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
        return add_dataset(ctx, tmp_path / "rows.jsonl", name, DatasetOptions(**options), silent)

    return add


def refused(verb, *arguments, **options):
    with pytest.raises(Refused) as caught:
        verb(*arguments, **options)
    return caught.value


def test_data_bound_to_a_region_is_not_taken_in_elsewhere(owner, add, decisions):
    for here in ("us", None):
        error = refused(add, replace(owner, region=here), region="eu")

        assert error.about["rule"] == "region"
        assert error.message.startswith("The rule `region` refuses it: tickets is bound to eu, and this machine is in ")
    assert list_datasets(owner) == []
    assert decisions() == [("dataset:add", "refused", "region")] * 2
    assert add(replace(owner, region="eu"), region="eu").region == "eu"


def test_data_is_not_taken_in_where_the_policy_lets_none_be_worked_on(owner, add):
    set_policy(owner, "confidential: {regions: [eu]}")

    assert refused(add, replace(owner, region="us")).about["rule"] == "region"
    assert add(replace(owner, region="us"), classification="internal")
    assert add(replace(owner, region="eu"))


def test_a_new_data_set_is_refused_where_its_key_would_be_wrapped_by_another_provider(owner, add, decisions):
    set_policy(owner, "every_class: {key_providers: [openbao]}")

    error = refused(add)

    assert error.about["rule"] == "keys"
    assert "would be wrapped by local here, and the policy wants openbao" in error.message
    assert decisions()[-1] == ("dataset:add", "refused", "keys")
    assert not (owner.home / "vault").exists() or not [each for each in (owner.home / "vault").rglob("*") if each.is_file()]


def test_a_data_set_that_has_a_key_is_judged_by_who_wraps_it(owner, add):
    add()
    set_policy(owner, "every_class: {key_providers: [openbao]}")
    changed = replace(owner, keys=KeyChoice(folder=owner.home / "keys", provider="openbao", address="http://127.0.0.1:9"))

    error = refused(add, changed, text="another question")

    assert "its keys are wrapped by local" in error.message
    assert "intramural keys rotate" in error.hint


def test_a_redacted_version_is_kept_where_its_policy_lets_it_be_kept(owner, add, decisions):
    add(replace(owner, region="eu"), text="anna@example.com", region="eu", on={"email": "keep"})

    error = refused(redact_dataset, replace(owner, region="us"), "tickets", DatasetOptions(on={"email": "mask"}), silent)

    assert error.about["rule"] == "region"
    assert decisions()[-1] == ("dataset:redact", "refused", "region")


def test_rows_in_quarantine_are_not_printed_until_the_release(owner, add, decisions):
    add()
    assert sample_dataset(owner, "tickets", 1, "train").rows
    quarantine_object(owner, "tickets@1", "a person asked for erasure")

    error = refused(sample_dataset, owner, "tickets", 1, "train")

    assert error.message == "The rule `quarantine` refuses it: data:tickets@1 is in quarantine."
    assert (error.about["rule"], "`intramural quarantine data:tickets@1 --release`" in error.hint) == ("quarantine", True)
    assert decisions()[-1] == ("dataset:sample", "refused", "quarantine")
    release_object(owner, "tickets@1")
    assert sample_dataset(owner, "tickets", 1, "train").rows


def test_the_same_version_under_another_name_is_not_printed_either(owner, add):
    first = add()
    with owner.store.writing() as tx:
        tx.datasets.add("default", first.model_copy(update={"name": "copy"}))
    quarantine_object(owner, "tickets@1", "r")

    assert refused(sample_dataset, owner, "copy", 1, "train").about["rule"] == "quarantine"


def test_a_refusal_for_several_kinds_offers_what_is_needed_for_all_of_them(add):
    error = refused(add, text=f"{CARD} of {MAIL}", on={"card": "refuse", "email": "refuse"})

    offered = dict(each.split("=") for each in error.hint.split() if "=" in each)
    assert offered == {"card": "mask", "email": "mask"}
    assert error.hint.endswith(" stores it without them; `intramural data scan` lists every place.")
    assert add(text=f"{CARD} of {MAIL}", on=offered).redaction.masked == {"card": 20, "email": 20}


def test_what_the_policy_refuses_is_not_offered_to_be_masked(owner, add):
    """`--on card=mask` would be refused next, by the rule `redaction`."""
    set_policy(owner, "every_class: {redaction: {card: refuse}}")

    error = refused(add, text=f"{CARD} of {MAIL}", on={"email": "refuse"})

    assert set(error.about["kinds"]) == {"card", "email"}
    assert error.hint == (
        "The policy takes no rows with card: remove them from the source, or have an owner change `redaction`."
    )


def test_a_kind_that_cannot_be_masked_is_offered_what_can_be_done(add):
    error = refused(add, on={"near_duplicate": "refuse"}, text="the same long question that is asked again and again, number")

    assert error.hint.startswith("--on near_duplicate=drop stores it without them")


def test_every_kind_that_was_said_too_laxly_is_named_at_once(owner):
    set_policy(owner, "every_class: {redaction: {email: mask, card: refuse}}")

    error = refused(treatments, owner, Classification.INTERNAL, {"email": Treatment.KEEP, "card": Treatment.MASK})

    assert "keep was said of email, and the policy wants mask" in error.message
    assert "mask was said of card, and the policy wants refuse" in error.message
    assert ("email" in error.hint, "card" in error.hint) == (True, True)
