"""Jobs as members meet them: what is checked before the queue, what is refused, and what is explained."""

import psutil
import pytest

from disks import a_disk
from factories import a_dataset_version, a_model, a_spec, later
from intramural.domain.cause import Cause, Failure
from intramural.domain.dataset import ExampleKind
from intramural.domain.job import JobState, Outcome
from intramural.errors import Conflict, DoesNotFit, InvalidInput, NotFound, Refused
from intramural.service.fit import LIBRARY_BYTES, machine_memory
from intramural.service.jobs import (
    cancel_job,
    explain_job,
    find_job,
    list_jobs,
    pause_job,
    resolve_job,
    resume_job,
    submit_job,
)
from intramural.service.run_logs import job_log
from intramural.service.runs import claim_run, collect_artifacts, end_run, sweep_runs
from intramural.service.scope_keys import dataset_files


@pytest.fixture
def parts(owner):
    """A base model and a data set on record."""
    sealed = dataset_files(owner, "tickets")
    with owner.store.writing() as tx:
        tx.models.add("default", a_model())
        tx.datasets.add("default", a_dataset_version())
        sealed.write_down(tx, "default")


def test_what_was_accepted_is_frozen_by_digest(owner, parts, decisions):
    job = submit_job(owner, a_spec())

    assert list_jobs(owner) == [job]
    assert (job.base_digest, job.dataset_label, job.state) == (a_model().digest, "tickets@1", JobState.QUEUED)
    assert decisions() == [("job:submit", "allowed", None)]


def test_a_resolution_says_what_would_be_used_and_changes_nothing(owner, parts, decisions):
    found = resolve_job(owner, a_spec(data="tickets@1"))

    assert (found.dataset_label, found.base_digest) == ("tickets@1", a_model().digest)
    assert found.checks[0] == "tiny (100.0 k parameters) and tickets@1 (90 examples) fit."
    assert found.checks[1].startswith("Disk: up to 344 KiB of ")
    assert found.checks[2].startswith("Memory: at least 500 MiB of ")
    assert list_jobs(owner) == []
    assert decisions() == []


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ({"base": "tinny"}, NotFound, "Did you mean tiny?"),
        ({"data": "tickets@9"}, NotFound, "shows the versions"),
        ({"data": "ticket"}, NotFound, "Did you mean tickets?"),
        ({"train": {"sequence_length": 2000}}, InvalidInput, "auto"),
        ({"resources": {"memory_gb": 0.1}}, DoesNotFit, "memory"),
    ],
)
def test_a_spec_that_cannot_run_is_refused_before_the_queue_with_the_way_out(owner, parts, spec, error, words):
    for verb in (submit_job, resolve_job):
        with pytest.raises(error) as caught:
            verb(owner, a_spec(**spec))
        assert words in caught.value.hint
    assert list_jobs(owner) == []


def test_a_laxer_class_than_the_datas_is_a_recorded_refusal(owner, parts, decisions):
    laxer = a_spec(classification="public")

    with pytest.raises(Refused) as caught:
        submit_job(owner, laxer)

    assert (caught.value.about["rule"], caught.value.hint) == ("label", "Leave `classification` out, or give a stricter one.")
    assert decisions() == [("job:submit", "refused", "label")]
    assert [each.rule for each in resolve_job(owner, laxer).verdict.denials] == ["label"]


def test_a_stricter_class_may_be_given(owner, parts):
    assert submit_job(owner, a_spec(classification="restricted")).state is JobState.QUEUED


@pytest.mark.parametrize(("fields", "words"), [({"kind": ExampleKind.PREFERENCE}, "chat"), ({"train_examples": 0}, "rows")])
def test_data_that_cannot_be_trained_on_is_refused(owner, parts, fields, words):
    with owner.store.writing() as tx:
        tx.datasets.add("default", a_dataset_version(version=2, **fields))

    with pytest.raises(InvalidInput) as caught:
        submit_job(owner, a_spec())
    assert words in caught.value.hint


