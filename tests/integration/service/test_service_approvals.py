"""Approvals: what needs a second person's yes waits for it, and nobody can give it in their stead."""

import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from factories import a_digest, a_spec, an_artifact
from intramural.domain.access import Action, Role
from intramural.domain.job import JobState
from intramural.domain.value import digest_of
from intramural.errors import Conflict, InvalidInput, NeedsApproval, NotFound, Refused
from intramural.service.approvals import add_approval, list_approvals, list_approvers, request_approval, withdraw_approval
from intramural.service.artifacts import export_artifact
from intramural.service.audit_key import AuditKey
from intramural.service.context import ApproversFile
from intramural.service.jobs import explain_job, resolve_job, submit_job
from intramural.service.policies import judge_leaving, set_policy
from intramural.service.runs import claim_run, queue_length

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="approvers sign with OpenSSH's ssh-keygen")

EXPORT = "every_class: {approvals: 1}"
START = "every_class: {start_approvals: 1}"


class Person:
    """Somebody with an SSH key."""

    def __init__(self, login, folder):
        self.login, self.key = login, folder / f"{login}.key"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{login}@here", "-f", self.key], check=True, timeout=60
        )

    @property
    def line(self):
        return f"{self.login} {self.key.with_suffix('.key.pub').read_text()}"

    def signs(self, text, namespace="intramural-approval"):
        command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", self.key]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=True, timeout=60)
        return done.stdout


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    return {login: Person(login, folder) for login in ("owner", "bob", "carol", "mallory")}


@pytest.fixture
def approvers(tmp_path, people):
    """The list: who submits is on it too, mallory is not."""
    path = tmp_path / "approvers"
    path.write_text("# who may approve\n\n" + "".join(people[each].line for each in ("owner", "bob", "carol")))
    path.chmod(0o644)
    return path


@pytest.fixture
def owner(make_context, tmp_path, approvers):
    return make_context(approvers=ApproversFile(approvers, os.getuid()), audit_key=AuditKey(tmp_path / "home" / "keys"))


@pytest.fixture
def made(owner, a_stored_job):
    """A job that ended, under a policy that wants one approval, and its adapter."""
    set_policy(owner, EXPORT)
    a_stored_job()
    job = submit_job(owner, a_spec(name="made")).model_copy(update={"state": JobState.SUCCEEDED})
    with owner.store.writing() as tx:
        tx.jobs.save(job)
        tx.artifacts.add("default", an_artifact(job_id=job.id, label=job.label))
    return job


@pytest.fixture
def may_leave(owner):
    """Whether the adapter may leave now, by the policies."""

    def may_leave():
        with owner.read() as tx:
            return judge_leaving(owner, tx, tx.artifacts.all("default")[0]).allowed

    return may_leave


def approved(ctx, ref, person):
    text = request_approval(ctx, ref).text()
    return add_approval(ctx, text, person.signs(text))


def last_act(ctx):
    with ctx.read() as tx:
        return tx.audit.newest("default", 1)[0]


def test_what_needs_an_approval_waits_for_it(owner, made, tmp_path, decisions):
    with pytest.raises(NeedsApproval) as caught:
        export_artifact(owner, "art-1", tmp_path / "out")

    assert caught.value.about["rule"] == "approvals"
    assert "it needs 1 approval and has none" in caught.value.message
    assert decisions()[-1] == ("artifact:export", "refused", "approvals")


def test_another_persons_yes_lets_it_go_and_is_recorded(owner, made, people, may_leave):
    given = approved(owner, "art-1", people["bob"])

    assert may_leave()
    (standing,) = list_approvals(owner, made.id)
    assert (standing.approval, standing.counts, standing.objects[0].digest) == (given, True, a_digest("adapter"))
    act = last_act(owner)
    assert (act.action, act.target, act.digest) == (Action.OBJECT_APPROVE, "art-1", a_digest("adapter"))
    assert act.detail["approver"] == "user:bob"
    assert act.detail["key"] in {each.fingerprint for each in list_approvers(owner)}


def test_a_yes_to_an_ended_job_is_one_to_all_that_it_made(owner, made, people, may_leave):
    with owner.store.writing() as tx:
        tx.artifacts.add(
            "default", an_artifact(id="art-2", kind="logs", job_id=made.id, label=made.label, digest=a_digest("logs"))
        )

    given = approved(owner, made.id, people["bob"])

    assert [each.id for each in request_approval(owner, made.id).objects] == ["art-1", "art-2"]
    assert may_leave()
    assert last_act(owner).detail["objects"] == {"art-1": a_digest("adapter"), "art-2": a_digest("logs")}
    assert list_approvals(owner)[0].approval.id == given.id


def test_who_submitted_it_cannot_approve_it(owner, made, people, may_leave, decisions):
    with pytest.raises(Refused):
        approved(owner, "art-1", people["owner"])

    assert decisions()[-1] == ("object:approve", "refused", "approvers")
    assert not may_leave()


