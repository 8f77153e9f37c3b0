"""Bodies go when their time is over and no hold covers them; the proof stays, and what went otherwise is found."""

import pytest
from trail_world import acts, behind, rows

from intramural.domain.access import Action, Role
from intramural.domain.audit import AuditFilter, AuditRetention
from intramural.errors import Conflict, IntegrityFailure, InvalidInput, NotFound, Refused
from intramural.service.audit import (
    hold_audit,
    list_audit,
    list_holds,
    prove_audit,
    prune_audit,
    release_audit,
    search_audit,
    verify_audit,
)
from intramural.service.audit_key import AuditKey

DAY = 24 * 3600


@pytest.fixture
def keeping(make_context):
    """An owner who keeps reads for ten days and changes for thirty."""
    home = make_context().home
    return make_context(audit_key=AuditKey(home / "keys"), audit_retention=AuditRetention(access=10, change=30))


def reads(ctx, *targets):
    acts(ctx, *targets, action=Action.DATASET_SAMPLE)


def bodies(ctx):
    return [row[0] for row in rows(ctx) if row[3] is not None]


def test_each_kind_is_pruned_at_its_own_time_and_all_of_it_stays_proved(keeping, clock):
    reads(keeping, "a", "b")
    acts(keeping, "c")
    clock.wait(20 * DAY)
    reads(keeping, "d")

    assert prune_audit(keeping).entries == {"access": 2, "change": 0}

    check = verify_audit(keeping)
    assert (check.entries, check.pruned, check.signed) == (5, 2, 5)
    assert bodies(keeping) == [3, 4, 5]
    proof = prove_audit(keeping, 1)
    assert (proof.entry, proof.body, proof.salt) == (None, None, None)
    assert proof.head is not None
    assert list_audit(keeping)[-1].detail == {"through": {"access": 2}, "bodies": {"access": 2}}
    assert search_audit(keeping, AuditFilter(target="a")) == []


def test_what_was_pruned_is_in_no_file_any_more(keeping, clock):
    reads(keeping, "canary-8fd1")
    clock.wait(20 * DAY)

    def places():
        return [each.name for each in keeping.home.rglob("*") if each.is_file() and b"canary-8fd1" in each.read_bytes()]

    assert places()
    prune_audit(keeping)

    assert places() == []


def test_a_dry_run_counts_and_leaves_everything(keeping, clock):
    reads(keeping, "a")
    clock.wait(20 * DAY)

    assert prune_audit(keeping, dry_run=True).entries == {"access": 1, "change": 0}
    assert bodies(keeping) == [1]


def test_pruning_again_adds_to_what_may_be_missing(keeping, clock):
    for _ in range(3):
        reads(keeping, "a", "b")
        clock.wait(11 * DAY)
        prune_audit(keeping)

    assert verify_audit(keeping).pruned == 6


def test_without_a_retention_nothing_is_pruned(make_context):
    with pytest.raises(InvalidInput) as caught:
        prune_audit(make_context())
    assert "audit_keep_access_days" in caught.value.hint


@pytest.mark.parametrize(
    ("hold", "left"), [({}, [1, 2, 3]), ({"subject": "other"}, []), ({"subject": "owner"}, [1, 2, 3]), ({"target": "b"}, [2])]
)
def test_a_hold_keeps_what_it_covers_until_it_is_released(keeping, clock, hold, left):
    reads(keeping, "a", "b", "c")
    hold_audit(keeping, "case-7", **hold)
    clock.wait(20 * DAY)

    assert prune_audit(keeping).held == len(left)
    assert [each for each in bodies(keeping) if each <= 3] == left
    assert verify_audit(keeping).pruned == 3 - len(left)

    release_audit(keeping, "case-7")
    prune_audit(keeping)
    assert [each for each in bodies(keeping) if each <= 3] == []
    assert verify_audit(keeping).pruned == 3


def test_a_held_body_that_somebody_removes_is_found(keeping, clock):
    """Also where a recorded act pruned later entries of its kind."""
    reads(keeping, "a", "b", "c")
    hold_audit(keeping, "case-7", target="b")
    clock.wait(20 * DAY)
    prune_audit(keeping)

    behind(keeping, "UPDATE audit_trail SET body = NULL, salt = NULL WHERE seq = 2")

    with pytest.raises(IntegrityFailure, match="3 bodies of the kind access are missing, but the recorded acts pruned 2"):
        verify_audit(keeping)


def test_a_hold_cannot_be_lifted_behind_the_trails_back(keeping):
    hold_audit(keeping, "case-7")

    behind(keeping, "UPDATE audit_trail SET body = replace(body, 'case-7', 'case-8')")

    with pytest.raises(IntegrityFailure, match="Entry 1 was changed"):
        verify_audit(keeping)


def test_holds_have_names_of_their_own(keeping):
    hold_audit(keeping, "case-7", subject="alice", target="tickets")

    assert [(each.name, each.subject, each.target) for each in list_holds(keeping)] == [("case-7", "user:alice", "tickets")]
    with pytest.raises(Conflict):
        hold_audit(keeping, "case-7")
    with pytest.raises(NotFound):
        release_audit(keeping, "case-8")
    with pytest.raises(InvalidInput):
        hold_audit(keeping, "Case 7")


@pytest.mark.parametrize(
    "verb",
    [
        prune_audit,
        lambda ctx: prune_audit(ctx, dry_run=True),
        lambda ctx: hold_audit(ctx, "x"),
        lambda ctx: release_audit(ctx, "x"),
    ],
)
def test_a_member_keeps_and_prunes_nothing_and_each_try_is_recorded(keeping, make_context, verb):
    with pytest.raises(Refused):
        verb(make_context(Role.MEMBER, audit_retention=keeping.audit_retention))

    assert list_audit(keeping)[-1].decision == "refused"
