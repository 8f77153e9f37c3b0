"""Whoever edits the database is found, and the first bad entry is named."""

import shutil

import pytest
from trail_world import acts, behind, rows, write_anew

from intramural.domain.access import Action, Role
from intramural.domain.audit import AuditFilter, Decision, Origin
from intramural.domain.audit_head import TrailHead
from intramural.errors import Conflict, IntegrityFailure, NotFound, Refused
from intramural.service.audit import list_audit, prove_audit, search_audit, verify_audit
from intramural.service.audit_key import AuditKey


@pytest.fixture
def signed(make_context):
    """An owner whose trail of eight entries is signed."""
    ctx = make_context(audit_key=AuditKey(make_context().home / "keys"), origin=Origin(host="here", uid=7, pid=8))
    acts(ctx, *"abcdefgh")
    return ctx


def fault(ctx):
    with pytest.raises(IntegrityFailure) as caught:
        verify_audit(ctx)
    assert caught.value.hint
    return caught.value.about.get("fault"), caught.value.about.get("seq")


def test_a_whole_trail_is_verified_and_signed_to_its_end(signed):
    check = verify_audit(signed)

    assert (check.entries, check.signed, check.pruned, check.clock_set_back) == (8, 8, 0, 0)
    assert check.root == prove_audit(signed, 1).root


def test_an_empty_trail_is_whole(make_context):
    assert verify_audit(make_context()).entries == 0


