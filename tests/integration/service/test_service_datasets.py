"""Data sets: versions by content, differences by count, and content that leaves by one recorded verb alone."""

import json
import os
import subprocess
import sys

import pytest

from factories import a_digest
from intramural.domain.dataset import Classification, Split
from intramural.domain.views import DatasetOptions
from intramural.errors import InvalidInput, NotFound, Refused
from intramural.service.datasets import add_dataset, diff_datasets, list_datasets, sample_dataset, show_dataset
from intramural.service.scratch import scratch


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


def test_a_file_becomes_a_version_with_its_counts(owner, add, decisions):
    version = add(range(100))

    assert (version.label, version.train_examples + version.holdout_examples) == ("tickets@1", 100)
    assert show_dataset(owner, "tickets") == show_dataset(owner, "tickets@1") == version
    assert decisions() == [("dataset:add", "allowed", None)]
    assert list((owner.home / "work").iterdir()) == [owner.home / "work" / ".lock"]


def test_the_same_content_is_the_version_that_exists(owner, add):
    assert add(range(50)) == add(range(50))
    assert len(list_datasets(owner)) == 1


@pytest.mark.parametrize("options", [{"classification": Classification.RESTRICTED}, {"split": Split(holdout_share=0.5)}])
def test_another_class_or_split_is_another_version(owner, add, options):
    add(range(50))

    assert add(range(50), **options).label == "tickets@2"


def test_other_content_is_the_next_version(owner, add):
    add(range(50))

    assert add(range(60)).version == 2
    assert show_dataset(owner, "tickets").version == 2
    assert add(range(50)).version == 1


def test_a_difference_is_counted_by_example(owner, add):
    add(range(100), split=Split(holdout_share=0))
    add(range(30, 120), split=Split(holdout_share=0))

    found = diff_datasets(owner, "tickets@1", "tickets@2")

    assert (found.only_left, found.only_right, found.shared, found.moved) == (30, 20, 70, 0)


def test_examples_that_changed_sides_are_counted(owner, add):
    add(range(40), split=Split(holdout_share=0))
    held = add(range(40), split=Split(holdout_share=0.5))

    found = diff_datasets(owner, "tickets@1", "tickets@2")

    assert (found.shared, found.moved) == (40, held.holdout_examples)


def test_a_sample_is_an_act_and_names_no_content_in_its_entry(owner, add, decisions):
    add(range(20))

    sample = sample_dataset(owner, "tickets", 2, "train")

    assert len(sample.rows) == 2
    assert "SECRET" in str(sample.rows)
    assert decisions()[-1] == ("dataset:sample", "allowed", None)
    assert "SECRET" not in (owner.home / "intramural.db").read_bytes().decode("latin-1")


def test_a_viewer_sees_no_content(make_context, add, decisions):
    add(range(20))

    with pytest.raises(Refused):
        sample_dataset(make_context("viewer"), "tickets", 1, "train")
    assert decisions()[-1] == ("dataset:sample", "refused", "role:viewer")


@pytest.mark.parametrize(("count", "side"), [(0, "train"), (-1, "holdout"), (1, "both")])
def test_an_impossible_sample_is_invalid(owner, add, count, side):
    add(range(20))

    with pytest.raises(InvalidInput):
        sample_dataset(owner, "tickets", count, side)


def test_the_nearest_name_and_the_version_are_named(owner, add):
    add(range(20))

    for label, message, hint in (
        ("tikcets", "no data set tikcets", "Did you mean tickets?"),
        ("tickets@7", "has no version 7", "`intramural data list` shows the versions."),
    ):
        with pytest.raises(NotFound, match=message) as caught:
            show_dataset(owner, label)
        assert caught.value.hint == hint


@pytest.mark.parametrize("label", ["tickets@", "tickets@x", "tickets@²", "tickets@-1", "tickets@" + "9" * 30])
def test_a_label_that_is_none_is_invalid(owner, label):
    with pytest.raises(InvalidInput):
        show_dataset(owner, label)


def test_a_faulty_file_leaves_nothing_and_quotes_nothing(owner, tmp_path, decisions):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "SECRET", "completion": "x"}\n{"prompt": "SECRET"\n')

    with pytest.raises(InvalidInput) as caught:
        add_dataset(owner, path, "tickets", DatasetOptions(), silent)

    assert "line 2" in caught.value.message
    assert "SECRET" not in str(caught.value.document())
    assert list_datasets(owner) == []
    assert decisions() == []
    assert not (owner.home / "vault").exists()


def test_a_bad_name_is_refused_before_the_file_is_read(owner, tmp_path):
    with pytest.raises(InvalidInput, match="not a name"):
        add_dataset(owner, tmp_path / "nowhere", "Tickets 2026", DatasetOptions(), silent)


def test_a_missing_file_or_base_is_not_found(owner, tmp_path):
    for options in (DatasetOptions(), DatasetOptions(base="none")):
        with pytest.raises(NotFound):
            add_dataset(owner, tmp_path / "nowhere", "tickets", options, silent)


KILLED = """
import os, signal, sys
from pathlib import Path
from intramural.service.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "rows.jsonl").write_text("clear text")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_in_clear_is_swept_and_work_at_hand_is_not(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = (tmp_path / "work").glob("*/rows.jsonl")

    with scratch(tmp_path) as mine:
        (mine / "mine").touch()
        with scratch(tmp_path) as other:
            assert other != mine
        assert not left.exists()
        assert (mine / "mine").exists()
        assert oct(os.stat(mine).st_mode & 0o777) == "0o700"
    assert not mine.exists()


def test_the_digest_names_the_content_alone(owner, add):
    assert add(range(20)).digest == add(range(20), name="other").digest != a_digest()
