"""A policy is asked at the door, at the start and on the way out; what it refuses is told and recorded."""

import json
from dataclasses import replace

import pytest

from factories import a_spec, an_artifact
from intramural.domain.cause import Cause
from intramural.domain.confinement import Level
from intramural.domain.dataset import Classification, DatasetVersion
from intramural.domain.findings import Treatment
from intramural.domain.job import JobState
from intramural.domain.label import Label
from intramural.domain.policy import Grant, default_policy
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, InvalidInput, NotFound, Refused, Unavailable
from intramural.service.artifacts import export_artifact
from intramural.service.datasets import add_dataset
from intramural.service.jobs import explain_job, list_jobs, resolve_job, resume_job, show_job, submit_job
from intramural.service.policies import grant_of, set_policy, show_policy, treatments
from intramural.service.runs import claim_run

EU = "every_class: {regions: [eu-central-1]}"
SUITES = "confidential: {suites: [structured]}"


class Unscanned(DatasetVersion):
    """A version as it was stored before there were scans."""

    def document(self):
        return {name: value for name, value in super().document().items() if name != "findings"}


def test_with_nothing_said_the_defaults_hold(owner):
    found = show_policy(owner)

    assert (found.source, found.policy) == ("defaults", default_policy())


def test_a_policy_that_was_set_holds_and_is_recorded(owner, decisions):
    done = set_policy(owner, EU)

    assert show_policy(owner) == done
    assert (done.source, done.by, done.policy.public.regions) == ("set", "user:owner", ("eu-central-1",))
    assert show_policy(owner, done.digest[7:15]) == done
    assert decisions() == [("policy:set", "allowed", None)]
    with owner.read() as tx:
        (entry,) = tx.audit.newest("default", 1)
    assert entry.digest == done.digest


def test_a_dry_run_sets_nothing(owner, decisions):
    assert set_policy(owner, EU, dry_run=True).policy.public.regions == ("eu-central-1",)

    assert show_policy(owner).source == "defaults"
    assert decisions() == []


def test_only_an_owner_sets_a_policy(make_context, decisions):
    for role in ("member", "viewer"):
        with pytest.raises(Refused):
            set_policy(make_context(role), EU)

    assert decisions() == [("policy:set", "refused", "role:member"), ("policy:set", "refused", "role:viewer")]


def test_an_unknown_digest_is_not_found(owner):
    with pytest.raises(NotFound):
        show_policy(owner, "abc")


def test_a_file_in_the_home_holds_while_it_is_there(owner):
    set_policy(owner, SUITES)
    (owner.home / "policy.yaml").write_text(EU)

    assert (show_policy(owner).source, show_policy(owner).policy.public.regions) == (
        "policy.yaml of the home",
        ("eu-central-1",),
    )
    with pytest.raises(Conflict):
        set_policy(owner, SUITES)
    (owner.home / "policy.yaml").unlink()
    assert show_policy(owner).source == "set"


def test_a_job_freezes_the_policy_and_carries_the_label_of_its_data(owner, a_stored_job):
    set_policy(owner, SUITES)

    job = a_stored_job()

    assert job.policy_digest == show_policy(owner).digest == show_policy(owner, job.policy_digest).digest
    assert job.label == Label(classification="confidential")
    assert submit_job(owner, a_spec(classification="restricted")).label.classification == "restricted"


def test_the_defaults_are_frozen_too(owner, a_stored_job):
    job = a_stored_job()

    assert show_policy(owner, job.policy_digest).policy == default_policy()


def test_a_submission_that_a_rule_refuses_leaves_no_job_and_names_the_rule(owner, a_stored_job, decisions):
    set_policy(owner, EU)

    with pytest.raises(Refused) as caught:
        a_stored_job()

    assert caught.value.about["rule"] == "region"
    assert caught.value.hint == "State this machine's region: `region` in intramural.toml."
    assert list_jobs(owner) == []
    assert decisions()[-1] == ("job:submit", "refused", "region")


def test_a_machine_in_the_region_is_allowed(owner, a_stored_job):
    set_policy(owner, EU)
    with pytest.raises(Refused):
        a_stored_job()

    assert submit_job(replace(owner, region="eu-central-1"), a_spec()).state is JobState.QUEUED


def test_a_dry_run_of_a_job_tells_the_verdict(owner, a_stored_job):
    a_stored_job()
    assert resolve_job(owner, a_spec()).verdict.allowed
    set_policy(owner, EU)

    verdict = resolve_job(owner, a_spec()).verdict

    assert [each.rule for each in verdict.denials] == ["region"]
    assert verdict.policy == show_policy(owner).digest


def test_a_policy_that_cannot_be_read_allows_nothing(owner, a_stored_job, system, decisions):
    job = a_stored_job()
    (owner.home / "policy.yaml").write_text("confidential: {isolatoin: none}")

    with pytest.raises(InvalidInput):
        show_policy(owner)
    with pytest.raises(Refused) as caught:
        submit_job(owner, a_spec())
    assert caught.value.about["rule"] == "policy"
    assert "isolatoin" in caught.value.message
    assert claim_run(system, "one", 15) is None
    assert show_job(owner, job.id).cause is Cause.REFUSED
    assert decisions()[-2:] == [("job:submit", "refused", "policy"), ("run:start", "refused", "policy")]