EDITS = {
    "body": (["UPDATE audit_trail SET body = replace(body, 'cancel', 'submit') WHERE seq = 5"], ("changed", 5)),
    "who": (["UPDATE audit_trail SET body = replace(body, 'user:owner', 'user:other') WHERE seq = 1"], ("changed", 1)),
    "salt": (["UPDATE audit_trail SET salt = zeroblob(16) WHERE seq = 5"], ("changed", 5)),
    "time": (["UPDATE audit_trail SET at = at - 1 WHERE seq = 5"], ("changed", 5)),
    "kind": (["UPDATE audit_trail SET kind = 1 WHERE seq = 8"], ("changed", 8)),
    "unknown kind": (["UPDATE audit_trail SET kind = 999 WHERE seq = 8"], ("changed", 8)),
    "no number": (["UPDATE audit_trail SET at = 'noon' WHERE seq = 3"], ("changed", 3)),
    "leaf": (["UPDATE audit_trail SET leaf = zeroblob(32) WHERE seq = 5"], ("changed", 5)),
    "commitment": (["UPDATE audit_trail SET commitment = zeroblob(32) WHERE seq = 5"], ("changed", 5)),
    "no salt": (["UPDATE audit_trail SET salt = NULL WHERE seq = 5"], ("changed", 5)),
    "no body": (["UPDATE audit_trail SET body = NULL WHERE seq = 5"], ("changed", 5)),
    "as if pruned": (["UPDATE audit_trail SET body = NULL, salt = NULL WHERE seq = 5"], ("body_removed", 5)),
    "removed": (["DELETE FROM audit_trail WHERE seq = 5"], ("removed", 5)),
    "first removed": (["DELETE FROM audit_trail WHERE seq < 3"], ("removed", 1)),
    "swapped": (
        [("UPDATE audit_trail SET seq = ? WHERE seq = ?", pair) for pair in ((100, 5), (5, 6), (6, 100))],
        ("moved", 5),
    ),
    "closed up": (
        [
            "DELETE FROM audit_trail WHERE seq = 5",
            *(("UPDATE audit_trail SET seq = ? WHERE seq = ?", (n, n + 1)) for n in (5, 6, 7)),
        ],
        ("moved", 5),
    ),
    "cut": (["DELETE FROM audit_trail WHERE seq > 6"], ("cut", 7)),
    "all removed": (["DELETE FROM audit_trail"], ("cut", 1)),
    "all removed, and the end": (["DELETE FROM audit_trail", "DELETE FROM audit_end"], ("cut", 1)),
    "frontier": (["UPDATE audit_end SET frontier = zeroblob(32)"], ("end", 9)),
    "no frontier": (["UPDATE audit_end SET frontier = zeroblob(31)"], ("end", None)),
    "end's leaf": (["UPDATE audit_end SET leaf = zeroblob(32)"], ("end", 9)),
    "no end": (["DELETE FROM audit_end"], (None, 1)),
    "end's size": (["UPDATE audit_end SET size = 7, frontier = zeroblob(96)"], ("end", 8)),
    "note": (
        ["UPDATE audit_end SET note = replace(note, char(10) || '8' || char(10), char(10) || '7' || char(10))"],
        (None, None),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_of_the_database_is_found_and_its_place_named(signed, name):
    statements, place = EDITS[name]

    behind(signed, *statements)

    assert fault(signed) == place


HEALED = {"no frontier", "end's leaf", "end's size"}
"""Edits of what is only derived: the next act derives it anew from the entries, which are whole."""


@pytest.mark.parametrize("name", sorted(EDITS.keys() - HEALED))
def test_acts_go_on_after_an_edit_and_do_not_hide_it(signed, name):
    """What was edited is not signed again, by this process or by another."""
    behind(signed, *EDITS[name][0])

    acts(signed, "later")
    acts(another_process(signed), "later still")

    with pytest.raises(IntegrityFailure):
        verify_audit(another_process(signed))


@pytest.mark.parametrize("name", sorted(HEALED))
def test_an_end_that_does_not_fit_the_entries_is_derived_anew(signed, name):
    behind(signed, *EDITS[name][0])

    acts(another_process(signed), "later")

    assert verify_audit(another_process(signed)).signed == 9


def another_process(ctx):
    """A context that remembers nothing of this process."""
    return type(ctx)(**{**vars(ctx), "audit_key": AuditKey(ctx.home / "keys")})


@pytest.mark.parametrize("note", ["note", "NULL"])
@pytest.mark.parametrize(
    ("fork", "place"),
    [
        (lambda found: [each for each in found if each[0] != 5], ("cut", 8)),
        (lambda found: found[:4], ("cut", 5)),
        (lambda found: [(*each[:3], each[3].replace("cancel", "resume"), *each[4:]) for each in found], ("forked", 1)),
        (lambda found: [*found[:3], found[4], found[3], *found[5:]], ("forked", 1)),
    ],
)
def test_a_trail_that_was_written_anew_is_not_the_signed_one(signed, fork, place, note):
    """Every hash of it fits, and whoever wrote it took the signed heads away: the witness beside the key stays."""
    write_anew(signed, fork(rows(signed)), note=note, heads=False)

    assert fault(signed) == place
    acts(another_process(signed), "later")
    with pytest.raises(IntegrityFailure):
        verify_audit(signed)


def test_an_entry_that_somebody_without_the_key_appends_is_named(signed):
    found = rows(signed)
    forged = found[0][3].replace('"seq":1', '"seq":9').replace('"target":"a"', '"target":"never"')
    write_anew(signed, [*found, (9, *found[-1][1:3], forged, found[0][4], None, None)])

    assert fault(signed) == ("unsigned", 9)
    acts(signed, "later")
    assert fault(signed) == ("unsigned", 9)


def test_a_database_restored_from_a_backup_is_noticed_and_can_be_answered_for(signed):
    database = signed.home / "intramural.db"
    signed.store.forget_log()
    shutil.copy(database, signed.home / "backup.db")
    acts(signed, "lost")
    signed.store.close()
    for rest in signed.home.glob("intramural.db-*"):
        rest.unlink()
    shutil.move(signed.home / "backup.db", database)

    assert fault(signed) == ("cut", 9)
    acts(signed, "after")
    assert fault(signed) == ("forked", 9)

    check = verify_audit(signed, accept=True)
    assert check.signed == 10
    assert verify_audit(another_process(signed)).entries == 10
    assert list_audit(signed)[-1].detail["signed_from"] == 9


def test_what_was_written_while_the_key_was_away_is_signed_when_an_owner_answers_for_it(signed):
    keys = signed.home / "keys"
    keys.rename(signed.home / "aside")
    away = another_process(signed)
    acts(away, "i", "j")
    assert not keys.exists()
    with pytest.raises(IntegrityFailure, match="key is away"):
        verify_audit(away)

    (signed.home / "aside").rename(keys)
    back = another_process(signed)
    assert fault(back) == ("unsigned", 9)
    verify_audit(back, accept=True)
    assert verify_audit(back).signed == 11


def test_no_new_key_is_made_where_there_was_one(signed):
    for each in ("audit.key", "audit.pub"):
        (signed.home / "keys" / each).unlink()

    acts(another_process(signed), "later")

    assert sorted(each.name for each in (signed.home / "keys").iterdir()) == ["audit.witness", "records.key"]


def test_a_head_of_another_key_is_refused(signed):
    other = AuditKey(signed.home / "other")
    note = other.sign(TrailHead(), 8, bytes(32))
    behind(signed, ("UPDATE audit_end SET note = ?", (note,)))

    with pytest.raises(IntegrityFailure, match="not signed by this key"):
        verify_audit(signed)


def test_keys_are_for_their_owner_alone(signed):
    assert {each.name: each.stat().st_mode & 0o777 for each in (signed.home / "keys").iterdir()} == {
        "audit.key": 0o600,
        "audit.pub": 0o600,
        "audit.witness": 0o600,
        "records.key": 0o600,
    }


def test_an_entry_says_who_what_when_from_where_and_by_which_rule(signed, make_context):
    viewer = make_context(Role.VIEWER, origin=signed.origin)
    with pytest.raises(Refused):
        acts(viewer, "x", action=Action.JOB_SUBMIT)

    entry = list_audit(signed)[-1]

    assert (entry.seq, entry.subject, entry.action, entry.target) == (9, "user:viewer", "job:submit", "x")
    assert (entry.decision, entry.rule, entry.at) == ("refused", "role:viewer", signed.now())
    assert (entry.origin.host, entry.origin.uid, entry.origin.pid) == ("here", 7, 8)


def test_an_act_may_say_which_object_it_was_about(signed):
    with signed.act(Action.DATASET_SAMPLE, target="tickets") as tx:
        tx.concerns.update(target="tickets@1", digest="sha256:" + "0" * 64)
    acts(signed, "tickets sha256:" + "1" * 64)

    assert [(each.target, each.digest) for each in list_audit(signed, 2)] == [
        ("tickets@1", "sha256:" + "0" * 64),
        ("tickets", "sha256:" + "1" * 64),
    ]


def test_an_act_that_breaks_leaves_no_place_and_no_witness(signed):
    def broken():
        with signed.act(Action.JOB_CANCEL, target="x"):
            raise Conflict("no")

    with pytest.raises(Conflict):
        broken()

    assert verify_audit(signed).entries == 8
    acts(signed, "i")
    assert verify_audit(another_process(signed)).signed == 9


def test_a_clock_that_was_set_back_is_marked_and_the_order_stays(signed, clock):
    clock.wait(-3600)
    acts(signed, "i", "j")

    assert verify_audit(signed).clock_set_back == 1
    assert [(each.target, each.clock_back_seconds) for each in list_audit(signed, 3)] == [("h", None), ("i", 3600), ("j", None)]


def test_a_search_combines_what_it_is_asked(signed, make_context, clock):
    clock.wait(60)
    acts(make_context(Role.MEMBER), "tickets-router", "100%_sure", action=Action.JOB_SUBMIT)
    with signed.act(Action.JOB_PAUSE, target="router") as tx:
        tx.concerns["digest"] = "sha256:" + "ab" * 32

    def found(**wanted):
        return [each.target for each in search_audit(signed, AuditFilter(**wanted))]

    assert found(subject="member") == found(subject="user:member") == ["tickets-router", "100%_sure"]
    assert found(action="job:pause") == found(target="sha256:abab") == found(target="abab") == ["router"]
    assert found(action="job", target="router") == ["tickets-router", "router"]
    assert found(action="jo") == found(decision=Decision.REFUSED) == found(target="0%s") == []
    assert found(target="0%_s") == ["100%_sure"]
    assert found(until=clock(), limit=2) == ["g", "h"]
    assert found(since=clock()) == ["tickets-router", "100%_sure", "router"]


def test_text_that_is_no_text_is_recorded_and_read_all_the_same(signed):
    """A file name or an argument may hold bytes that are not UTF-8; Python carries them as lone surrogates."""
    acts(signed, "caf\udce9\n\x1b[31m")

    assert list_audit(signed)[-1].target == "caf\\udce9\n\x1b[31m"
    assert verify_audit(signed).signed == 9


@pytest.mark.parametrize("verb", [lambda ctx: prove_audit(ctx, 1), verify_audit, lambda ctx: search_audit(ctx, AuditFilter())])
def test_a_viewer_sees_nothing_of_the_trail(signed, make_context, verb):
    with pytest.raises(Refused):
        verb(make_context(Role.VIEWER))


def test_only_an_owner_answers_for_what_was_not_signed(signed, make_context):
    with pytest.raises(Refused):
        verify_audit(make_context(Role.MEMBER, audit_key=signed.audit_key), accept=True)


def test_there_is_no_proof_of_what_is_not_there(signed):
    with pytest.raises(NotFound, match="9") as caught:
        prove_audit(signed, 9)
    assert "1 to 8" in caught.value.hint
