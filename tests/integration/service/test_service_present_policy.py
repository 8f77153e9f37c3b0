"""The policy that holds is in the trail before anything is decided by it, once per change, whoever put it there."""

import threading

import pytest

from factories import a_spec, an_artifact
from intramural.domain.access import Role
from intramural.domain.audit import AuditFilter
from intramural.domain.dataset import Classification
from intramural.domain.findings import Treatment
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, Refused
from intramural.service.artifacts import export_artifact
from intramural.service.audit import search_audit
from intramural.service.datasets import add_dataset, sample_dataset
from intramural.service.jobs import submit_job
from intramural.service.policies import judge_submission, set_policy, show_policy, treatments
from intramural.service.present_policy import PolicyMoved, adopt_policy
from intramural.service.runs import claim_run

LAX = "every_class: {approvals: 0, suites: [loss]}"
STRICT = "every_class: {suites: [memorisation]}"


@pytest.fixture
def drop(owner):
    def drop(text=LAX):
        (owner.home / "policy.yaml").write_text(text)

    return drop


@pytest.fixture
def adoptions(owner):
    """What the search of the trail tells: (source, digest) of each adoption, oldest first."""

    def read():
        found = search_audit(owner, AuditFilter(action="policy:adopt"))
        return [(each.detail["source"], each.digest) for each in found]

    return read


def test_the_defaults_need_no_entry(owner, a_stored_job, adoptions):
    a_stored_job()

    assert adoptions() == []


def test_a_file_in_the_home_is_on_record_before_a_job_is_accepted_under_it_and_once(
    owner, a_stored_job, drop, adoptions, decisions
):
    set_policy(owner, "every_class: {approvals: 2}")
    set_one = show_policy(owner).digest
    drop()

    job = a_stored_job()

    digest = show_policy(owner).digest
    assert job.policy_digest == digest != set_one
    assert adoptions() == [("policy.yaml of the home", digest)]
    assert decisions()[-2:] == [("policy:adopt", "allowed", None), ("job:submit", "allowed", None)]
    (entry,) = search_audit(owner, AuditFilter(action="policy:adopt"))
    assert (entry.subject, entry.target) == ("user:owner", "policy: policy.yaml of the home")
    assert entry.detail == {"source": "policy.yaml of the home", "before": set_one, "source_before": "set"}
    submit_job(owner, a_spec())
    assert len(adoptions()) == 1


def test_a_file_that_is_removed_again_is_on_record_too(owner, a_stored_job, drop, adoptions):
    before = set_policy(owner, "every_class: {approvals: 2}").digest
    drop()
    a_stored_job()
    (owner.home / "policy.yaml").unlink()

    for _ in range(2):
        submit_job(owner, a_spec())

    assert adoptions()[1:] == [("set", before)]


def test_where_nothing_was_set_the_defaults_hold_again_and_say_so(owner, a_stored_job, drop, adoptions):
    drop()
    a_stored_job()
    (owner.home / "policy.yaml").unlink()

    for _ in range(2):
        submit_job(owner, a_spec())

    assert adoptions()[1:] == [("defaults", show_policy(owner).digest)]


def test_the_same_policy_from_another_place_is_another_source(owner, a_stored_job, drop, adoptions):
    digest = set_policy(owner, LAX).digest
    drop()

    a_stored_job()

    assert adoptions() == [("policy.yaml of the home", digest)]


def test_a_file_written_otherwise_that_says_the_same_is_no_change(owner, a_stored_job, drop, adoptions):
    drop()
    a_stored_job()
    drop(f"# the same\n{LAX}\n")

    submit_job(owner, a_spec())

    assert len(adoptions()) == 1


def test_a_refusal_by_a_policy_that_came_to_hold_follows_its_entry(owner, a_stored_job, drop, decisions):
    drop(STRICT)

    with pytest.raises(Refused):
        a_stored_job()

    assert decisions() == [("policy:adopt", "allowed", None), ("job:submit", "refused", "suites")]


def test_a_start_records_what_it_decides_by(owner, system, a_stored_job, drop, decisions):
    a_stored_job()
    drop()

    assert claim_run(system, "one", 15) is not None

    assert decisions()[-2:] == [("policy:adopt", "allowed", None), ("run:start", "allowed", None)]
    (entry,) = search_audit(owner, AuditFilter(action="policy:adopt"))
    assert entry.subject == "user:system"


def test_an_export_records_what_it_decides_by(owner, a_stored_job, drop, tmp_path, decisions):
    job = a_stored_job()
    with owner.store.writing() as tx:
        tx.artifacts.add("default", an_artifact(job_id=job.id, label=job.label))
    drop("every_class: {approvals: 1}")

    with pytest.raises(Refused):
        export_artifact(owner, "art-1", tmp_path / "out")

    assert decisions()[-2:] == [("policy:adopt", "allowed", None), ("artifact:export", "refused", "approvals")]


def test_intake_and_samples_record_what_they_decide_by(owner, drop, tmp_path, adoptions, decisions):
    drop()
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"prompt": "question {n}", "completion": "answer {n}"}}\n' for n in range(20)))
    add_dataset(owner, rows, "rows", DatasetOptions(), lambda *_: None)
    assert decisions() == [("policy:adopt", "allowed", None), ("dataset:add", "allowed", None)]

    (owner.home / "policy.yaml").unlink()
    sample_dataset(owner, "rows", 1, "train")

    assert decisions()[2:] == [("policy:adopt", "allowed", None), ("dataset:sample", "allowed", None)]
    drop("every_class: {redaction: {email: drop}}")
    assert treatments(owner, Classification.INTERNAL) == {"email": Treatment.DROP}
    assert len(adoptions()) == 3


def test_a_dry_run_and_a_look_record_nothing(owner, drop, adoptions):
    drop()

    show_policy(owner)
    with pytest.raises(Conflict):
        set_policy(owner, STRICT)

    assert adoptions() == []


def test_a_file_that_says_no_policy_is_not_recorded_and_allows_nothing(owner, a_stored_job, drop, decisions):
    drop("confidential: {isolatoin: none}")

    with pytest.raises(Refused):
        a_stored_job()

    assert decisions() == [("job:submit", "refused", "policy")]


def test_who_may_not_act_records_no_policy(make_context, drop, a_stored_job, decisions):
    drop()

    with pytest.raises(Refused):
        submit_job(make_context(Role.VIEWER), a_spec())

    assert decisions() == [("job:submit", "refused", "role:viewer")]


def test_nothing_is_decided_by_a_policy_that_came_to_hold_after_the_entry(owner, a_stored_job, drop, decisions):
    """A file that is put there between the two acts is not decided by: the act is rolled back and can be done again."""
    from intramural.service.policies import freeze  # noqa: PLC0415

    a_stored_job()
    adopt_policy(owner)
    drop()

    with owner.read() as tx:
        base, data = tx.models.find("default", "tiny"), tx.datasets.find("default", "tickets")
    with owner.store.writing() as tx:
        for decide in (lambda: freeze(owner, tx), lambda: judge_submission(owner, tx, a_spec(), base.digest, data)):
            with pytest.raises(PolicyMoved):
                decide()
    assert decisions() == [("job:submit", "allowed", None)]


def test_two_that_notice_at_once_leave_one_entry(owner, make_context, drop, adoptions):
    drop()
    both, failures = threading.Barrier(2), []

    def notice(ctx):
        try:
            both.wait(60)
            adopt_policy(ctx)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=notice, args=(make_context(role),)) for role in (Role.MEMBER, Role.SYSTEM)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)

    assert failures == []
    assert len(adoptions()) == 1
