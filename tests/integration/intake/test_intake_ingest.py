"""A file becomes two stored files: split, counts, faults, and nothing left behind."""

import gzip
import json
import random
from itertools import count
from pathlib import Path

import pytest

from intramural.domain.dataset import Split
from intramural.errors import InvalidInput, NotFound
from intramural.intake.add import IngestOptions, example_digests, ingest
from intramural.intake.stored import read_examples

CONTENT = "zebra-7731"
SETS = Path(__file__).parents[4] / "shared" / "data" / "sets"


def row(question, answer="a", **more):
    return {"prompt": question, "completion": answer, **more}


def write(path, rows):
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in rows), encoding="utf-8")
    return path


@pytest.fixture
def taken(tmp_path):
    """Ingest *rows* and return what came back, the training and the hold-out examples' questions."""

    numbers = count()

    def take(rows, **options):
        work = tmp_path / f"work-{next(numbers)}"
        found = ingest(write(tmp_path / "source.jsonl", rows), work, IngestOptions(**options))
        return found, *(
            [each["messages"][-2]["content"] for each in read_examples(work / f"{side}.jsonl")] for side in ("train", "holdout")
        )

    return take


def test_a_row_keeps_its_side_in_any_order_and_company(taken):
    rows = [row(f"question {n}") for n in range(400)]
    shuffled = random.Random(3).sample(rows, 250)  # noqa: S311  an order, not a secret

    _, train, holdout = taken(rows)
    _, some_train, some_holdout = taken(shuffled)

    assert 20 <= len(holdout) <= 60
    assert set(some_holdout) <= set(holdout)
    assert set(some_train) <= set(train)
    assert some_train == [each["prompt"] for each in shuffled if each["prompt"] in set(train)]


def test_equal_rows_share_a_side_and_are_counted(taken):
    found, train, holdout = taken([row(f"question {n % 150}") for n in range(400)])

    assert found.rows_read == 400
    assert found.duplicates == len(train) - len(set(train))
    assert found.holdout_overlap == 0
    assert not set(train) & set(holdout)


def test_rows_of_one_group_share_a_side(taken):
    found, train, holdout = taken(
        [row(f"{n % 40}/{n}", customer=n % 40) for n in range(400)], split=Split(holdout_share=0.3, group_by="customer")
    )

    assert not {each.split("/")[0] for each in train} & {each.split("/")[0] for each in holdout}
    assert found.unused_fields == ()
    assert found.split == Split(holdout_share=0.3, group_by="customer")


def test_equal_examples_in_groups_of_both_sides_are_counted_as_overlap(taken):
    found, train, holdout = taken(
        [row(f"question {n % 10}", customer=n) for n in range(400)], split=Split(holdout_share=0.5, group_by="customer")
    )

    assert found.holdout_overlap == len([each for each in holdout if each in set(train)]) > 0


@pytest.mark.parametrize("distinct", [2, 3, 5])
@pytest.mark.parametrize("share", [0.01, 0.99])
@pytest.mark.parametrize("group_by", [None, "customer"])
def test_two_distinct_rows_are_enough_for_both_sides(taken, distinct, share, group_by):
    rows = [row(f"question {n}", customer=n) for n in range(distinct)] * 2
    options = {"split": Split(holdout_share=share, group_by=group_by)}

    found, train, holdout = taken(rows, **options)
    _, backwards_train, backwards_holdout = taken(rows[::-1], **options)

    assert (found.train_examples, found.holdout_examples) == (len(train), len(holdout))
    assert min(len(train), len(holdout)) == 2
    assert (set(train), set(holdout)) == (set(backwards_train), set(backwards_holdout))
    assert found.duplicates == len(train) // 2


def test_no_share_means_no_holdout(taken):
    found, train, holdout = taken([row("q"), row("r")], split=Split(holdout_share=0.0))

    assert (found.holdout_examples, train, holdout) == (0, ["q", "r"], [])


def test_one_distinct_row_cannot_be_parted(taken):
    with pytest.raises(InvalidInput, match="nothing can be held out"):
        taken([row("q"), row("q")])


