"""
The page of an evidence bundle: every part in a few lines, with what it may serve as evidence for.

It says nowhere that anything is complied with: that is for a person to judge, with the texts in hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from intramural.domain.evidence import Part
from intramural.domain.report import JobReport
from intramural.domain.verdict import one_line, percent
from intramural.pages import words

READ = "read in public sources"
KNOWN = "from general knowledge"


class Serves(NamedTuple):
    """Where a part may be used, as far as it was looked up."""

    text: str
    source: str


SERVES: dict[Part, tuple[Serves, ...]] = {
    Part.DATA: (
        Serves("EU AI Act Annex IV(2)", READ),
        Serves("EU AI Act Art. 10; GDPR Art. 25, 30; ISO 27001 A.5.12, A.8.11, A.8.12; HIPAA 164.514(b)", KNOWN),
    ),
    Part.LINEAGE: (
        Serves("EU AI Act Annex IV(2)(a), use of pre-trained systems", READ),
        Serves("OWASP LLM03 Supply Chain; SLSA; MITRE ATLAS AML.T0010, AML.T0020", KNOWN),
    ),
    Part.RUN: (Serves("EU AI Act Annex IV(1), (2)", READ),),
    Part.COMPUTE: (
        Serves(
            "the one-third-of-compute test for who modifies a general-purpose model: Commission guidelines, July 2025", READ
        ),
    ),
    Part.EVALUATION: (
        Serves("EU AI Act Annex IV(2), (3), (4)", READ),
        Serves("NIST AI RMF MEASURE; NIST AI 600-1", KNOWN),
    ),
    Part.MEMORISATION: (
        Serves(
            "EDPB Opinion 28/2024: a model trained on personal data is not anonymous by default; how likely extraction is, "
            "is to be documented",
            READ,
        ),
        Serves("OWASP LLM02 Sensitive Information Disclosure; MITRE ATLAS AML.T0024, AML.T0057", KNOWN),
    ),
    Part.RECEIPT: (Serves("SOC 2 CC6.6, CC6.7; ISO 27001 A.8.20 to A.8.23; OWASP LLM02; MITRE ATLAS AML.T0025", KNOWN),),
    Part.PLACEMENT: (Serves("GDPR chapter V; customers' clauses on where data stays", KNOWN),),
    Part.KEYS: (Serves("ISO 27001 A.8.10, A.8.24; HIPAA 164.312(a)(2)(iv); GDPR Art. 17, 32", KNOWN),),
    Part.APPROVALS: (Serves("SOC 2 CC8.1; EU AI Act Art. 14; ISO 42001", KNOWN),),
    Part.ACCESS: (Serves("SOC 2 CC6.2, CC6.3", KNOWN),),
    Part.AUDIT: (Serves("EU AI Act Art. 12, 19, 26; HIPAA 164.312(b); SOC 2 CC6.1, CC7.2; ISO 27001 A.8.15", KNOWN),),
}


class Section(NamedTuple):
    """One part on the page."""

    title: str
    file: str
    facts: list[tuple[str, str]]
    serves: tuple[Serves, ...]


def evidence_html(report: JobReport, parts: Mapping[Part, Any], *, key: str, at: datetime) -> str:
    """Draw the page as one HTML document that needs no other file."""
    sections = [
        Section(TITLES[part], f"{part}.json", [(name, text) for name, text in FACTS[part](parts[part], report) if text], serves)
        for part, serves in SERVES.items()
    ]
    return _templates().get_template("evidence.html.j2").render(report=report, sections=sections, key=key, at=at)


@cache
def _templates() -> Environment:
    loader = PackageLoader("intramural.pages")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _data(part: Any, report: JobReport) -> list[tuple[str, str]]:
    data, kept = report.data, part["retention"]
    days = [each for each in kept.values() if each is not None]
    if data is None:
        return [("Data set", report.spec.data)]
    return [
        ("Data set", f"{data.label}, {data.source_format}, added {data.added_at:%Y-%m-%d}"),
        ("Class", ", ".join([data.classification.value, *data.regulated])),
        ("Examples", f"{words.count(data.train_examples)} to train on, {words.count(data.holdout_examples)} held out"),
        ("Repeated", f"{words.count(data.duplicates)} in training, {words.count(data.holdout_overlap)} of the hold-out"),
        ("Left out", f"{words.count(data.fault_count)} rows with a fault" if data.fault_count else ""),
        ("Retention, days", ", ".join(map(str, days)) or "no limit is set"),
        ("Shredded", f"{data.shredded_at:%Y-%m-%d}" if data.shredded_at else ""),
    ]


def _lineage(part: Any, report: JobReport) -> list[tuple[str, str]]:
    return [
        ("Base model", f"{report.spec.base} {part['base']['digest']}"),
        ("Data set", f"{part['data']['label']} {part['data']['digest']}"),
        ("Job file", part["spec"]),
        *((each["kind"].replace("_", " ").capitalize(), f"{each['id']} {each['digest']}") for each in part["artifacts"]),
    ]


def _run(part: Any, report: JobReport) -> list[tuple[str, str]]:
    libraries = ", ".join(f"{name} {value}" for name, value in part["environment"].items())
    return [
        ("Asked by", f"{part['submitted_by']}, {report.submitted_at:%Y-%m-%d %H:%M} UTC"),
        ("State", part["state"]),
        ("Attempts", words.count(len(part["attempts"]))),
        ("Made with", libraries),
        ("Failed by", part["failure"]["cause"] if part["failure"] else ""),
    ]


def _compute(part: Any, report: JobReport) -> list[tuple[str, str]]:
    return [
        ("Parameters", words.parameters(part["parameters"])),
        ("Tokens trained on", words.count(part["tokens"])),
        ("FLOP, as if all were trained", f"{part['flop_as_full_training']:.3g}"),
        ("FLOP, estimated", f"{part['flop_estimate']:.3g}"),
        ("Time", words.duration(part["run_seconds"])),
        ("How it is counted", part["rule"]),
    ]


def _evaluation(part: Any, report: JobReport) -> list[tuple[str, str]]:
    return [("Result", one_line(report.metrics) or "nothing was measured"), ("Limits", part["limits"])]


def _receipt(part: Any, report: JobReport) -> list[tuple[str, str]]:
    found = [each for each in part["runs"].values() if each]
    allowed, refused = (sum(each[how] for each in found) for how in ("allowed", "refused"))
    return [
        ("Confined", ", ".join(sorted({each["level"] for each in found})) or "no run has a receipt"),
        ("Connections", f"{words.count(allowed)} allowed, {words.count(refused)} refused" if found else ""),
        ("Not known", part["said"] or ""),
    ]


def _keys(part: Any, report: JobReport) -> list[tuple[str, str]]:
    return [
        *((each["scope"], f"{each['id']}, {each['wrapped']['provider']}, {each['state']}") for each in part["keys"]),
        ("Unwrapped by", part["said"]),
        ("Shredding", f"{len(part['shredding'])} certificates" if part["shredding"] else ""),
    ]


def _memorisation(part: Any, report: JobReport) -> list[tuple[str, str]]:
    if part["said"]:
        return [("Measured", part["said"])]
    scores = [(name, part["membership_auc"][when]) for name, when in (("Base", "before"), ("Tuned", "after"))]
    return [
        *(
            (name, f"{percent(each['value'])} ({percent(each['low'])} to {percent(each['high'])})")
            for name, each in scores
            if each
        ),
        ("What it means", part["meaning"]),
    ]


def _placement(part: Any, report: JobReport) -> list[tuple[str, str]]:
    return [
        ("Region", ", ".join(sorted({each["region"] or "not stated" for each in part["runs"]}))),
        ("Data bound to", part["data_is_bound_to"] or "no region"),
        ("Runs on", ", ".join(sorted({each["host"] for each in part["runs"]}))),
        ("Refused", f"{words.count(len(part['refused']))} times, by rules that look at the place"),
    ]


def _approvals(part: Any, report: JobReport) -> list[tuple[str, str]]:
    required = part["required"] or {"start": 0, "leave": 0}
    return [
        ("Required", f"{required['start']} to start, {required['leave']} for what leaves"),
        ("Given", part["said"] or ""),
        *((each["approval"]["by"], _given(each)) for each in part["approvals"]),
        ("Problem", part["problem"] or ""),
        ("How to check", part["how_to_check"] if part["approvals"] else ""),
    ]


def _given(standing: Any) -> str:
    objects = ", ".join(
        f"{each['what'].replace('_', ' ')} {words.short_digest(each['digest'])}" for each in standing["objects"]
    )
    standing_now = "counts" if standing["counts"] else f"does not count: {standing['why_not']}"
    return f"{standing['approval']['added_at'][:16].replace('T', ' ')}, {objects}; {standing_now}"


def _access(part: Any, report: JobReport) -> list[tuple[str, str]]:
    return [
        *((each["subject"], f"{words.count(each['acts'])} acts, the last {each['last'][:10]}") for each in part["subjects"]),
        ("May approve", ", ".join(each["person"] for each in part["approvers"]) or "nobody"),
        ("Keys", ", ".join(f"{words.count(number)} {state}" for state, number in part["keys"].items())),
        ("Note", part["said"]),
    ]


def _audit(part: Any, report: JobReport) -> list[tuple[str, str]]:
    entries = [each["entry"] for each in part["entries"] if each["entry"]]
    refused = sum(each["decision"] == "refused" for each in entries)
    return [
        ("Entries", f"{len(part['entries'])}, each with its proof; {refused} refusals"),
        ("Who", ", ".join(sorted({each["subject"] for each in entries}))),
        ("How to check", part["how_to_check"]),
    ]


TITLES = {
    Part.DATA: "The data",
    Part.LINEAGE: "What came from what",
    Part.RUN: "How it was made",
    Part.COMPUTE: "What it took",
    Part.EVALUATION: "How good it is",
    Part.MEMORISATION: "What it remembers",
    Part.RECEIPT: "What it reached",
    Part.PLACEMENT: "Where it was done",
    Part.KEYS: "Keys",
    Part.APPROVALS: "Approvals",
    Part.ACCESS: "Who has access",
    Part.AUDIT: "Who did what",
}
FACTS = {
    Part.DATA: _data,
    Part.LINEAGE: _lineage,
    Part.RUN: _run,
    Part.COMPUTE: _compute,
    Part.EVALUATION: _evaluation,
    Part.MEMORISATION: _memorisation,
    Part.RECEIPT: _receipt,
    Part.PLACEMENT: _placement,
    Part.KEYS: _keys,
    Part.APPROVALS: _approvals,
    Part.ACCESS: _access,
    Part.AUDIT: _audit,
}
