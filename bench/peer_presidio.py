"""Presidio's own recognizers by pattern and checksum, without a language model: one JSON line on standard output."""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path

from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
    UrlRecognizer,
    UsSsnRecognizer,
)

KINDS = {
    "card": CreditCardRecognizer,
    "email": EmailRecognizer,
    "iban": IbanRecognizer,
    "ip": IpRecognizer,
    "phone": PhoneRecognizer,
    "ssn": UsSsnRecognizer,
    "url": UrlRecognizer,
}
SURE = 0.4
"""A hit counts from this score on: below lie Presidio's weak patterns, which it reports only beside a word of context."""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--texts", required=True, type=Path, help="JSON lines with `text`, and `spans` where they are labelled")
options = parser.parse_args()

logging.disable(logging.WARNING)
recognizers = {kind: made() for kind, made in KINDS.items()}
rows = [json.loads(line) for line in options.texts.read_text(encoding="utf-8").splitlines()]


def found_in(text: str) -> list[tuple[str, int, int]]:
    """Return what the recognizers find, as (kind, start, end)."""
    return [
        (kind, each.start, each.end)
        for kind, recognizer in recognizers.items()
        for each in recognizer.analyze(text, recognizer.supported_entities, None) or []
        if each.score >= SURE
    ]


found_in("warm up")
began = time.perf_counter()
found = [found_in(row["text"]) for row in rows]
seconds = time.perf_counter() - began

counts = {kind: {"labelled": 0, "labelled_found": 0, "found": 0, "found_labelled": 0} for kind in KINDS}
for row, here in zip(rows, found, strict=True):
    labels = [(each["kind"], each["start"], each["end"]) for each in row.get("spans", ())]
    for mine, others, name, hits in (
        (labels, here, "labelled", "labelled_found"),
        (here, labels, "found", "found_labelled"),
    ):
        for kind, start, end in mine:
            if kind in counts:
                counts[kind][name] += 1
                counts[kind][hits] += any(each[0] == kind and each[1] < end and start < each[2] for each in others)
print(json.dumps({"seconds": seconds, "count": sum(map(len, found)), "scores": counts}))
