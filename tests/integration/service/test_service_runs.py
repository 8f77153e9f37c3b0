"""What the scheduler relies on: claims, leases and fences, directories that may be made again, ends that count once."""

import os
import shutil

import pytest

from factories import a_digest, later
from intramural.domain.artifact import ArtifactKind
from intramural.domain.cause import Cause, Failure
from intramural.domain.job import JobState, Outcome, Wish
from intramural.domain.workload import CheckpointEvent, NoticeEvent, ResolvedEvent, ResumeEvent, WorkloadSpec
from intramural.errors import Conflict, IntegrityFailure, NotFound, StaleFence
from intramural.sealing import is_sealed
from intramural.service.artifacts import export_artifact, list_artifacts, show_artifact, verify_artifact
from intramural.service.jobs import cancel_job, job_events, pause_job, resume_job
from intramural.service.runs import (
    adopt_runs,
    claim_run,
    collect_artifacts,
    end_run,
    last_event,
    prepare_run,
    queue_length,
    record_events,
    renew_lease,
    sweep_runs,
    wishes,
)

KILLED = Failure(cause=Cause.KILLED, evidence="signal 9")


def notice(message):
    return NoticeEvent(at=1.0, message=message)


def a_checkpoint(step):
    return CheckpointEvent(at=1.0, step=step, size_bytes=1, blocked_seconds=0, write_seconds=0)


def test_an_empty_queue_gives_no_run_and_leaves_no_entry(system, decisions):
    assert claim_run(system, "one", 15) is None
    assert decisions() == []


def test_the_most_urgent_job_is_first_then_the_oldest(a_stored_job, make_context, clock):
    system = make_context("system", parallel_runs=9)
    for name, job_class in (("b1", "batch"), ("t1", "training"), ("t2", "training"), ("d1", "dev")):
        a_stored_job(name=name, **{"class": job_class})
        clock.wait(1)

    names = []
    while (claim := claim_run(system, "one", 15)) is not None:
        names.append(claim.job.spec.name)
    assert names == ["d1", "t1", "t2", "b1"]


def test_no_more_runs_are_claimed_than_there_are_places(a_stored_job, make_context):
    system = make_context("system", parallel_runs=2)
    for name in ("one", "two", "three"):
        a_stored_job(name=name)

    assert [claim_run(system, "one", 15) is None for _ in range(3)] == [False, False, True]
    assert queue_length(system) == 1


def test_the_ends_of_a_run_are_recorded_by_its_id_under_the_project_of_its_job(a_stored_job, owner, make_context):
    """The scheduler serves every project of its home; its entries belong to the one whose job it ran."""
    elsewhere = make_context("system", project="another")
    a_stored_job()

    run = claim_run(elsewhere, "one", 15).run
    end_run(elsewhere, run.id, 1, Outcome.SUCCEEDED, None)

    with owner.read() as tx:
        mine = [(each.action.value, each.target) for each in tx.audit.newest("default", 10)]
        theirs = tx.audit.newest("another", 10)
    assert mine[1:] == [("run:start", run.id), ("run:end", run.id)]
    assert theirs == []


def test_a_claim_is_recorded_with_its_lease(a_stored_job, system, decisions):
    job = a_stored_job()

    claim = claim_run(system, "one", 15)

    assert (claim.job.id, claim.job.state, claim.run.attempt) == (job.id, JobState.RUNNING, 1)
    assert (claim.run.lease.holder, claim.run.lease.fence, claim.run.lease.expires_at) == ("one", 1, later(15))
    assert decisions()[-1] == ("run:start", "allowed", None)


def test_only_expired_or_own_runs_are_adopted_and_only_the_former_with_a_new_fence(a_stored_job, system, clock):
    a_stored_job()
    run = claim_run(system, "one", 15).run

    assert adopt_runs(system, "two", 15) == []
    assert [each.run.lease.fence for each in adopt_runs(system, "one", 15)] == [1]
    clock.wait(15)
    (claim,) = adopt_runs(system, "two", 15)
    assert (claim.run.id, claim.run.lease.holder, claim.run.lease.fence) == (run.id, "two", 2)