def test_a_policy_file_that_is_no_text_allows_nothing(owner, a_stored_job):
    (owner.home / "policy.yaml").parent.mkdir(exist_ok=True)
    (owner.home / "policy.yaml").write_bytes(b"\xff\xfe")

    with pytest.raises(Refused) as caught:
        a_stored_job()
    assert caught.value.about["rule"] == "policy"


def test_a_level_that_cannot_be_found_out_is_a_no(owner, a_stored_job):
    def fails():
        raise Unavailable("no bubblewrap")

    a_stored_job()
    with pytest.raises(Refused) as caught:
        submit_job(replace(owner, level=fails), a_spec())

    assert caught.value.about["rule"] == "isolation"


def test_the_level_of_this_machine_is_asked(owner, a_stored_job):
    a_stored_job()
    set_policy(owner, "every_class: {isolation: landlock}")

    with pytest.raises(Refused):
        submit_job(replace(owner, level=lambda: Level.NONE), a_spec())
    assert submit_job(owner, a_spec())


def test_what_cannot_be_confined_is_refused_above_internal_by_default(owner, a_stored_job):
    a_stored_job()

    with pytest.raises(Refused) as caught:
        submit_job(replace(owner, level=lambda: Level.NONE), a_spec())

    assert caught.value.about["rule"] == "isolation"


def test_data_past_its_retention_is_not_trained_on(owner, a_stored_job, clock):
    a_stored_job()
    set_policy(owner, "every_class: {retention_days: 30}")
    clock.wait(29 * 86_400)
    assert submit_job(owner, a_spec())
    clock.wait(2 * 86_400)

    with pytest.raises(Refused) as caught:
        submit_job(owner, a_spec())

    assert caught.value.about["rule"] == "retention"


def test_why_tells_of_a_waiting_job_that_it_will_be_refused(owner, a_stored_job):
    job = a_stored_job(evaluate={"suites": ["structured"]})
    set_policy(owner, "every_class: {suites: [loss]}")

    told = explain_job(owner, job.id)

    assert told.summary == "refused by the rule `suites` when its turn comes: it does not evaluate loss"
    assert told.next_step == "Add loss to `evaluate.suites`."


def test_a_refused_start_makes_room_for_the_next_job_and_can_be_resumed(owner, system, a_stored_job, decisions):
    refused = a_stored_job(name="first", evaluate={"suites": ["structured"]})
    taken = a_stored_job(name="second")
    set_policy(owner, "every_class: {suites: [loss]}")

    assert claim_run(system, "one", 15).job.id == taken.id

    report = show_job(owner, refused.id)
    assert (report.state, report.cause, report.attempts) == (JobState.FAILED, Cause.REFUSED, ())
    assert report.evidence == "`suites`: it does not evaluate loss. Add loss to `evaluate.suites`."
    assert decisions()[-2:] == [("run:start", "refused", "suites"), ("run:start", "allowed", None)]
    with owner.read() as tx:
        assert tx.audit.newest("default", 2)[0].target == refused.id
    set_policy(owner, "")
    assert resume_job(owner, refused.id).state is JobState.QUEUED


def test_a_laxer_policy_does_not_free_a_job_from_the_one_it_froze(owner, system, a_stored_job):
    strict = "every_class: {retention_days: 1}"
    a_stored_job(name="before", **{"class": "batch"})
    set_policy(owner, strict)
    job = submit_job(owner, a_spec(name="frozen"))
    set_policy(owner, "")
    owner.now.wait(2 * 86_400)

    assert claim_run(system, "one", 15).job.spec.name == "before"
    assert "`retention`" in show_job(owner, job.id).evidence


def test_a_frozen_policy_that_was_changed_in_the_database_is_a_no(owner, system, a_stored_job):
    job = a_stored_job()
    with owner.store.writing() as tx:
        tx.jobs.save(job.model_copy(update={"policy_digest": "sha256:" + "0" * 64}))

    assert claim_run(system, "one", 15) is None
    assert "the policy it was accepted under" in show_job(owner, job.id).evidence


def test_a_frozen_policy_whose_text_was_changed_in_the_database_is_a_no(owner, system, a_stored_job):
    job = a_stored_job()
    with owner.store.writing() as tx:
        frozen = tx.policies.with_digest("default", job.policy_digest)
        lax = set_policy(owner, "every_class: {log: [metrics, run_log, content]}", dry_run=True).policy
        tx.policies.add("default", frozen.model_copy(update={"policy": lax}), is_set=False)

    assert claim_run(system, "one", 15) is None


def test_a_job_from_before_there_were_policies_is_asked_about_the_present_one(owner, system, a_stored_job):
    job = a_stored_job()
    with owner.store.writing() as tx:
        tx.jobs.save(job.model_copy(update={"policy_digest": None, "label": None}))

    assert claim_run(system, "one", 15).job.id == job.id