def test_a_key_that_is_not_on_the_list_approves_nothing(owner, made, people, may_leave, decisions):
    with pytest.raises(Refused) as caught:
        approved(owner, "art-1", people["mallory"])

    assert "approvers" in caught.value.hint
    assert decisions()[-1] == ("object:approve", "refused", "approvers")
    assert not may_leave()


@pytest.mark.parametrize("forgery", ["another text", "another purpose", "cut", "none"])
def test_a_signature_of_something_else_is_none(owner, made, people, forgery, may_leave):
    text = request_approval(owner, "art-1").text()
    bob = people["bob"]
    signature = {
        "another text": lambda: bob.signs(text + " "),
        "another purpose": lambda: bob.signs(text, namespace="git"),
        "cut": lambda: bob.signs(text)[:200] + "\n-----END SSH SIGNATURE-----\n",
        "none": lambda: "yes",
    }[forgery]()

    with pytest.raises(Refused):
        add_approval(owner, text, signature)
    assert not may_leave()


def test_rows_written_past_the_door_count_for_nothing(owner, made, people, may_leave):
    """Who can write the database can neither make a yes nor give one another job, object, person or key."""
    given = approved(owner, "art-1", people["bob"])
    with owner.store.writing() as tx:
        tx.approvals.save(given.model_copy(update={"withdrawn_at": owner.now(), "withdrawn_by": "user:bob"}))
    own = request_approval(owner, "art-1").text()
    forged = [
        given.model_copy(
            update={"id": "0" * 15 + "1", "request": given.request.replace(a_digest("adapter"), a_digest("mine"))}
        ),
        given.model_copy(update={"id": "0" * 15 + "2", "request": own, "signature": people["mallory"].signs(own)}),
        given.model_copy(
            update={"id": "0" * 15 + "3", "request": own, "signature": people["owner"].signs(own), "by": "user:bob"}
        ),
        given.model_copy(update={"id": "0" * 15 + "4", "key": people["bob"].line, "request": own}),
    ]
    with owner.store.writing() as tx:
        for each in forged:
            tx.approvals.add(each)

    assert [each.counts for each in list_approvals(owner, made.id)] == [False] * 5
    assert not may_leave()


def test_an_artifact_that_changed_needs_a_new_yes(owner, made, people, may_leave):
    approved(owner, "art-1", people["bob"])
    with owner.store.writing() as tx:
        artifact = tx.artifacts.all("default")[0]
        changed = artifact.model_copy(update={"id": "art-3", "digest": a_digest("changed"), "run_id": "run-2"})
        tx.artifacts.add("default", changed)

    with owner.read() as tx:
        assert not judge_leaving(owner, tx, changed).allowed
        assert not judge_leaving(owner, tx, artifact.model_copy(update={"digest": a_digest("changed")})).allowed
    assert may_leave()


def test_a_yes_in_another_home_is_none_here(owner, made, people, may_leave):
    request = request_approval(owner, "art-1").model_copy(update={"home": "intramural/0123456789abcdef"})

    with pytest.raises(Conflict):
        add_approval(owner, request.text(), people["bob"].signs(request.text()))
    assert not may_leave()


def test_a_request_that_tells_something_else_than_is_so_is_refused(owner, made, people):
    request = request_approval(owner, "art-1")
    for change in ({"label": "public"}, {"result": "queue accuracy 99 %"}, {"submitted_by": "user:carol"}, {"data": "other@1"}):
        other = request.model_copy(update=change).text()
        with pytest.raises(Conflict):
            add_approval(owner, other, people["bob"].signs(other))


def test_a_withdrawn_yes_counts_no_more_and_is_not_added_again(owner, made, people, may_leave):
    text = request_approval(owner, "art-1").text()
    signature = people["bob"].signs(text)
    given = add_approval(owner, text, signature)
    with pytest.raises(Conflict):
        add_approval(owner, text, signature)

    assert withdraw_approval(owner, given.id[:8]).withdrawn_by == "user:owner"

    assert last_act(owner).action is Action.APPROVAL_WITHDRAW
    assert not may_leave()
    for again in (lambda: add_approval(owner, text, signature), lambda: withdraw_approval(owner, given.id)):
        with pytest.raises(Conflict, match="withdrawn"):
            again()
    owner.now.wait(1)
    approved(owner, "art-1", people["bob"])
    assert may_leave()


def test_a_person_counts_once_however_often_they_say_yes(owner, made, people, may_leave):
    set_policy(owner, "every_class: {approvals: 2}")
    for _ in range(2):
        owner.now.wait(1)
        approved(owner, "art-1", people["bob"])
    assert not may_leave()

    approved(owner, "art-1", people["carol"])

    assert may_leave()