def test_a_scheduler_that_lost_its_lease_can_write_nothing(a_stored_job, system, clock, tmp_path):
    a_stored_job()
    run = claim_run(system, "one", 15).run
    clock.wait(15)
    adopt_runs(system, "two", 15)

    for write in (
        lambda: renew_lease(system, run.id, "one", 15),
        lambda: record_events(system, run.id, 1, 1, [notice("late")]),
        lambda: end_run(system, run.id, 1, Outcome.SUCCEEDED, None),
        lambda: collect_artifacts(system, run.id, 1, tmp_path),
    ):
        with pytest.raises(StaleFence):
            write()
    assert last_event(system, run.id) == 0
    assert renew_lease(system, run.id, "two", 60).lease.expires_at == later(75)


def test_a_run_that_another_ended_is_not_renewed(a_stored_job, system, clock):
    """A scheduler that slept through the whole end of its run must let go of it, not take it over again."""
    a_stored_job()
    run = claim_run(system, "one", 15).run
    clock.wait(15)
    adopt_runs(system, "two", 15)
    end_run(system, run.id, 2, Outcome.SUCCEEDED, None)
    clock.wait(100)

    with pytest.raises(StaleFence):
        renew_lease(system, run.id, "one", 15)
    assert adopt_runs(system, "one", 15) == []


def test_wishes_of_members_reach_the_scheduler(a_stored_job, owner, system):
    job = a_stored_job()
    run = claim_run(system, "one", 15).run
    assert wishes(system, [run.id]) == {run.id: Wish.RUN}

    pause_job(owner, job.id)
    assert wishes(system, [run.id]) == {run.id: Wish.PAUSE}
    cancel_job(owner, job.id)
    assert wishes(system, [run.id]) == {run.id: Wish.CANCEL}


def test_events_told_twice_are_kept_once(a_stored_job, owner, system):
    a_stored_job()
    run = claim_run(system, "one", 15).run

    record_events(system, run.id, 1, 1, [notice("a"), notice("b")])
    record_events(system, run.id, 1, 2, [notice("b"), notice("c")])

    told = job_events(owner, "router")
    assert [each.event.message for each in told] == ["a", "b", "c"]
    assert last_event(system, run.id) == 3
    assert [each.event.message for each in job_events(owner, "router", after=told[0].seq, limit=1)] == ["b"]


def test_the_newest_checkpoint_becomes_the_jobs_at_the_end(a_stored_job, system):
    a_stored_job()
    run = claim_run(system, "one", 15).run
    record_events(system, run.id, 1, 1, [ResumeEvent(at=1.0, step=4), a_checkpoint(10), a_checkpoint(20)])

    job = end_run(system, run.id, 1, Outcome.FAILED, KILLED)

    assert (job.state, job.checkpoint_step) == (JobState.QUEUED, 20)
    assert claim_run(system, "one", 15).run.checkpoint_step == 20


def test_a_run_ends_once(a_stored_job, system, decisions):
    a_stored_job()
    run = claim_run(system, "one", 15).run
    end_run(system, run.id, 1, Outcome.FAILED, KILLED)

    with pytest.raises(Conflict):
        end_run(system, run.id, 1, Outcome.SUCCEEDED, None)
    assert [each[0] for each in decisions()] == ["job:submit", "run:start", "run:end"]


def test_accepted_drift_reaches_the_next_run(a_stored_job, owner, system):
    job = a_stored_job()
    run = claim_run(system, "one", 15).run
    assert not run.accept_drift
    end_run(system, run.id, 1, Outcome.FAILED, Failure(cause=Cause.DRIFT, evidence="torch"))

    resume_job(owner, job.id, accept_drift=True)

    assert claim_run(system, "one", 15).run.accept_drift


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_directory_is_filled_and_private(a_stored_job, system):
    job = a_stored_job()
    claim = claim_run(system, "one", 15)
    folder = system.runs / claim.run.id

    prepare_run(system, claim, folder)

    inputs = contents(folder / "inputs")
    assert inputs.keys() == {"model/config.json", "train.jsonl", "holdout.jsonl"}
    assert oct(os.stat(folder).st_mode & 0o777) == "0o700"
    spec = WorkloadSpec.model_validate_json((folder / "spec.json").read_bytes())
    assert (spec.run_id, spec.attempt, spec.job) == (claim.run.id, 1, job.spec)
    assert spec.submitted_at == spec.asked_at == later(0).timestamp()