def test_a_run_may_reach_what_the_frozen_and_the_present_policy_both_list(owner, a_stored_job):
    assert grant_of(owner, a_stored_job()).egress == ()
    set_policy(owner, "every_class: {egress: [{host: a.example.com, up_bytes: 10}, {host: b.example.com}]}")
    job = submit_job(owner, a_spec())
    assert [each.host for each in grant_of(owner, job).egress] == ["a.example.com", "b.example.com"]

    set_policy(owner, "every_class: {egress: [{host: a.example.com, down_bytes: 5}, {host: b.example.com, port: 80}]}")

    (only,) = grant_of(owner, job).egress
    assert (only.host, only.up_bytes, only.down_bytes) == ("a.example.com", 10, 5)
    assert grant_of(owner, job.model_copy(update={"policy_digest": None})) == Grant(gpus=False, level=Level.LANDLOCK)


def test_a_run_is_given_gpus_where_the_frozen_and_the_present_policy_both_do(owner, a_stored_job):
    assert grant_of(owner, a_stored_job()) == Grant(gpus=True, level=Level.LANDLOCK)
    set_policy(owner, "every_class: {gpus: false}")
    job = submit_job(owner, a_spec())
    assert grant_of(owner, job) == Grant(gpus=False, level=Level.LANDLOCK)

    set_policy(owner, "every_class: {gpus: true}")

    assert grant_of(owner, job) == Grant(gpus=False, level=Level.LANDLOCK)
    assert grant_of(owner, submit_job(owner, a_spec())) == Grant(gpus=True, level=Level.LANDLOCK)


def test_an_artifact_that_needs_approvals_stays_in(owner, a_stored_job, tmp_path, decisions):
    job = a_stored_job()
    set_policy(owner, "every_class: {approvals: 1}")
    with owner.store.writing() as tx:
        tx.artifacts.add("default", an_artifact(job_id=job.id, label=job.label))

    with pytest.raises(Refused) as caught:
        export_artifact(owner, "art-1", tmp_path / "out")

    assert caught.value.about["rule"] == "approvals"
    assert not (tmp_path / "out").exists()
    assert decisions()[-1] == ("artifact:export", "refused", "approvals")


def test_what_the_policy_says_of_findings_is_told(owner):
    set_policy(owner, "every_class: {redaction: {email: mask}}\nrestricted: {redaction: {email: drop, card: refuse}}")

    assert treatments(owner, Classification.INTERNAL) == {"email": "mask"}
    assert treatments(owner, Classification.RESTRICTED) == {"email": "drop", "card": "refuse"}


@pytest.fixture
def add_mail(owner, tmp_path):
    def add_mail(**options):
        rows = [{"prompt": f"From person{n}@example.com: question {n}", "completion": f"Answer {n}."} for n in range(30)]
        (tmp_path / "mail.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        return add_dataset(owner, tmp_path / "mail.jsonl", "mail", DatasetOptions(**options), lambda *_: None)

    return add_mail


def test_data_is_redacted_as_the_policy_says_when_it_is_added(owner, add_mail, decisions):
    set_policy(owner, "every_class: {redaction: {email: mask}}")

    (found,) = [each for each in add_mail().findings if each.kind == "email"]
    assert (found.treatment, found.count) == (Treatment.MASK, 30)
    with pytest.raises(Refused):
        add_mail(on={"email": "keep"})
    assert decisions()[-1] == ("dataset:add", "refused", "redaction")


def test_data_that_keeps_what_the_policy_wants_redacted_by_now_is_not_trained_on(owner, a_stored_job, add_mail):
    a_stored_job()
    add_mail(on={"email": "keep"})
    assert submit_job(owner, a_spec(data="mail"))
    set_policy(owner, "every_class: {redaction: {email: mask}}")

    with pytest.raises(Refused) as caught:
        submit_job(owner, a_spec(data="mail"))
    assert caught.value.about["rule"] == "redaction"
    assert "30 of email" in caught.value.message
    add_mail()
    assert submit_job(owner, a_spec(data="mail"))


def test_data_that_was_never_scanned_is_not_trained_on_where_the_policy_redacts(owner, a_stored_job):
    a_stored_job()
    with owner.store.writing() as tx:
        tx.datasets.replace("default", Unscanned.model_validate(tx.datasets.find("default", "tickets").document()))
    set_policy(owner, "every_class: {redaction: {email: mask}}")

    with pytest.raises(Refused) as caught:
        submit_job(owner, a_spec())
    assert "was never scanned" in caught.value.message


def test_who_adds_data_may_be_stricter_than_the_policy_and_not_laxer(owner):
    set_policy(owner, "every_class: {redaction: {email: pseudonymise}}")

    assert treatments(owner, Classification.PUBLIC, {"email": Treatment.DROP, "ip": Treatment.KEEP}) == {
        "email": "drop",
        "ip": "keep",
    }
    with pytest.raises(Refused) as caught:
        treatments(owner, Classification.PUBLIC, {"email": Treatment.KEEP})
    assert caught.value.about["rule"] == "redaction"
