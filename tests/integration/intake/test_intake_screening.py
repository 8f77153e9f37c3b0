"""A file with things in it becomes a data set without them, and the report says so in counts and places."""

import gzip
import json
from pathlib import Path

import pytest

from intramural.domain.dataset import Classification
from intramural.domain.findings import FindingKind, Treatment
from intramural.errors import InvalidInput, Refused
from intramural.intake.add import IngestOptions, ingest, scan_source, score_sample
from intramural.intake.findings.screen import Screening
from intramural.intake.sources import one_file
from intramural.intake.stored import read_examples

SYNTH = Path(__file__).parents[4] / "shared" / "data" / "sets" / "pii_presidio_synth.json.gz"
KINDS = {
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "ssn",
    "IP_ADDRESS": "ip",
    "PHONE_NUMBER": "phone",
}
ROWS = [
    {"prompt": "Write to anna@example.com please", "completion": "Card 4111 1111 1111 1111 is on file"},
    {"prompt": "Hello there, nothing to see", "completion": "Indeed, nothing"},
    {"prompt": "Again: ANNA@example.com", "completion": "..."},
]


def write(path, rows):
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return path


def screened(tmp_path, rows=ROWS, **fields):
    screening = Screening(key=b"k" * 32, **fields)
    work = tmp_path / "work"
    taken = ingest(write(tmp_path / "a.jsonl", rows), work, IngestOptions(screening=screening))
    texts = [
        turn["content"]
        for side in ("train", "holdout")
        for row in read_examples(work / f"{side}.jsonl")
        for turn in row["messages"]
    ]
    return taken, "\n".join(texts)


def test_values_give_way_to_surrogates_that_agree(tmp_path):
    taken, text = screened(tmp_path, said={FindingKind.EMAIL: Treatment.PSEUDONYMISE})

    assert "anna@" not in text.lower()
    assert "4111" not in text
    assert len({word for word in text.split() if word.startswith("<EMAIL_")}) == 1
    assert taken.redaction is not None
    assert taken.redaction.pseudonymised == {FindingKind.EMAIL: 2, FindingKind.CARD: 1}
    assert taken.redaction.rows_changed == 2
    email = next(each for each in taken.findings if each.kind is FindingKind.EMAIL)
    assert (email.count, email.rows) == (2, 2)
    place = email.positions[0]
    assert (place.row, place.field) == (1, "messages[0].content")
    assert ROWS[0]["prompt"][place.start : place.end] == "anna@example.com"


def test_findings_hold_no_content(tmp_path):
    taken, _ = screened(tmp_path)

    told = json.dumps([each.document() for each in taken.findings])
    assert not any(value in told for value in ("anna", "4111", "example.com"))


def test_rows_are_dropped_and_counted(tmp_path):
    taken, text = screened(tmp_path, said={FindingKind.EMPTY_ANSWER: Treatment.DROP})

    assert "Again" not in text
    assert taken.redaction is not None
    assert taken.redaction.rows_dropped == 1


def test_a_refusal_names_kinds_and_places_and_leaves_nothing(tmp_path):
    with pytest.raises(Refused, match=r"1 card in 1 row.*row 1 messages\[1\].content") as caught:
        screened(tmp_path, classification=Classification.PUBLIC)

    assert "4111" not in str(caught.value.document())
    assert [*(tmp_path / "work").iterdir()] == []


def test_a_scan_stores_nothing_and_counts_as_adding_does(tmp_path):
    taken, _ = screened(tmp_path)

    found = scan_source(tmp_path / "a.jsonl", IngestOptions(), lambda done, total: None)

    assert {each.kind: each.count for each in found.findings} == {each.kind: each.count for each in taken.findings}


def test_denied_terms_and_rare_labels_are_told(tmp_path):
    rows = [{"prompt": f"Question {n} about project Falcon", "completion": "meter" if n % 40 else "bill"} for n in range(200)]

    taken, text = screened(tmp_path, rows, denied=("falcon",))

    counts = {each.kind: each.count for each in taken.findings}
    assert counts[FindingKind.DENIED_TERM] == 200
    assert counts[FindingKind.LABEL_IMBALANCE] == 5
    assert "Falcon" not in text


@pytest.mark.skipif(not SYNTH.is_file(), reason="the shared data sets are not beside the repository")
def test_structured_personal_data_is_found_in_a_labelled_set(tmp_path):
    documents = json.loads(gzip.decompress(SYNTH.read_bytes()))
    sample = [
        {
            "text": each["full_text"],
            "spans": [
                {
                    "kind": KINDS.get(span["entity_type"], span["entity_type"]),
                    "start": span["start_position"],
                    "end": span["end_position"],
                }
                for span in each["spans"]
            ],
        }
        for each in documents
    ]

    scored = score_sample(one_file(write(tmp_path / "sample.jsonl", sample)), Screening(), lambda done, total: None)

    by_kind = {each.kind.value: each for each in scored.scores}
    for kind in ("email", "card", "iban", "ssn", "ip"):
        assert (by_kind[kind].recall or 0) >= 0.99, kind
        assert (by_kind[kind].precision or 0) >= 0.95, kind
    assert (by_kind["phone"].recall or 0) >= 0.8
    assert (by_kind["phone"].precision or 0) >= 0.9
    assert "PERSON" in scored.unknown_labels


def test_a_wrong_sample_is_named_by_line_not_by_text(tmp_path):
    sample = write(tmp_path / "sample.jsonl", [{"text": "zebra-7731", "spans": [{"kind": "email", "start": 3, "end": 99}]}])

    with pytest.raises(InvalidInput, match="line 1") as caught:
        score_sample(one_file(sample), Screening(), lambda done, total: None)

    assert "zebra" not in str(caught.value.document())