def test_a_given_holdout_takes_nothing_from_the_source(taken, tmp_path):
    given = write(tmp_path / "given.jsonl", [row("question 5"), row("new")])

    found, train, holdout = taken([row(f"question {n}") for n in range(50)], holdout=given)

    assert (len(train), holdout) == (50, ["question 5", "new"])
    assert found.holdout_overlap == 1
    assert found.rows_read == 52
    assert found.split == Split(holdout_share=0.0, given_holdout=True)


BAD = [
    (b"not json " + CONTENT.encode(), "not JSON at column 1"),
    (b'{"prompt": "' + CONTENT.encode(), "not JSON"),
    (b'["' + CONTENT.encode() + b'"]', "not a JSON object"),
    (b'{"prompt": "\xff' + CONTENT.encode() + b'", "completion": "a"}', "not UTF-8 at byte 13"),
    (b'{"prompt": NaN, "completion": "' + CONTENT.encode() + b'"}', "NaN"),
    (b'{"prompt": "\\ud800", "completion": "a"}', "surrogate"),
    (b'{"prompt": "q", "completion": ' + b"[" * 3000 + b"]" * 3000 + b"}", "nested too deeply"),
    (b'{"prompt": "q", "completion": ' + b"[" * 600 + b"]" * 600 + b"}", "not a text"),
    (b'{"prompt": "q", "completion": {"x": "' + CONTENT.encode() + b'"}}', "not a text"),
    (b'{"prompt": "q"}', "missing"),
    (b'{"messages": [{"role": "user", "content": "' + CONTENT.encode() + b'"}]}', "in the format chat"),
]


@pytest.fixture
def faulty(tmp_path):
    """A file with a good row, then each bad one, with blank lines, CRLF and a byte order mark."""
    lines = [b'\xef\xbb\xbf{"prompt": "first", "completion": "a"}\r', b"", *(line for line, _ in BAD), b"  \r"]
    lines += [json.dumps(row(f"question {n}")).encode() for n in range(30)]
    path = tmp_path / "faulty.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path


def test_faults_are_refused_with_place_and_reason_and_leave_nothing(faulty, tmp_path):
    work = tmp_path / "work"

    with pytest.raises(InvalidInput) as caught:
        ingest(faulty, work, IngestOptions())

    said = json.dumps(caught.value.document())
    assert f"{len(BAD)} rows cannot be taken" in said
    assert "line 3: not JSON at column 1" in said
    assert "--skip-bad" in said
    assert CONTENT not in said
    assert list(work.iterdir()) == []


def test_skipped_faults_are_reported_by_line(faulty, tmp_path):
    found = ingest(faulty, tmp_path / "work", IngestOptions(skip_bad=True))

    assert [fault.line for fault in found.faults] == list(range(3, 3 + len(BAD)))
    for fault, (_, reason) in zip(found.faults, BAD, strict=True):
        assert reason in fault.reason
    assert (found.fault_count, found.rows_read) == (len(BAD), len(BAD) + 31)
    assert found.train_examples + found.holdout_examples == 31
    assert CONTENT not in found.model_dump_json()


def test_only_the_first_hundred_faults_are_kept_but_all_are_counted(taken):
    found, _, _ = taken([row("q"), row("r"), *(["{"] * 250)], skip_bad=True)

    assert (found.fault_count, len(found.faults)) == (250, 100)


def test_faults_of_the_holdout_say_so(taken, tmp_path):
    given = write(tmp_path / "given.jsonl", [row("new"), "{"])

    found, _, _ = taken([row("q")], holdout=given, skip_bad=True)

    assert [(fault.line, fault.reason.split(":")[0]) for fault in found.faults] == [(2, "hold-out")]


def test_a_line_that_is_too_long_is_a_fault_and_reading_goes_on(tmp_path):
    source = tmp_path / "long.jsonl.gz"
    with gzip.open(source, "wb", compresslevel=1) as file:
        file.write(b'{"prompt": "q", "completion": "a"}\n{"prompt": "')
        for _ in range(65):
            file.write(bytes(1 << 20))
        file.write(b'", "completion": "a"}\n{"prompt": "r", "completion": "a"}\n')

    found = ingest(source, tmp_path / "work", IngestOptions(skip_bad=True))

    assert [(fault.line, fault.reason) for fault in found.faults] == [(2, "longer than 64 MiB")]
    assert found.train_examples + found.holdout_examples == 2