def test_a_model_that_no_memory_holds_does_not_fit(owner, parts):
    with owner.store.writing() as tx:
        tx.models.add("default", a_model(name="huge", parameters=machine_memory()))

    with pytest.raises(DoesNotFit, match=r"huge needs at least .* of memory; here a run may have") as caught:
        submit_job(owner, a_spec(base="huge", method={"lora": {"rank": 1}}, checkpoint={"keep": 1}))
    assert caught.value.about["need_bytes"] > caught.value.about["have_bytes"] > 0


def test_a_job_may_need_all_memory_there_is_though_others_use_some_of_it_now(owner, parts):
    """It waits for its turn; its run looks at the free memory when it starts."""
    parameters = (machine_memory() - LIBRARY_BYTES) // 2
    assert psutil.virtual_memory().available < psutil.virtual_memory().total
    with owner.store.writing() as tx:
        tx.models.add("default", a_model(name="large", parameters=parameters))

    job = submit_job(owner, a_spec(base="large", method={"lora": {"rank": 1}}, checkpoint={"keep": 1}))

    assert job.state is JobState.QUEUED


def test_too_small_a_disk_does_not_fit(make_context, parts, tmp_path):
    with a_disk(tmp_path / "disk", "size=8m") as folder, pytest.raises(DoesNotFit, match=r"8\.0 MiB free"):
        submit_job(make_context(home=folder), a_spec())


def test_a_job_is_meant_by_id_name_or_the_unique_beginning_of_its_id(owner, parts):
    first, second = (submit_job(owner, a_spec(name=each)) for each in ("router", "sorter"))

    with owner.read() as tx:
        assert find_job(owner, tx, first.id) == find_job(owner, tx, "router") == first
        assert find_job(owner, tx, "sorter") == second
        with pytest.raises(InvalidInput, match="more than one"):
            find_job(owner, tx, "job-")
        for ref in ("ruoter", "", "job-9"):
            with pytest.raises(NotFound):
                find_job(owner, tx, ref)


def test_steering_follows_the_state_machine_and_leaves_entries(owner, parts, decisions):
    submit_job(owner, a_spec())

    assert pause_job(owner, "router").state is JobState.PAUSED
    assert resume_job(owner, "router", accept_drift=True).accept_drift
    assert cancel_job(owner, "router").state is JobState.CANCELLED
    with pytest.raises(Conflict):
        cancel_job(owner, "router")
    assert [each[0] for each in decisions()] == ["job:submit", "job:pause", "job:resume", "job:cancel"]


def test_every_standing_is_explained(make_context, owner, parts, clock):
    system = make_context("system")
    job = submit_job(owner, a_spec())
    submit_job(owner, a_spec(name="second"))
    assert explain_job(owner, "router").summary == "waiting for the scheduler to start it"

    claim = claim_run(system, "one", 15)
    assert explain_job(owner, "router").summary == "running: starting"
    behind = explain_job(owner, "second")
    assert behind.summary == "waiting for router to end (1 of 1 places are taken)"
    assert claim.job.id in behind.next_step

    pause_job(owner, "router")
    assert explain_job(owner, "router").summary.startswith("asked to pause")
    end_run(system, claim.run.id, 1, Outcome.STOPPED, None, 7)
    paused = explain_job(owner, "router")
    assert (paused.summary, paused.next_step) == ("resting at step 7", f"`intramural resume {job.id}` goes on.")

    resume_job(owner, "router")
    claim = claim_run(system, "one", 15)
    end_run(system, claim.run.id, 1, Outcome.FAILED, Failure(cause=Cause.KILLED, evidence="signal 9"), 7)
    assert "attempt 2 was lost (killed); it goes on from step 7" in explain_job(owner, "router").summary

    claim = claim_run(system, "one", 15)
    end_run(system, claim.run.id, 1, Outcome.FAILED, Failure(cause=Cause.DIVERGED, evidence="the loss is not a number"))
    failed = explain_job(owner, "router")
    assert (failed.cause, failed.evidence) == (Cause.DIVERGED, "the loss is not a number")
    assert "learning_rate" in failed.next_step

    claim = claim_run(system, "one", 15)
    end_run(system, claim.run.id, 1, Outcome.SUCCEEDED, None)
    assert explain_job(owner, "second").summary == "it did what was asked"


