"""Which versions hold some rows, and what was trained or measured on them: told, recorded, and left nowhere in clear."""

import json
from dataclasses import replace

import pytest

from factories import a_job, a_run, an_artifact
from intramural.domain.dataset import Classification, Split
from intramural.domain.views import DatasetOptions
from intramural.errors import InvalidInput, NotFound, Refused
from intramural.intake.sides import hash_of
from intramural.intake.stored import line_of
from intramural.service.datasets import add_dataset
from intramural.service.keys import shred_dataset
from intramural.service.quarantines import quarantine_object
from intramural.service.traces import trace_rows


def silent(done, total, what):
    """Show no progress."""


def rows(path, numbers):
    lines = [{"prompt": f"SECRET {n}", "completion": f"answer {n}"} for n in numbers]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return path


@pytest.fixture
def add(owner, tmp_path):
    def add(numbers, name="tickets", **options):
        return add_dataset(owner, rows(tmp_path / "rows.jsonl", numbers), name, DatasetOptions(**options), silent)

    return add


@pytest.fixture
def trace(owner, tmp_path):
    def trace(numbers, ctx=owner, **options):
        return trace_rows(ctx, rows(tmp_path / "asked.jsonl", numbers), DatasetOptions(**options), silent)

    return trace


def test_rows_are_found_in_every_version_that_holds_them(add, trace):
    add(range(100))
    add(range(50, 150))
    add(range(500, 600), name="other")

    found = trace([60, 120, 999, 60])

    assert (found.examples, found.found, found.searched, found.unreadable) == (3, 2, 3, ())
    assert [(each.label, each.rows) for each in found.versions] == [("tickets@1", (1, 4)), ("tickets@2", (1, 2, 4))]


def test_rows_that_nothing_holds_are_found_nowhere(add, trace):
    add(range(20))

    assert trace([77, 88]).versions == ()
    assert trace([77, 88]).found == 0


def test_training_and_hold_out_are_told_apart(add, trace):
    version = add(range(200), split=Split(holdout_share=0.5))

    (found,) = trace(range(200)).versions

    assert (found.train_rows, found.holdout_rows) == (version.train_examples, version.holdout_examples)


def test_a_row_is_the_same_in_another_format(owner, add, trace, tmp_path):
    add(range(20))
    chat = {"messages": [{"role": "user", "content": "SECRET 3"}, {"role": "assistant", "content": "answer 3"}]}
    (tmp_path / "chat.json").write_text(json.dumps([chat]))

    assert trace_rows(owner, tmp_path / "chat.json", DatasetOptions(), silent).found == 1


def test_jobs_that_began_and_models_that_were_trained_are_named(owner, add, trace):
    version = add(range(20), split=Split(holdout_share=0))
    other = add(range(20), split=Split(holdout_share=0), classification=Classification.RESTRICTED)
    with owner.store.writing() as tx:
        for job in (
            a_job(id="job-1", dataset_label=version.label, attempts=1),
            a_job(id="job-2", dataset_label=version.label),
            a_job(id="job-3", dataset_label=other.label, attempts=1, project="elsewhere"),
        ):
            tx.jobs.add(job)
        tx.runs.add(a_run())
        for name, kind in (("art-1", "adapter"), ("art-2", "merged_model"), ("art-3", "logs")):
            tx.artifacts.add("default", an_artifact(id=name, kind=kind))

    first, second = trace([5]).versions

    assert (first.jobs, first.artifacts) == (("job-1",), ("art-1", "art-2"))
    assert (second.jobs, second.artifacts) == ((), ())


def test_what_saw_rows_in_the_hold_out_alone_was_not_trained_on_them(owner, add, trace, tmp_path):
    held = rows(tmp_path / "held.jsonl", [7])
    version = add(range(1000, 1010), holdout=str(held))
    with owner.store.writing() as tx:
        tx.jobs.add(a_job(dataset_label=version.label, attempts=1))
        tx.artifacts.add("default", an_artifact())

    (found,) = trace([7]).versions

    assert (found.train_rows, found.holdout_rows, found.jobs, found.artifacts) == (0, 1, ("job-1",), ())


