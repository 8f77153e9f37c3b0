"""Lineage over jobs, attempts, checkpoints and artifacts; and what a quarantine keeps from being used or leaving."""

import pytest

from factories import a_dataset_version, a_digest, a_spec, an_artifact
from intramural.domain.cause import Cause
from intramural.domain.job import JobState, Outcome
from intramural.domain.label import Label
from intramural.domain.workload import CheckpointEvent
from intramural.errors import Conflict, InvalidInput, NotFound, Refused
from intramural.service.artifacts import export_artifact
from intramural.service.jobs import resume_job, show_job, submit_job
from intramural.service.lineage import show_lineage
from intramural.service.quarantines import list_quarantined, quarantine_object, release_object
from intramural.service.runs import claim_run, record_events


def a_checkpoint(step):
    return CheckpointEvent(at=1.0, step=step, size_bytes=1, blocked_seconds=0, write_seconds=0)


@pytest.fixture
def trained(owner, system, a_stored_job):
    """A job whose first attempt wrote a checkpoint and was lost, and whose second left an adapter and a merged model."""
    job = a_stored_job()
    first = claim_run(system, "one", 15)
    record_events(system, first.run.id, 1, 1, [a_checkpoint(50)])
    with owner.store.writing() as tx:
        run = tx.runs.get(first.run.id)
        tx.runs.save(run.ended(Outcome.STOPPED, None, fence=1, now=owner.now()))
        job = tx.jobs.get(job.id).ended(Outcome.STOPPED, now=owner.now(), checkpoint_step=50)
        tx.jobs.save(job)
    second = claim_run(system, "one", 15)
    with owner.store.writing() as tx:
        for name, kind in (("art-m", "merged_model"), ("art-a", "adapter"), ("art-e", "evaluation")):
            made = an_artifact(id=name, kind=kind, job_id=job.id, run_id=second.run.id, digest=a_digest(name))
            tx.artifacts.add("default", made)
    return second


def keys(branches):
    return [(each.object.key, keys(each.branches)) for each in branches]


def flat(branches):
    return [key for each in branches for key in (each.object.key, *flat(each.branches))]


def test_an_adapter_leads_up_to_the_data_and_down_to_the_merged_model(owner, trained):
    first = next(key for key in flat(show_lineage(owner, "tickets").down) if key.startswith("run:"))

    tree = show_lineage(owner, "art-a")

    above = [(f"job:{trained.job.id}", [("model:tiny", []), ("data:tickets@1", [])])]
    assert keys(tree.up) == [(f"run:{trained.run.id}", [(f"checkpoint:{first[4:]}/step-50", [(first, above)])])]
    assert keys(tree.down) == [("artifact:art-m", [])]


def test_the_label_of_the_data_is_on_everything_below_it(owner, trained):
    (job,) = show_lineage(owner, "data:tickets").down

    def labels(branch):
        return {branch.object.label} | {each for below in branch.branches for each in labels(below)}

    assert labels(job) == {Label(classification="confidential")}


@pytest.mark.parametrize("ref", ["tiny", "model:tiny", "tickets", "tickets@1", "data:tickets", "router", "job:router", "art-a"])
def test_objects_are_named_as_elsewhere(owner, trained, ref):
    assert show_lineage(owner, ref).object.title


@pytest.mark.parametrize("ref", ["", "nothing", "job:tickets", "data:tickets@9", "data:", "tickets@x", "run:tickets"])
def test_what_is_not_there_is_not_found(owner, trained, ref):
    with pytest.raises(NotFound):
        show_lineage(owner, ref)


def test_a_name_of_several_asks_which(owner, a_stored_job):
    a_stored_job(name="tickets")

    with pytest.raises(InvalidInput) as caught:
        show_lineage(owner, "tickets")
    assert "data:tickets@1, job:job-" in caught.value.message
    assert show_lineage(owner, "job:tickets").object.title == "job tickets, queued"


def test_a_model_that_was_removed_is_known_by_its_digest(owner, trained):
    with owner.store.writing() as tx:
        tx.models.remove("default", "tiny")

    (job,) = [each for each in show_lineage(owner, trained.job.id).up if each.object.kind == "model"]
    assert job.object.title == "base model tiny, removed"


def test_data_in_quarantine_is_used_by_no_new_job(owner, a_stored_job, decisions):
    a_stored_job()
    quarantine_object(owner, "tickets", "a complaint came in")

    with pytest.raises(Refused) as caught:
        submit_job(owner, a_spec())

    assert caught.value.about["rule"] == "quarantine"
    assert caught.value.message == "The rule `quarantine` refuses it: data:tickets@1 is in quarantine."
    assert decisions()[-2:] == [("object:quarantine", "allowed", None), ("job:submit", "refused", "quarantine")]