def test_staging_again_changes_nothing_and_half_a_directory_is_made_anew(a_stored_job, system):
    a_stored_job()
    claim = claim_run(system, "one", 15)
    folder = system.runs / claim.run.id
    (folder / "inputs").mkdir(parents=True)
    (folder / "inputs" / "train.jsonl").write_text("torn")

    prepare_run(system, claim, folder)
    assert is_sealed((folder / "inputs" / "train.jsonl").read_bytes())

    (folder / "events.jsonl").write_text("told\n")
    before = contents(folder)
    prepare_run(system, claim, folder)
    assert contents(folder) == before


def write_checkpoint(folder, step, body):
    path = folder / "checkpoints" / f"step-{step:08d}"
    path.mkdir(parents=True)
    (path / "state.json").write_text(body)


def test_an_attempt_finds_the_checkpoints_of_all_before_it_the_newest_attempts_first(a_stored_job, system, clock):
    """Of two checkpoints of one step, the later attempt's counts: the earlier was not good enough to go on from."""
    a_stored_job()
    written = [[(10, "first"), (20, "first")], [(20, "second"), (30, "second")], []]
    for steps in written:
        claim = claim_run(system, "one", 15)
        folder = system.runs / claim.run.id
        prepare_run(system, claim, folder)
        for step, body in steps:
            write_checkpoint(folder, step, body)
        (folder / "checkpoints" / ".step-00000099.partial").mkdir(parents=True)
        clock.wait(5)
        end_run(system, claim.run.id, 1, Outcome.STOPPED, None)

    found = contents(folder / "inputs" / "checkpoints")

    assert found == {
        "step-00000010/state.json": b"first",
        "step-00000020/state.json": b"second",
        "step-00000030/state.json": b"second",
    }
    spec = WorkloadSpec.model_validate_json((folder / "spec.json").read_bytes())
    assert (spec.attempt, spec.submitted_at, spec.asked_at) == (3, later(0).timestamp(), later(10).timestamp())


ENDS = [
    (Outcome.FAILED, KILLED, JobState.QUEUED),
    (Outcome.FAILED, Failure(cause=Cause.DIVERGED, evidence="nan"), JobState.FAILED),
    (Outcome.STOPPED, None, JobState.CANCELLED),
    (Outcome.STOPPED, None, JobState.PAUSED),
]


@pytest.mark.parametrize(("outcome", "failure", "state"), ENDS)
def test_however_a_run_ends_no_rows_in_clear_outlive_it_and_its_checkpoints_do(
    a_stored_job, owner, system, outcome, failure, state
):
    job = a_stored_job()
    claim = claim_run(system, "one", 15)
    folder = system.runs / claim.run.id
    prepare_run(system, claim, folder)
    write_checkpoint(folder, 10, "state")
    write_checkpoint(folder / "inputs", 5, "earlier")
    (folder / "outputs").mkdir()
    (folder / "outputs" / "half").write_text("half")
    if state in {JobState.CANCELLED, JobState.PAUSED}:
        {JobState.CANCELLED: cancel_job, JobState.PAUSED: pause_job}[state](owner, job.id)

    assert end_run(system, claim.run.id, 1, outcome, failure).state is state

    kept = {"spec.json", "checkpoints/step-00000010/state.json", "inputs/checkpoints/step-00000005/state.json"}
    assert contents(folder).keys() == kept


def test_what_a_killed_scheduler_left_of_ended_runs_is_swept_and_open_runs_are_not(a_stored_job, system):
    for name in ("one", "two"):
        a_stored_job(name=name)
    lost = claim_run(system, "one", 15)
    end_run(system, lost.run.id, 1, Outcome.FAILED, Failure(cause=Cause.DIVERGED, evidence="nan"))
    prepare_run(system, lost, system.runs / lost.run.id)  # as if it was killed between the end and the clearing
    write_checkpoint(system.runs / lost.run.id, 10, "state")
    unknown = system.runs / "run-of-another-store"
    shutil.copytree(system.runs / lost.run.id, unknown)
    at_work = claim_run(system, "one", 15)
    prepare_run(system, at_work, system.runs / at_work.run.id)

    sweep_runs(system)

    for folder in (system.runs / lost.run.id, unknown):
        assert contents(folder).keys() == {"spec.json", "checkpoints/step-00000010/state.json"}
    assert "inputs/train.jsonl" in contents(system.runs / at_work.run.id)


def test_a_sweep_of_an_empty_home_finds_nothing(system):
    sweep_runs(system)

    assert not system.runs.exists()