def test_a_job_that_waits_says_what_would_start_it(owner, parts):
    job = submit_job(owner, a_spec())

    assert explain_job(owner, "router").next_step.startswith(f"`intramural watch {job.id}` starts a scheduler")


def test_a_job_whose_scheduler_died_says_since_when_and_what_to_do(make_context, owner, parts, clock):
    claim = claim_run_of(make_context, owner)
    submit_job(owner, a_spec(name="second"))
    clock.wait(14)
    assert explain_job(owner, "router").summary == "running: starting"

    clock.wait(121)

    alone = explain_job(owner, "router")
    assert "has been without a scheduler for 2 min 00 s (the lease of one is over)" in alone.summary
    assert alone.seconds_left is None
    behind = explain_job(owner, "second")
    assert behind.summary.startswith("waiting for router to end (1 of 1 places are taken), which has been without")
    assert alone.next_step == behind.next_step
    assert f"`intramural watch {claim.job.id}` starts a scheduler" in alone.next_step


def claim_run_of(make_context, owner):
    submit_job(owner, a_spec())
    return claim_run(make_context("system"), "one", 15)


def test_logs_of_all_attempts_are_one_text_and_no_letter_is_cut_in_two(owner, parts, make_context):
    system = make_context("system")
    submit_job(owner, a_spec())
    texts = ["erster Versuch: ü€😀\n", "zweiter Versuch: ö\n"]
    for text in texts:
        claim = claim_run(system, "one", 15)
        (owner.runs / claim.run.id).mkdir(parents=True)
        (owner.runs / claim.run.id / "log").write_text(text)
        if text == texts[0]:
            collect_artifacts(system, claim.run.id, 1, owner.runs / claim.run.id)
        end_run(system, claim.run.id, 1, Outcome.STOPPED, None)
    claim_run(system, "one", 15)
    assert [(path.read_text(), path.parent.name) for path in owner.runs.rglob("log")] == [(texts[1], claim.run.id)]

    for limit in (4, 5, 7, 1000):
        read, offset = "", 0
        while (piece := job_log(owner, "router", offset=offset, limit=limit)).text:
            read, offset = read + piece.text, piece.offset
        assert read == "".join(texts)


def test_a_log_that_was_sealed_lies_in_clear_no_more_whoever_was_killed_meanwhile(owner, parts, make_context):
    system = make_context("system")
    submit_job(owner, a_spec())
    claim = claim_run(system, "one", 15)
    folder = owner.runs / claim.run.id
    folder.mkdir(parents=True)
    (folder / "log").write_text("a row, printed\n")
    collect_artifacts(system, claim.run.id, 1, folder)
    end_run(system, claim.run.id, 1, Outcome.FAILED, None)
    (folder / "log").write_text("a row, printed\n")  # as if it had not come to the removal

    sweep_runs(system)

    assert not (folder / "log").exists()
    assert job_log(owner, "router").text == "a row, printed\n"
    assert not any(b"a row, printed" in path.read_bytes() for path in owner.home.rglob("*") if path.is_file())


def test_jobs_are_listed_newest_first(owner, parts, clock):
    for name in ("one", "two", "three"):
        submit_job(owner, a_spec(name=name))
        clock.wait(1)

    assert [each.spec.name for each in list_jobs(owner)] == ["three", "two", "one"]
    assert list_jobs(owner)[0].submitted_at == later(2)
