"""The SDK over its in-process transport: documents there and back, the same errors, every method with a route."""

import json

import pytest

from factories import a_dataset_version, a_model, a_spec, an_artifact
from intramural.app.open import new_id, open_client, open_context, scheduler_actor
from intramural.app.transport import LocalTransport
from intramural.client import Client
from intramural.domain.job import JobState, Outcome
from intramural.domain.views import DatasetOptions, ModelSource
from intramural.domain.workload import NoticeEvent
from intramural.errors import Conflict, IntegrityFailure, InvalidInput, NotFound, Refused, Unavailable
from intramural.service.runs import claim_run, end_run, record_events
from intramural.service.scope_keys import dataset_files
from intramural.settings import load_settings


@pytest.fixture
def system(tmp_path):
    return open_context(load_settings(tmp_path / "home", {}), scheduler_actor())


@pytest.fixture
def client(tmp_path):
    return open_client(tmp_path / "home")


@pytest.fixture
def furnished(client, system):
    sealed = dataset_files(system, "tickets")
    with system.store.writing() as tx:
        tx.models.add("default", a_model())
        tx.datasets.add("default", a_dataset_version())
        sealed.write_down(tx, "default")
    return client


def test_a_new_home_is_empty_and_private(client, tmp_path):
    assert [client.list_models(), client.list_datasets(), client.list_jobs(), client.list_artifacts(), client.list_audit()] == [
        [], [], [], [], [],
    ]  # fmt: skip
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_values_come_back_as_they_were(furnished):
    assert furnished.list_models() == [furnished.show_model("tiny")] == [a_model()]
    assert furnished.list_datasets() == [furnished.show_dataset("tickets@1")] == [a_dataset_version()]


def test_a_job_from_submission_to_its_document(furnished, system):
    resolution = furnished.resolve_job(a_spec())
    job = furnished.submit_job(a_spec(**{"class": "dev"}))
    claim = claim_run(system, "one", 15)
    record_events(system, claim.run.id, 1, 1, [NoticeEvent(at=1.0, message=each) for each in "abc"])

    assert (resolution.dataset_label, job.spec.job_class) == ("tickets@1", "dev")
    assert [each.event.message for each in furnished.job_events(job.id)] == ["a", "b", "c"]
    second = furnished.job_events(job.id, limit=2)[-1]
    assert [each.event.message for each in furnished.job_events(job.id, after=second.seq)] == ["c"]
    assert furnished.job_log(job.id).text == ""
    assert furnished.explain_job("router").state is JobState.RUNNING
    assert furnished.pause_job("router").wish == "pause"
    end_run(system, claim.run.id, 1, Outcome.STOPPED, None)
    assert furnished.resume_job("router", accept_drift=True).accept_drift
    assert furnished.cancel_job("router").state is JobState.CANCELLED
    assert furnished.show_job("router").notices == ("a", "b", "c")
    assert [each.id for each in furnished.list_jobs()] == [job.id]


def test_names_with_slashes_travel(furnished, system):
    sealed = dataset_files(system, "tickets/2026-11")
    with system.store.writing() as tx:
        tx.models.add("default", a_model(name="org/tiny"))
        tx.datasets.add("default", a_dataset_version(name="tickets/2026-11"))
        sealed.write_down(tx, "default")
    furnished.submit_job(a_spec(name="a/b", data="tickets/2026-11"))

    assert furnished.show_model("org/tiny").name == "org/tiny"
    assert furnished.show_dataset("tickets/2026-11@1").version == 1
    assert furnished.show_job("a/b").name == "a/b"
    furnished.cancel_job("a/b")
    furnished.remove_model("tiny")
    assert [each.name for each in furnished.list_models()] == ["org/tiny"]


