"""What an entry is kept for, how its body is written, and when a body may go."""

import json
from datetime import timedelta

import pytest

from factories import NOON, a_digest, an_audit_entry
from intramural.domain.access import Action
from intramural.domain.audit import AuditEntry, AuditRetention, Decision, Origin, RecordKind, kind_of
from intramural.domain.audit_chain import KINDS, NUMBERS, instant, microseconds


@pytest.mark.parametrize(
    ("action", "decision", "kind"),
    [
        (Action.DATASET_SAMPLE, Decision.ALLOWED, RecordKind.ACCESS),
        (Action.ARTIFACT_EXPORT, Decision.ALLOWED, RecordKind.ACCESS),
        (Action.JOB_SUBMIT, Decision.ALLOWED, RecordKind.CHANGE),
        (Action.RUN_END, Decision.ALLOWED, RecordKind.RUN),
        (Action.AUDIT_PRUNE, Decision.ALLOWED, RecordKind.TRAIL),
        (Action.AUDIT_EXPORT, Decision.ALLOWED, RecordKind.TRAIL),
        (Action.AUDIT_PRUNE, Decision.REFUSED, RecordKind.REFUSAL),
        (Action.DATASET_SAMPLE, Decision.REFUSED, RecordKind.REFUSAL),
    ],
)
def test_an_entry_is_kept_for_what_it_records(action, decision, kind):
    assert kind_of(action, decision) is kind


def test_every_kind_has_a_number_of_its_own():
    assert sorted(NUMBERS[each] for each in RecordKind) == sorted(KINDS)


def test_a_body_is_canonical_and_reads_back():
    entry = an_audit_entry(target="tïckets\ud800", digest=a_digest(), origin=Origin(host="here", uid=0, pid=7), seq=3)

    body = entry.body()

    assert body.isascii()
    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"))
    assert AuditEntry.model_validate_json(body) == entry


def test_the_moment_of_a_record_is_exact_to_the_microsecond():
    for moment in (NOON, NOON + timedelta(microseconds=1), NOON - timedelta(days=40_000)):
        assert instant(microseconds(moment)) == moment


def test_only_kinds_with_a_retention_are_ever_pruned():
    assert AuditRetention().cutoffs(NOON) == {}
    assert AuditRetention(access=2).cutoffs(NOON) == {RecordKind.ACCESS: NOON - timedelta(days=2)}
