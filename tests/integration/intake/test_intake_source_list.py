"""Files, folders, patterns and pipes become one list of files, in one order; nothing is followed out of what was named."""

import io
import json
import os

import pytest

from intramural.errors import InvalidInput, NotFound
from intramural.intake.add import IngestOptions, ingest
from intramural.intake.sources import list_sources


def rows(path, *prompts, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"prompt": each, "completion": "a", **more}) + "\n" for each in prompts))
    return path


@pytest.fixture
def tree(tmp_path):
    """A folder with rows at three depths, and with everything beside them that is not read."""
    root = tmp_path / "in"
    rows(root / "b.jsonl", "b1", "b2")
    rows(root / "a.jsonl", "a1", "a2")
    rows(root / "deep" / "er" / "c.jsonl", "c1")
    rows(root / ".hidden.jsonl", "h1")
    rows(root / ".git" / "d.jsonl", "g1")
    rows(tmp_path / "outside" / "o.jsonl", "o1")
    (root / "picture.png").write_bytes(b"png")
    (root / "empty.jsonl").touch()
    (root / "link.jsonl").symlink_to(root / "a.jsonl")
    (root / "out").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe.jsonl")
    return root


def test_a_folder_is_read_in_the_order_of_its_paths_and_says_what_it_leaves_out(tree):
    found = list_sources([tree])

    assert [each.name for each in found.files] == ["a.jsonl", "b.jsonl", "deep/er/c.jsonl"]
    assert found.skipped == {"empty": 1, "hidden": 2, "linked": 2, "not regular": 1, "of other types": 1}
    assert found.size == sum((tree / each.name).stat().st_size for each in found.files)


def test_a_pattern_finds_what_matches_and_follows_no_link(tree):
    found = list_sources([str(tree / "**" / "*.jsonl")])

    assert [each.name for each in found.files] == ["a.jsonl", "b.jsonl", "deep/er/c.jsonl", "empty.jsonl"]
    assert found.skipped == {"hidden": 2, "linked": 2, "not regular": 1}


def test_files_come_in_the_order_named_and_each_once(tree):
    found = list_sources([tree / "b.jsonl", tree / "link.jsonl", tree])

    assert [each.name for each in found.files] == ["b.jsonl", "link.jsonl", "deep/er/c.jsonl"]
    assert found.skipped["named twice"] == 2


@pytest.mark.parametrize(
    ("named", "error", "words"),
    [
        ("absent.jsonl", NotFound, "no file"),
        ("absent*.jsonl", NotFound, "Nothing matches"),
        ("s3://bucket/rows.jsonl", InvalidInput, "s3://"),
        ("gs://bucket/rows.jsonl", InvalidInput, "gs://"),
        ("-", InvalidInput, "Nothing is piped in"),
        ("bare", InvalidInput, "left out are 1 hidden"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_next_step(named, error, words, tmp_path):
    rows(tmp_path / "bare" / ".hidden.jsonl", "h")

    with pytest.raises(error, match=words) as caught:
        list_sources([named if "://" in named or named == "-" else str(tmp_path / named)])

    assert caught.value.hint


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tree):
    with pytest.raises(InvalidInput, match="not a regular file"):
        list_sources([tree / "pipe.jsonl"]).files[0].open()


def test_many_files_are_one_version_that_counts_them(tree, tmp_path):
    rows(tree / "more.jsonl", "m1", license="MIT", source="crm")

    found = ingest(list_sources([tree]), tmp_path / "work", IngestOptions())

    assert (found.files, found.rows_read, found.source_format) == (4, 6, "prompt-completion")
    assert found.skipped_files["hidden"] == 2
    assert found.provenance.licences == {"MIT": 1}
    assert (found.provenance.without_licence, found.provenance.fields) == (5, {"license": 1, "source": 1})


def test_a_fault_among_many_files_names_its_file(tree, tmp_path):
    (tree / "b.jsonl").write_text('{"prompt": "b1", "completion": "a"}\n{"prompt": "b2"}\n')

    with pytest.raises(InvalidInput, match=r"b\.jsonl line 2: completion: missing"):
        ingest(list_sources([tree]), tmp_path / "work", IngestOptions())
    found = ingest(list_sources([tree]), tmp_path / "work", IngestOptions(skip_bad=True))

    assert [(fault.file, fault.line) for fault in found.faults] == [(2, 2)]


def test_files_of_two_kinds_are_refused(tree, tmp_path):
    (tree / "deep" / "text.txt").write_text("Only text.\n")

    with pytest.raises(InvalidInput, match=r"deep/text\.txt holds text examples"):
        ingest(list_sources([tree]), tmp_path / "work", IngestOptions())


def test_what_is_piped_in_is_read_once_packed_or_not(tmp_path):
    rows(tmp_path / "a.jsonl", *(f"q{n}" for n in range(300)))
    plain = ingest(tmp_path / "a.jsonl", tmp_path / "plain", IngestOptions())

    piped = list_sources(["-"], io.BytesIO((tmp_path / "a.jsonl").read_bytes()))
    found = ingest(piped, tmp_path / "piped", IngestOptions())

    assert found == plain


def test_equal_rows_give_equal_digests_however_they_are_named(tree, tmp_path):
    every = ingest(list_sources([tree]), tmp_path / "one", IngestOptions())
    again = ingest(list_sources([tree / "a.jsonl", tree / "b.jsonl", tree / "deep"]), tmp_path / "two", IngestOptions())

    assert (every.train_digest, every.holdout_digest) == (again.train_digest, again.holdout_digest)