def test_the_stricter_of_the_frozen_and_the_present_policy_counts(owner, made, people, may_leave):
    set_policy(owner, "")

    assert not may_leave()
    approved(owner, "art-1", people["bob"])
    assert may_leave()


def test_who_left_the_list_does_not_count_any_more(owner, made, people, approvers, may_leave):
    approved(owner, "art-1", people["bob"])
    approvers.write_text(people["carol"].line)

    assert not may_leave()
    assert list_approvals(owner)[0].why_not == "no key on the list of approvers signed it"


@pytest.mark.parametrize("hole", ["group may write", "another's", "a link", "folder open", "no text", "bad line"])
def test_a_list_that_others_could_change_is_not_believed(owner, made, people, approvers, hole, may_leave, make_context):
    approved(owner, "art-1", people["bob"])
    ctx = owner
    match hole:
        case "group may write":
            approvers.chmod(0o664)
        case "folder open":
            approvers.parent.chmod(0o777)
        case "a link":
            approvers.rename(approvers.with_name("real"))
            approvers.symlink_to("real")
        case "no text":
            approvers.write_bytes(b"\xff")
        case "bad line":
            approvers.write_text(people["bob"].line + "carol ssh-rsa AAAA\n")
        case "another's":
            if os.getuid() == 0:
                os.chown(approvers, 12345, 12345)
            else:
                ctx = make_context(approvers=ApproversFile(approvers, 12345), audit_key=owner.audit_key)

    with ctx.read() as tx:
        verdict = judge_leaving(ctx, tx, tx.artifacts.all("default")[0])
    approvers.parent.chmod(0o700)
    assert not verdict.allowed
    assert "could not be decided" in verdict.denials[0].reason


def test_without_a_list_nobody_may_approve(owner, made, people, approvers, may_leave):
    approved(owner, "art-1", people["bob"])
    approvers.unlink()

    assert list_approvers(owner) == []
    assert not may_leave()
    with pytest.raises(Refused):
        approved(owner, made.id, people["carol"])


def test_a_job_waits_for_its_start_to_be_approved_and_others_pass_it(owner, system, a_stored_job, people, decisions):
    set_policy(owner, START)
    waiting, second = a_stored_job(name="waiting"), submit_job(owner, a_spec(name="second"))
    assert waiting.start_approvals == 1
    system = replace(owner, actor=system.actor)

    assert claim_run(system, "one", 15) is None
    assert queue_length(system) == 0
    assert explain_job(owner, waiting.id).summary == "waiting for approval: it needs 1 approval and has none"
    assert decisions()[-1] == ("job:submit", "allowed", None)

    approved(owner, second.id, people["bob"])

    assert queue_length(system) == 1
    assert claim_run(system, "one", 15).job.id == second.id


def test_a_dry_run_tells_that_the_job_would_wait(owner, a_stored_job):
    a_stored_job()
    set_policy(owner, START)

    assert "It will wait until 1 other person approved it." in resolve_job(owner, a_spec()).checks


def test_a_yes_to_the_start_is_none_to_what_it_makes_nor_to_a_changed_job(owner, a_stored_job, people):
    set_policy(owner, START)
    job = a_stored_job()
    approved(owner, job.id, people["bob"])
    changed = job.model_copy(update={"spec_digest": digest_of("another")})
    with owner.store.writing() as tx:
        tx.jobs.save(changed)

    (standing,) = list_approvals(owner)

    assert "does not name" in standing.why_not
    assert request_approval(owner, job.id).objects[0].what == "start"


def test_a_running_job_or_one_that_left_nothing_has_nothing_to_approve(owner, a_stored_job):
    job = a_stored_job()
    for state in (JobState.RUNNING, JobState.FAILED):
        with owner.store.writing() as tx:
            tx.jobs.save(job.model_copy(update={"state": state}))
        with pytest.raises(Conflict):
            request_approval(owner, job.id)


def test_what_is_no_request_is_said_so_without_a_quote(owner, made, people):
    for text in ("SECRET", "{}", request_approval(owner, "art-1").text() + " "):
        with pytest.raises(InvalidInput) as caught:
            add_approval(owner, text, people["bob"].signs(text))
        assert "SECRET" not in str(caught.value.document())
    with pytest.raises(NotFound):
        request_approval(owner, "nothing")
    with pytest.raises(NotFound):
        withdraw_approval(owner, "abc")


def test_a_viewer_may_neither_add_nor_withdraw(owner, made, people, make_context):
    given = approved(owner, "art-1", people["bob"])
    viewer = make_context(Role.VIEWER, approvers=owner.approvers, audit_key=owner.audit_key)
    text = request_approval(viewer, "art-1").text()

    for act in (lambda: add_approval(viewer, text, people["carol"].signs(text)), lambda: withdraw_approval(viewer, given.id)):
        with pytest.raises(Refused):
            act()
