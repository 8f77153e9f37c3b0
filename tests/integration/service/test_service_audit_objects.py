"""Every act on a job, a data set or an artifact names the object itself, however it was called."""

from intramural.service.audit import list_audit
from intramural.service.datasets import sample_dataset, show_dataset
from intramural.service.jobs import cancel_job, pause_job, resume_job


def test_acts_on_a_job_name_it_by_id_and_digest(owner, a_stored_job):
    job = a_stored_job()
    pause_job(owner, "router")
    resume_job(owner, job.id)
    cancel_job(owner, "router")

    entries = list_audit(owner)

    assert [each.action for each in entries] == ["job:submit", "job:pause", "job:resume", "job:cancel"]
    assert {each.digest for each in entries} == {job.spec_digest}
    assert {each.detail["job"] for each in entries} == {job.id}


def test_a_data_set_is_named_by_version_and_digest(owner, a_stored_job):
    a_stored_job()
    sample_dataset(owner, "tickets", 1, "train")

    entry = list_audit(owner)[-1]

    assert (entry.target, entry.digest, entry.kind) == ("tickets@1", show_dataset(owner, "tickets").digest, "access")