@pytest.mark.parametrize("ref", ["data:tickets@1", "model:tiny", "job:router"])
def test_a_job_that_waits_on_it_is_refused_when_its_turn_comes(owner, system, a_stored_job, ref, decisions):
    job = a_stored_job()
    quarantine_object(owner, ref, "r")

    assert claim_run(system, "one", 15) is None

    report = show_job(owner, job.id)
    assert (report.state, report.cause) == (JobState.FAILED, Cause.REFUSED)
    assert decisions()[-1] == ("run:start", "refused", "quarantine")
    release_object(owner, ref)
    assert resume_job(owner, job.id).state is JobState.QUEUED
    assert claim_run(system, "one", 15) is not None


def test_the_same_rows_under_another_name_are_in_quarantine_too(owner, a_stored_job):
    a_stored_job()
    with owner.store.writing() as tx:
        tx.datasets.add("default", a_dataset_version(name="copy"))
    quarantine_object(owner, "tickets", "r")

    with pytest.raises(Refused) as caught:
        submit_job(owner, a_spec(data="copy"))

    assert caught.value.about["rule"] == "quarantine"


@pytest.mark.parametrize("ref", ["art-a", "job:router"])
def test_an_artifact_in_quarantine_does_not_leave(owner, trained, tmp_path, ref):
    quarantine_object(owner, ref, "r")

    with pytest.raises(Refused) as caught:
        export_artifact(owner, "art-a", tmp_path / "out")
    assert caught.value.about["rule"] == "quarantine"


def test_what_was_made_of_it_is_listed_and_taken_on_request(owner, trained):
    below = [f"job:{trained.job.id}", "artifact:art-a", "artifact:art-e", "artifact:art-m"]

    alone = quarantine_object(owner, "tickets", "r")
    assert [each.key for each in alone.changed] == ["data:tickets@1"]
    assert [each.key for each in alone.downstream] == below

    both = quarantine_object(owner, "tickets", "r", downstream=True)
    assert [each.key for each in both.changed] == below
    assert both.downstream == ()
    assert [each.because_of for each in list_quarantined(owner)] == [None, *["data:tickets@1"] * 4]
    assert all(each.object.quarantined for each in show_lineage(owner, "art-a").down)


def test_a_release_ends_it_and_on_request_what_went_in_because_of_it(owner, trained):
    quarantine_object(owner, "art-m", "for itself")
    quarantine_object(owner, "tickets", "r", downstream=True)

    alone = release_object(owner, "tickets")
    assert [each.key for each in alone.changed] == ["data:tickets@1"]
    assert len(alone.downstream) == 4
    quarantine_object(owner, "tickets", "r")
    release_object(owner, "tickets", downstream=True)

    assert [each.key for each in list_quarantined(owner)] == ["artifact:art-m"]


def test_twice_in_or_twice_out_is_a_conflict(owner, a_stored_job):
    a_stored_job()
    with pytest.raises(Conflict):
        release_object(owner, "tickets")
    quarantine_object(owner, "tickets", "r")
    with pytest.raises(Conflict):
        quarantine_object(owner, "tickets", "r")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_quarantine_has_a_reason_of_bounded_length(owner, a_stored_job, reason):
    a_stored_job()
    with pytest.raises(InvalidInput):
        quarantine_object(owner, "tickets", reason)


def test_a_run_is_in_quarantine_with_its_job(owner, trained):
    with pytest.raises(InvalidInput):
        quarantine_object(owner, f"run:{trained.run.id}", "r")


def test_a_member_may_put_in_and_only_an_owner_takes_out(owner, make_context, a_stored_job):
    a_stored_job()
    with pytest.raises(Refused):
        quarantine_object(make_context("viewer"), "tickets", "r")
    quarantine_object(make_context("member"), "tickets", "r")

    with pytest.raises(Refused):
        release_object(make_context("member"), "tickets")
    assert release_object(owner, "tickets").object.quarantined is False


def test_the_entry_of_a_quarantine_names_the_objects_and_not_the_reason(owner, trained):
    quarantine_object(owner, "tickets", "Alice complained", downstream=True)

    with owner.read() as tx:
        (entry,) = tx.audit.newest("default", 1)
    assert entry.target == "data:tickets@1"
    assert len(entry.detail["objects"]) == 5
    assert "Alice" not in entry.body()
