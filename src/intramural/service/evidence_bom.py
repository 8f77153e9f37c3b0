"""
The bill of materials of what a job made: CycloneDX 1.6 with a model card.

The format's own library has no classes for model cards, so the document is written as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import intramural
from intramural.domain.artifact import ArtifactKind
from intramural.domain.attestation import Resource
from intramural.domain.evaluation import Evaluation
from intramural.domain.report import JobReport
from intramural.service.evidence import LIBRARIES, package_address

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
MADE, BASE, DATA = "made", "base", "data"


def bill_of_materials(report: JobReport, files: list[Resource], *, at: datetime) -> dict[str, Any]:
    """Return the document; *files* are those of the artifacts."""
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"intramural:{report.job_id}:{at.isoformat()}")
    libraries = list(_libraries(report))
    components = [_base(report), _data(report), *libraries]
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "tools": {"components": [{"type": "application", "name": "intramural", "version": intramural.__version__}]},
            "component": _made(report, files),
        },
        "components": components,
        "dependencies": [
            {"ref": MADE, "dependsOn": [BASE, DATA, *(each["bom-ref"] for each in libraries)]},
            *({"ref": each["bom-ref"]} for each in components),
        ],
    }


def _made(report: JobReport, files: list[Resource]) -> dict[str, Any]:
    adapter = next((each for each in report.artifacts if each.kind is ArtifactKind.ADAPTER), None)
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": MADE,
        "name": report.name,
        "version": report.job_id,
        "description": f"A {report.spec.method.kind} adapter of {report.spec.base}.",
        "modelCard": _card(report),
    }
    weights = [each for each in files if each.digest is not None and each.name.endswith(".safetensors")]
    if weights:
        found["components"] = [
            {"type": "file", "bom-ref": f"file:{each.name}", "name": each.name, "hashes": [_hash(each.digest or "")]}
            for each in weights
        ]
    if adapter is not None:
        found["properties"] = [{"name": "intramural:artifact", "value": f"{adapter.id} {adapter.digest}"}]
    return found


def _card(report: JobReport) -> dict[str, Any]:
    metrics = [
        metric
        for each in (report.metrics.before, report.metrics.after, *report.metrics.baselines)
        if each is not None
        for metric in _metrics(each)
    ]
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "text-generation",
            "modelArchitecture": report.base.architecture if report.base else "unknown",
            "datasets": [{"ref": DATA}],
        },
        **({"quantitativeAnalysis": {"performanceMetrics": metrics}} if metrics else {}),
        "considerations": {
            "technicalLimitations": [
                "Measured on the hold-out of its own data set alone.",
                "It can repeat what it was trained on: how private it is follows from the data.",
            ]
        },
    }


def _metrics(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    if evaluation.loss is not None:
        yield {"type": "loss", "value": repr(evaluation.loss), "slice": evaluation.system}
    for name, score in evaluation.scores.items():
        yield {
            "type": name,
            "value": repr(score.value),
            "slice": evaluation.system,
            "confidenceInterval": {"lowerBound": repr(score.low), "upperBound": repr(score.high)},
        }


def _base(report: JobReport) -> dict[str, Any]:
    base = report.base
    found: dict[str, Any] = {"type": "machine-learning-model", "bom-ref": BASE, "name": report.spec.base}
    if base is not None:
        found["properties"] = [
            {"name": "intramural:digest", "value": base.digest},
            {"name": "intramural:source", "value": base.source},
            {"name": "intramural:parameters", "value": str(base.parameters)},
        ]
        if base.licence:
            found["licenses"] = [{"license": {"name": base.licence}}]
    return found


def _data(report: JobReport) -> dict[str, Any]:
    data = report.data
    label = data.label if data else report.spec.data
    found: dict[str, Any] = {"type": "data", "bom-ref": DATA, "name": label}
    if data is not None:
        found["data"] = [{"type": "dataset", "name": label, "classification": data.classification.value}]
        found["properties"] = [
            {"name": "intramural:digest", "value": data.digest},
            {"name": "intramural:examples", "value": f"{data.train_examples} training, {data.holdout_examples} hold-out"},
        ]
    return found


def _libraries(report: JobReport) -> Iterator[dict[str, Any]]:
    for name, version in report.environment.items():
        if name in LIBRARIES:
            address = package_address(name, version)
            yield {"type": "library", "bom-ref": address, "name": name, "version": version, "purl": address}


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest.removeprefix("sha256:")}