def test_of_shredded_data_nothing_is_known_and_that_is_said(owner, add, trace):
    add(range(20), name="gone")
    add(range(20))
    shred_dataset(owner, "gone")

    found = trace([3])

    assert [each.label for each in found.versions] == ["tickets@1"]
    assert (found.searched, found.unreadable) == (1, ("gone@1",))


def test_a_version_without_an_index_is_read_and_adding_it_again_makes_one(owner, add, trace):
    version = add(range(20))
    with owner.store.writing() as tx:
        tx.datasets.replace("default", version.model_copy(update={"index_sealed": None, "index_digest": None}))

    assert trace([3]).found == 1
    again = add(range(20))
    assert (again.label, again.index_digest) == (version.label, version.index_digest)
    assert again.index_sealed is not None


def test_a_damaged_index_is_said_not_taken_for_absence(owner, add, trace):
    version = add(range(20))
    with owner.store.writing() as tx:
        tx.datasets.replace("default", version.model_copy(update={"index_sealed": version.train_sealed}))

    found = trace([3])

    assert (found.versions, found.unreadable) == ((), ("tickets@1",))


def test_quarantine_is_told(owner, add, trace):
    add(range(20))
    quarantine_object(owner, "tickets", "r")

    assert trace([3]).versions[0].quarantined


def test_rows_that_were_redacted_are_found_as_they_came_and_as_they_are_stored(owner, add, trace, tmp_path):
    row = {"prompt": "Write to alice.meyer@example.com at once", "completion": "Done."}
    rest = [{"prompt": f"Question {n}", "completion": f"Answer {n}."} for n in range(20)]
    file = tmp_path / "mail.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in [row, *rest]))
    add_dataset(owner, file, "mail", DatasetOptions(on={"email": "mask"}), silent)
    asked = {
        "came": row,
        "stored": {**row, "prompt": "Write to <EMAIL> at once"},
        "else": {**row, "prompt": "Write to bob@x.org"},
    }

    found = {}
    for name, each in asked.items():
        (tmp_path / name).write_text(json.dumps(each) + "\n")
        found[name] = trace_rows(owner, tmp_path / name, DatasetOptions(source_format="prompt-completion"), silent).found

    assert found == {"came": 1, "stored": 1, "else": 0}


def test_tracing_is_an_act_that_names_no_row(owner, make_context, add, trace):
    add(range(20))
    trace([3])
    with pytest.raises(Refused):
        trace([3], ctx=make_context("viewer"))

    with owner.read() as tx:
        done, refused = tx.audit.newest("default", 2)
    assert (done.action, done.kind, done.detail) == ("dataset:trace", "access", {"examples": 1, "versions": 1})
    assert (refused.action, refused.decision) == ("dataset:trace", "refused")


def test_neither_the_rows_nor_their_hashes_are_left_in_clear(owner, add, trace):
    add(range(20))
    trace(range(20))

    message = {"messages": [{"role": "user", "content": "SECRET 3"}, {"role": "assistant", "content": "answer 3"}]}
    own = hash_of(line_of(message))
    for path in owner.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"SECRET" not in content, path
            assert own.to_bytes(8, "little") not in content, path
            assert own.to_bytes(8, "big") not in content, path
    assert list((owner.home / "work").iterdir()) == [owner.home / "work" / ".lock"]


def test_a_file_that_cannot_be_read_says_why(owner, add, tmp_path):
    with pytest.raises(NotFound):
        trace_rows(owner, tmp_path / "nowhere.jsonl", DatasetOptions(), silent)
    (tmp_path / "bad.jsonl").write_text("{]\n")
    with pytest.raises(InvalidInput) as caught:
        trace_rows(owner, tmp_path / "bad.jsonl", DatasetOptions(), silent)
    assert "line 1" in caught.value.message


def test_another_project_is_not_searched(owner, add, trace):
    add(range(20))

    assert trace([3], ctx=replace(owner, project="elsewhere")).searched == 0