def test_data_is_added_compared_and_sampled(client, tmp_path):
    path = tmp_path / "rows.jsonl"
    told = []
    for count in (20, 30):
        path.write_text("".join(json.dumps({"prompt": f"q{n}", "completion": f"a{n}"}) + "\n" for n in range(count)))
        client.add_dataset(path, "tickets", DatasetOptions(), lambda *each: told.append(each))

    assert (client.diff_datasets("tickets@1", "tickets@2").only_right, len(client.sample_dataset("tickets").rows)) == (10, 3)
    assert told[-1][0] == told[-1][1]
    assert [each.action for each in client.list_audit()] == ["dataset:add", "dataset:add", "dataset:sample"]


def test_artifacts_are_shown_verified_and_exported(furnished, system, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "weights").write_bytes(b"weights")
    digest, _ = system.vault.put_tree(tmp_path / "adapter")
    job = furnished.submit_job(a_spec())
    artifact = an_artifact(digest=digest, job_id=job.id)
    with system.store.writing() as tx:
        tx.artifacts.add("default", artifact)

    assert furnished.list_artifacts() == furnished.list_artifacts("router") == [furnished.show_artifact("art-1")] == [artifact]
    assert furnished.verify_artifact("art-1") == furnished.export_artifact("art-1", tmp_path / "out") == artifact
    assert (tmp_path / "out" / "weights").read_bytes() == b"weights"


def test_errors_keep_their_class_hint_and_what_they_are_about(furnished, tmp_path):
    with pytest.raises(NotFound) as caught:
        furnished.show_model("tinny")
    assert caught.value.hint == "Did you mean tiny?"
    furnished.submit_job(a_spec())
    with pytest.raises(Conflict) as caught:
        furnished.resume_job("router")
    assert caught.value.about == {"state": "queued"}
    with pytest.raises(InvalidInput):
        furnished.add_model("new", ModelSource())
    with pytest.raises(IntegrityFailure):
        furnished.sample_dataset("tickets")


def test_a_refusal_is_one_over_the_wire_too(tmp_path, furnished):
    viewer = Client(LocalTransport(open_context(load_settings(tmp_path / "home", {}), scheduler_actor())))

    with pytest.raises(Refused):
        viewer.submit_job(a_spec())


def test_a_path_that_is_none_is_not_found(system):
    for method, path in (("GET", "/api/v1/projects/default/nothing"), ("POST", "/api/v1/projects/other/jobs"), ("GET", "/")):
        with pytest.raises(NotFound):
            LocalTransport(system).request(method, path)


def test_a_body_that_is_malformed_is_named_by_field_and_not_quoted(system):
    with pytest.raises(InvalidInput, match=r"`train\.steps`") as caught:
        LocalTransport(system).request(
            "POST", "/api/v1/projects/default/jobs", body={"name": "a", "base": "b", "data": "c", "train": {"steps": "SECRET"}}
        )
    assert "SECRET" not in str(caught.value.document())


def test_a_home_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(Unavailable) as caught:
        open_client(tmp_path / "file" / "home")
    assert "INTRAMURAL_HOME" in caught.value.hint


def test_a_tiny_model_is_built_in_a_process_of_its_own(client):
    told = []

    model = client.add_model("tiny", ModelSource(starter="tiny-random"), lambda *each: told.append(each[2]))

    assert (model.architecture, model.source, model.chat_template) == ("LlamaForCausalLM", "random", True)
    assert client.list_models() == [model]
    assert "making a random model" in told
    assert told[-1] == "storing by digest"


def test_what_the_builders_process_refuses_arrives_with_its_class(client):
    with pytest.raises(NotFound, match="no starter model nothing") as caught:
        client.add_model("new", ModelSource(starter="nothing"))

    assert "smollm2-135m-instruct" in caught.value.hint
    assert client.list_models() == []


def test_ids_sort_by_age():
    ids = [new_id("job") for _ in range(3)]

    assert len(set(ids)) == 3
    assert sorted({each[:13] for each in ids}) == list(dict.fromkeys(each[:13] for each in ids))
