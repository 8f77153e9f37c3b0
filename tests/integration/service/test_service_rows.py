"""The database behind the platform's back: edited rows are not believed, missing ones are missed, an older one is known."""

import sqlite3
from contextlib import closing

import pytest
from trail_world import behind

from factories import a_spec, an_artifact
from intramural.domain.access import Role
from intramural.domain.audit import AuditFilter
from intramural.errors import IntegrityFailure, Refused, Unavailable
from intramural.service.artifacts import export_artifact
from intramural.service.audit import search_audit, verify_audit
from intramural.service.audit_key import AuditKey
from intramural.service.jobs import submit_job
from intramural.service.policies import set_policy
from intramural.service.quarantines import list_quarantined, quarantine_object, release_object
from intramural.service.sweeping import sweep_home


@pytest.fixture
def owner(make_context, tmp_path):
    """An owner whose acts are signed."""
    return make_context(audit_key=AuditKey(tmp_path / "home" / "keys"))


def kept(ctx, table):
    """Return every row of a table, to be put back later."""
    with closing(sqlite3.connect(ctx.home / "intramural.db")) as raw:
        return raw.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - a test's words


def put_back(ctx, table, rows):
    behind(ctx, f"DELETE FROM {table}", *((f"INSERT INTO {table} VALUES ({','.join('?' * len(each))})", each) for each in rows))  # noqa: S608


def test_a_lowered_class_lets_nothing_begin(owner, a_stored_job, decisions):
    a_stored_job()
    assert verify_audit(owner).rows > 2
    behind(owner, "UPDATE dataset_versions SET document = json_set(document, '$.classification', 'public')")

    for act in (lambda: submit_job(owner, a_spec()), lambda: verify_audit(owner)):
        with pytest.raises(IntegrityFailure, match="dataset_versions") as failure:
            act()
        assert "backup" in failure.value.hint
    assert [each for each in decisions() if each[0] == "job:submit"] == [("job:submit", "allowed", None)]


def test_a_lowered_label_of_an_artifact_lets_it_not_leave(owner, a_stored_job, tmp_path):
    job = a_stored_job()
    with owner.store.writing() as tx:
        tx.artifacts.add("default", an_artifact(job_id=job.id))
    behind(owner, "UPDATE artifacts SET document = json_set(document, '$.label', json('{\"classification\":\"public\"}'))")

    with pytest.raises(IntegrityFailure, match="artifacts"):
        export_artifact(owner, "art-1", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_quarantine_whose_row_is_gone_is_missed(owner, a_stored_job):
    job = a_stored_job()
    quarantine_object(owner, job.id, "A reason.")
    release_object(owner, job.id)
    quarantine_object(owner, job.id, "Another reason.")
    verify_audit(owner)
    behind(owner, "DELETE FROM quarantines")

    with pytest.raises(IntegrityFailure, match=f"job:{job.id} was put in quarantine") as failure:
        verify_audit(owner)
    [entry] = search_audit(owner, AuditFilter(action="object:quarantine", limit=1))
    assert failure.value.about["seq"] == entry.seq


def test_a_released_object_is_not_missed(owner, a_stored_job):
    job = a_stored_job()
    quarantine_object(owner, job.id, "A reason.")
    release_object(owner, job.id)

    assert verify_audit(owner).rows > 0


def test_an_older_policy_put_back_is_found(owner):
    set_policy(owner, "every_class: {approvals: 0}")
    lax = kept(owner, "policies")
    set_policy(owner, "every_class: {approvals: 2}")
    verify_audit(owner)
    put_back(owner, "policies", lax)

    with pytest.raises(IntegrityFailure, match=r"The policy sha256:[0-9a-f]{64} was set, but the database has sha256"):
        verify_audit(owner)


def test_an_owner_answers_for_rows_and_that_is_recorded(owner, a_stored_job):
    job = a_stored_job()
    quarantine_object(owner, job.id, "A reason.")
    behind(owner, "DELETE FROM quarantines", "UPDATE jobs SET document = json_set(document, '$.attempts', 7)")
    with pytest.raises(IntegrityFailure, match="jobs"):
        verify_audit(owner)

    verify_audit(owner, accept=True)

    assert verify_audit(owner).rows > 0
    assert list_quarantined(owner) == []
    entries = search_audit(owner, AuditFilter(action="audit:verify", limit=9))
    assert [each.detail.get("rows_accepted") for each in entries] == [1]
    with owner.read() as tx:
        assert tx.jobs.get(job.id).attempts == 7


def test_a_member_may_not_answer_for_rows(make_context, owner, a_stored_job):
    a_stored_job()
    behind(owner, "UPDATE jobs SET document = json_set(document, '$.attempts', 7)")

    with pytest.raises(Refused):
        verify_audit(make_context(Role.MEMBER, audit_key=owner.audit_key), accept=True)


def test_a_lost_key_of_the_rows_is_made_anew_by_who_answers_for_them(owner, make_context, a_stored_job):
    a_stored_job()
    (owner.home / "keys" / "records.key").unlink()
    later = make_context(audit_key=AuditKey(owner.home / "keys"))
    with pytest.raises(Unavailable, match="away"):
        verify_audit(later)

    verify_audit(later, accept=True)

    assert verify_audit(make_context(audit_key=AuditKey(owner.home / "keys"))).rows > 0


def test_an_older_database_is_not_swept_by(owner, make_context, a_stored_job):
    before = (owner.home / "intramural.db").with_name("before.db")
    with closing(sqlite3.connect(owner.home / "intramural.db")) as now, closing(sqlite3.connect(before)) as copy:
        now.backup(copy)
    job = a_stored_job()
    quarantine_object(owner, job.id, "A reason.")  # an act, so the witness knows more than the copy
    files = {path for path in (owner.home / "vault").rglob("*") if path.is_file()}
    owner.store.close()
    for path in owner.home.glob("intramural.db*"):
        path.unlink()
    before.rename(owner.home / "intramural.db")

    with pytest.raises(IntegrityFailure, match="older backup") as failure:
        sweep_home(make_context(audit_key=AuditKey(owner.home / "keys")))

    assert "nothing was removed" in failure.value.hint
    assert {path for path in (owner.home / "vault").rglob("*") if path.is_file()} == files
