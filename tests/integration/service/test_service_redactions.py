"""A stored version becomes a redacted one: rows keep their sides, labels flow on, and the act is recorded by count."""

import json
from dataclasses import replace

import pytest

from intramural.domain.access import Role
from intramural.domain.dataset import Classification, ExampleKind
from intramural.domain.lineage import ObjectKind
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, InvalidInput, NotFound, Refused
from intramural.service.datasets import add_dataset, diff_datasets, list_datasets, sample_dataset
from intramural.service.keys import shred_dataset
from intramural.service.lineage import show_lineage
from intramural.service.policies import set_policy
from intramural.service.quarantines import quarantine_object
from intramural.service.redactions import redact_dataset


def silent(done, total, what):
    """Show no progress."""


def chat(number):
    return {"prompt": f"Question {number} of anna{number}@example.com", "completion": f"answer {number}"}


def judged(number):
    return {**chat(number), "label": bool(number % 2)}


def preferred(number):
    return {"prompt": f"Question {number} of anna{number}@example.com", "chosen": f"a {number}", "rejected": "b"}


def text(number):
    return {"text": f"Letter {number} of anna{number}@example.com"}


@pytest.fixture
def add(owner, tmp_path):
    def add(row=chat, ctx=owner, **options):
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row(n)) + "\n" for n in range(80)))
        return add_dataset(ctx, tmp_path / "rows.jsonl", "mail", DatasetOptions(**options), silent)

    return add


def redact(ctx, label="mail", **options):
    return redact_dataset(ctx, label, DatasetOptions(**options), silent)


def test_what_is_found_gives_way_in_a_new_version_that_names_its_parent(owner, add, decisions):
    here = replace(owner, region="eu")
    said = {"regulated": ("pii",), "region": "eu", "licence": "cc-by-4.0", "purpose": "routing"}
    before = add(ctx=here, classification="restricted", **said)

    after = redact(here, on={"email": "mask"})

    assert (after.label, after.parent, after.redaction.masked) == ("mail@2", "mail@1", {"email": 80})
    assert (after.train_examples, after.holdout_examples, after.split) == (
        before.train_examples,
        before.holdout_examples,
        before.split,
    )
    kept = ("classification", "regulated", "region", "licence", "purpose", "kind", "source_format", "files")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert (after.classification, after.licence) == (Classification.RESTRICTED, "CC-BY-4.0")
    assert decisions()[-1] == ("dataset:redact", "allowed", None)
    for side in ("train", "holdout"):
        assert "@" not in json.dumps(sample_dataset(owner, "mail", 80, side).rows)
    assert show_lineage(owner, "mail@2").up[0].object.key == f"{ObjectKind.DATA}:mail@1"


@pytest.mark.parametrize("row", [judged, preferred, text])
def test_every_kind_of_example_keeps_its_form_and_side(owner, add, row):
    before = add(row)

    after = redact(owner, on={"email": "pseudonymise"})

    assert after.kind is before.kind is not ExampleKind.CHAT
    assert after.redaction.pseudonymised == {"email": 80}
    first, second = (sample_dataset(owner, label, 80, "train").rows for label in ("mail@1", "mail@2"))
    assert [[*each] for each in first] == [[*each] for each in second]
    assert diff_datasets(owner, "mail@1", "mail@2").shared == 0


def test_the_same_redaction_again_is_the_version_that_exists(owner, add):
    add()

    assert redact(owner, "mail@1", on={"email": "mask"}) == redact(owner, "mail@1", on={"email": "mask"})
    assert len(list_datasets(owner)) == 2


def test_denied_terms_go_as_the_class_says(owner, add, tmp_path):
    add()
    (tmp_path / "terms.txt").write_text("answer 7\n")

    assert redact(owner, deny=str(tmp_path / "terms.txt")).redaction.masked == {"denied_term": 1}


def test_what_leaves_nothing_or_changes_nothing_is_refused_and_adds_nothing(owner, add):
    add()

    with pytest.raises(InvalidInput, match="Nothing in mail@1"):
        redact(owner)
    with pytest.raises(InvalidInput, match="all are dropped"):
        redact(owner, on={"email": "drop"})
    with pytest.raises(NotFound):
        redact(owner, "nowhere")
    assert len(list_datasets(owner)) == 1
    assert not [each for each in (owner.home / "work").iterdir() if each.is_dir()]


def test_a_refusal_is_recorded_and_tells_counts_only(owner, add, decisions):
    add()

    with pytest.raises(Refused, match="80 email") as caught:
        redact(owner, on={"email": "refuse"})

    assert "anna" not in json.dumps(caught.value.document())
    assert decisions()[-1] == ("dataset:redact", "refused", "findings")


def test_the_policy_holds_for_what_is_redacted_too(owner, add):
    add()
    set_policy(owner, "confidential:\n  redaction:\n    email: mask\n")

    with pytest.raises(Refused, match="redaction"):
        redact(owner, on={"email": "pseudonymise"})
    assert redact(owner).redaction.masked == {"email": 80}


def test_redacting_is_no_way_out_of_quarantine_or_retention(owner, add, decisions, clock):
    before = add()
    clock.wait(30 * 86_400)
    after = redact(owner, on={"email": "mask"})
    quarantine_object(owner, "data:mail@1", "erasure")

    assert (after.held_since, after.added_at > before.added_at) == (before.added_at, True)
    with pytest.raises(Refused, match="quarantine"):
        redact(owner, "mail@1", on={"email": "pseudonymise"})
    assert decisions()[-1] == ("dataset:redact", "refused", "quarantine")


def test_a_viewer_redacts_nothing_and_nobody_what_was_shredded(owner, make_context, add):
    add()

    with pytest.raises(Refused):
        redact(make_context(Role.VIEWER), on={"email": "mask"})
    shred_dataset(owner, "mail")
    with pytest.raises(Conflict, match="shredded"):
        redact(owner, on={"email": "mask"})