def test_unused_fields_are_named(taken):
    found, _, _ = taken([row("q", id=1), row("r", source="x", **{"Dear Alice Hollis": 1})])

    assert found.unused_fields == ("id", "source", "(1 not shown)")


def test_progress_ends_at_the_whole(tmp_path):
    source = write(tmp_path / "source.jsonl", [row(f"question {n}", "a" * 1000) for n in range(4000)])
    seen = []

    ingest(source, tmp_path / "work", IngestOptions(), lambda done, total: seen.append((done, total)))

    size = source.stat().st_size
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert seen[-1] == (size, size)


def test_stored_examples_are_their_own_digests(tmp_path):
    ingest(
        write(tmp_path / "a.jsonl", [row("q"), row("r"), row("q")]), tmp_path / "a", IngestOptions(split=Split(holdout_share=0))
    )
    chat = [{"messages": [{"content": each, "role": "user"}, {"content": "a", "role": "assistant"}]} for each in ("r", "q")]
    ingest(write(tmp_path / "b.jsonl", chat), tmp_path / "b", IngestOptions(split=Split(holdout_share=0)))

    left, right = (
        list(example_digests((tmp_path / side / "train.jsonl").read_bytes().splitlines(keepends=True))) for side in "ab"
    )

    assert [len(each) for each in left] == [16, 16, 16]
    assert left[:2] == right[::-1]


@pytest.mark.parametrize(
    "options",
    [
        {"format": "csv"},
        {"mapping": {"prompt": "q"}},
        {"mapping": {"question": "q", "completion": "a"}},
        {"mapping": {"messages": "m"}, "format": "alpaca"},
        {"split": Split(group_by="x"), "holdout": Path("given.jsonl")},
    ],
)
def test_impossible_options_are_refused_before_reading(options, tmp_path):
    with pytest.raises(InvalidInput):
        ingest(tmp_path / "absent.jsonl", tmp_path / "work", IngestOptions(**options))

    assert not (tmp_path / "work").exists()


def test_a_missing_file_an_empty_folder_and_an_empty_file_are_refused(tmp_path):
    with pytest.raises(NotFound):
        ingest(tmp_path / "absent.jsonl", tmp_path / "work", IngestOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no file to read"):
        ingest(tmp_path / "empty", tmp_path / "work", IngestOptions())
    with pytest.raises(InvalidInput, match="holds no row"):
        ingest(write(tmp_path / "empty.jsonl", []), tmp_path / "work", IngestOptions())


@pytest.mark.skipif(not SETS.is_dir(), reason="../shared/data/sets is not here")
@pytest.mark.parametrize(
    ("name", "kind", "rows", "options"),
    [
        ("demo_ticket_routing/train.jsonl", "chat", 800, {}),
        ("pref_dpo_en_demo.json.gz", "preference", 300, {}),
        ("pref_hh_harmless_test.jsonl.gz", "preference", 2312, {"skip_bad": True}),
        ("pref_kto_en_demo.json.gz", "unpaired", 300, {}),
        ("toolcall_glaive_en_demo.json.gz", "chat", 300, {}),
        ("oasst_first_turns_en.jsonl.gz", "chat", 233, {"mapping": {"prompt": "prompt", "completion": "reply"}}),
        ("support_it_tickets_synthetic.csv", "chat", 500, {"mapping": {"prompt": "description", "completion": "category"}}),
        (
            "pref_persona_risk-averse.jsonl",
            "preference",
            1000,
            {
                "mapping": {
                    "prompt": "question",
                    "chosen": "answer_matching_behavior",
                    "rejected": "answer_not_matching_behavior",
                }
            },
        ),
    ],
)
def test_real_sets_are_taken_whole(name, kind, rows, options, tmp_path):
    found = ingest(SETS / name, tmp_path / "work", IngestOptions(**options))

    assert (found.kind, found.rows_read) == (kind, rows)
    assert found.train_examples + found.holdout_examples == rows - found.fault_count
    assert found.fault_count <= 4