def test_a_damaged_input_is_not_staged(a_stored_job, system):
    job = a_stored_job()
    claim = claim_run(system, "one", 15)
    digest = system.vault.tree(job.base_digest).files["config.json"].digest
    blob = system.home / "vault" / digest[7:9] / digest[9:]
    blob.chmod(0o600)
    blob.write_text("[]")

    with pytest.raises(IntegrityFailure, match=r"config\.json"):
        prepare_run(system, claim, system.runs / claim.run.id)
    assert not (system.runs / claim.run.id / "spec.json").exists()


def test_a_run_that_the_store_does_not_know_is_not_found(system):
    for verb in (
        lambda: renew_lease(system, "run-9", "one", 15),
        lambda: record_events(system, "run-9", 1, 1, [notice("a")]),
        lambda: end_run(system, "run-9", 1, Outcome.SUCCEEDED, None),
    ):
        with pytest.raises(NotFound, match="run-9"):
            verb()
    assert wishes(system, ["run-9"]) == {}


def test_a_job_that_succeeded_keeps_what_it_left_and_not_what_it_needed(a_stored_job, system):
    a_stored_job()
    claim = claim_run(system, "one", 15)
    folder = system.runs / claim.run.id
    prepare_run(system, claim, folder)
    write_checkpoint(folder, 10, "state")
    (folder / "log").write_text("log")

    end_run(system, claim.run.id, 1, Outcome.SUCCEEDED, None)

    assert contents(folder).keys() == {"spec.json", "log"}


@pytest.fixture
def a_run_with_outputs(a_stored_job, system):
    a_stored_job()
    claim = claim_run(system, "one", 15)
    folder = system.runs / claim.run.id
    prepare_run(system, claim, folder)
    (folder / "outputs" / "adapter").mkdir(parents=True)
    (folder / "outputs" / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "outputs" / "adapter" / "adapter_config.json").write_bytes(b"{}")
    (folder / "outputs" / "evaluation.json").write_text("{}")
    walls = folder.parent.parent / "walls" / folder.name
    walls.mkdir(parents=True)
    (walls / "receipt.jsonl").write_text("{}")
    (folder / "log").write_text("log")
    (folder / "events.jsonl").write_text("{}\n")
    resolved = ResolvedEvent(at=1.0, settings={}, environment={"torch": "2"}, total_steps=1, total_tokens=1)
    record_events(system, claim.run.id, 1, 1, [resolved])
    return claim, folder


def test_what_a_run_left_is_kept_by_kind_with_its_lineage(a_run_with_outputs, system, owner):
    claim, folder = a_run_with_outputs

    made = collect_artifacts(system, claim.run.id, 1, folder)

    assert {each.kind for each in made} == set(ArtifactKind) - {ArtifactKind.MERGED_MODEL}
    adapter = next(each for each in made if each.kind is ArtifactKind.ADAPTER)
    assert (adapter.files, adapter.size_bytes, adapter.job_name) == (2, 9, "router")
    assert adapter.lineage.base_digest == claim.job.base_digest
    assert adapter.lineage.environment_digest != a_digest()
    assert list_artifacts(owner, "router") == list_artifacts(owner)


def test_collecting_again_makes_nothing_twice(a_run_with_outputs, system, owner):
    claim, folder = a_run_with_outputs
    collect_artifacts(system, claim.run.id, 1, folder)
    (folder / "outputs" / "merged").mkdir()
    (folder / "outputs" / "merged" / "model.safetensors").write_bytes(b"merged")

    again = collect_artifacts(system, claim.run.id, 1, folder)

    assert [each.kind for each in again] == [ArtifactKind.MERGED_MODEL]
    assert len(list_artifacts(owner)) == len(ArtifactKind)


def test_an_artifact_is_exported_as_an_act_and_verified(a_run_with_outputs, system, owner, tmp_path, decisions):
    claim, folder = a_run_with_outputs
    made = collect_artifacts(system, claim.run.id, 1, folder)
    adapter = next(each for each in made if each.kind is ArtifactKind.ADAPTER)

    assert show_artifact(owner, adapter.digest[:20]) == verify_artifact(owner, adapter.id) == adapter
    export_artifact(owner, adapter.digest[7:19], tmp_path / "out")

    assert contents(tmp_path / "out") == contents(folder / "outputs" / "adapter")
    assert decisions()[-1] == ("artifact:export", "allowed", None)
