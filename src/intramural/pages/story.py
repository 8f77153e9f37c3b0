"""
What a run page says, before it is drawn: the sentences, the rows and the facts.

HTML and Markdown draw the same story, so that both always tell the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from intramural.domain.cause import Cause
from intramural.domain.evaluation import Evaluation, Score
from intramural.domain.job import JobState
from intramural.domain.receipt import WallsSummary
from intramural.domain.report import AttemptLine, JobReport
from intramural.domain.verdict import (
    Direction,
    direction,
    interval,
    leading_score,
    percent,
    score_label,
    sentence_case,
    system_label,
)
from intramural.pages.words import PHASES, UNKNOWN, count, decimal, duration, rate, size


@dataclass(frozen=True)
class Cell:
    """One figure of the result table."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class ResultTable:
    """Scores by system: the base, the tuned model, then the simple baselines."""

    systems: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    samples: int


@dataclass(frozen=True)
class Fact:
    """One figure with its name and a note on what it covers."""

    label: str
    value: str
    note: str = ""


def reached(walls: WallsSummary) -> list[tuple[str, str, str, str, str]]:
    """Return destinations that a run reached, as rows: where, connections, bytes up, bytes down, what was cut."""
    return [
        (
            f"{each.host}:{each.port}",
            count(each.connections),
            size(each.up_bytes),
            size(each.down_bytes),
            ", ".join(f"{number} {reason.value.replace('_', ' ')}" for reason, number in sorted(each.cut.items())),
        )
        for each in walls.reached
    ]


def headline(report: JobReport) -> str:
    """Return the one sentence a person came for."""
    match report.state:
        case JobState.SUCCEEDED:
            return _change(report) or f"Trained for {count(report.step)} steps."
        case JobState.FAILED:
            return f"Failed: {_words(report.cause)}."
        case JobState.CANCELLED:
            return f"Cancelled{_at_step(report)}."
        case JobState.PAUSED:
            return f"Paused{_at_step(report)}."
        case JobState.RUNNING:
            return _progress(report)
        case _:
            return "Waiting to start."


def lead(report: JobReport) -> list[str]:
    """Return the sentences under the headline: what was done, how sure the figure is, what simple methods reach."""
    after = report.metrics.after
    if report.state is not JobState.SUCCEEDED or after is None:
        return [_so_far(report)]
    sentences = [_what_was_done(report)]
    name = leading_score(after)
    if name is None:
        return sentences
    score = after.scores[name]
    sentences.append(
        f"With {percent(score.confidence)} confidence the {score_label(name)} lies at {interval(score)}, "
        f"judged on {count(score.samples)} samples that training never saw."
    )
    best = max(
        (each for each in report.metrics.baselines if name in each.scores), key=lambda e: e.scores[name].value, default=None
    )
    if best is not None:
        sentences.append(_against(score, best.scores[name], system_label(best.system)))
    return sentences


def standing(report: JobReport) -> str:
    """Return the class that colours the page's mark: `good`, `bad` or `plain`."""
    if report.state is JobState.FAILED:
        return "bad"
    if report.state is not JobState.SUCCEEDED:
        return "plain"
    return {Direction.BETTER: "good", Direction.WORSE: "bad"}.get(direction(report.metrics), "plain")


def result_table(report: JobReport) -> ResultTable | None:
    """Return every measured figure by system, the leading score first; none before anything was measured."""
    measured = report.metrics
    systems = [each for each in (measured.before, measured.after, *measured.baselines) if each is not None]
    if not systems:
        return None
    names = dict.fromkeys(name for each in systems for name in each.scores)
    first = leading_score(measured.after or systems[0])
    ordered = sorted(names, key=lambda name: (name != first, _RANK.get(name, 9)))
    if first and first.startswith("field_accuracy.") and "field_accuracy" in names:
        ordered.remove("field_accuracy")
    rows = [(sentence_case(score_label(name)), tuple(_score_cell(each, name) for each in systems)) for name in ordered]
    if any(each.loss is not None for each in systems):
        rows.append(("Loss, nats per answer token", tuple(Cell(decimal(each.loss)) for each in systems)))
        rows.append(("Perplexity", tuple(Cell(decimal(each.perplexity, 2)) for each in systems)))
    return ResultTable(tuple(sentence_case(system_label(each.system)) for each in systems), tuple(rows), systems[0].samples)


def facts(report: JobReport) -> list[Fact]:
    """Return the figures of time, speed and memory that are known."""
    total = f"of {count(report.total_steps)}" if report.total_steps else ""
    latency = report.start_latency_seconds
    every = [
        Fact("Steps", count(report.step), total) if report.step or report.total_steps else None,
        Fact("Speed", rate(report.tokens_per_second), "tokens/s, none padded") if report.tokens_per_second else None,
        Fact("Time", duration(report.duration_seconds), "from start to end" if report.ended_at else "so far")
        if report.duration_seconds
        else None,
        Fact("Peak memory", size(report.peak_memory_bytes), "resident set") if report.peak_memory_bytes else None,
        Fact("Peak GPU memory", size(report.peak_gpu_memory_bytes), "reserved") if report.peak_gpu_memory_bytes else None,
        Fact("Start", duration(latency), "submission to first pass") if latency is not None else None,
        Fact("Time left", duration(report.seconds_left), "predicted") if report.seconds_left is not None else None,
    ]
    return [each for each in every if each is not None]


def flattened(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as dotted names with their values."""
    out: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            out += flattened(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            out.append((prefix + name, f"{value:.6g}"))
        elif isinstance(value, list | tuple):
            out.append((prefix + name, ", ".join(str(each) for each in value) or UNKNOWN))
        else:
            out.append((prefix + name, UNKNOWN if value is None else str(value)))
    return out


def attempt_words(attempt: AttemptLine) -> str:
    """Return how an attempt began and ended."""
    began = f"resumed from step {count(attempt.resumed_from_step)}" if attempt.resumed_from_step else "from the beginning"
    ended = _words(attempt.cause) if attempt.cause else str(attempt.outcome or "running")
    return f"{began}; {ended}"


def moment(at: datetime | None) -> str:
    """Return a date and time with its zone."""
    return UNKNOWN if at is None else f"{at:%Y-%m-%d %H:%M:%S} {at.tzname() or ''}".strip()


_CAUSES = {
    Cause.GPU_MEMORY: "the GPU ran out of memory",
    Cause.HOST_MEMORY: "the machine ran out of memory",
    Cause.DISK_FULL: "the disk is full",
    Cause.DATA_ERROR: "the data has an error",
    Cause.USER_CODE: "an error in the code",
    Cause.DIVERGED: "training diverged",
    Cause.NETWORK: "the network failed",
    Cause.NODE_FAILURE: "the machine went away",
    Cause.GPU_FAULT: "the GPU failed",
    Cause.TIME_LIMIT: "the time limit was reached",
    Cause.DRIFT: "the environment changed",
    Cause.INTEGRITY: "stored bytes changed",
    Cause.UNKNOWN: "for an unknown cause",
}
_RANK = {"field_accuracy": 1, "exact_match": 2, "valid_json": 3}


def _score_cell(evaluation: Evaluation, name: str) -> Cell:
    score = evaluation.scores.get(name)
    return Cell(UNKNOWN) if score is None else Cell(percent(score.value), interval(score))


def _change(report: JobReport) -> str | None:
    before, after = report.metrics.before, report.metrics.after
    if after is None:
        return None
    name = leading_score(after)
    if name is None:
        if after.loss is None:
            return None
        label, new = "Hold-out loss", decimal(after.loss)
        old = decimal(before.loss) if before and before.loss is not None else None
        rising = bool(before and before.loss is not None and after.loss > before.loss)
    else:
        label, new = score_label(name), percent(after.scores[name].value)
        old = percent(before.scores[name].value) if before and name in before.scores else None
        rising = bool(before and name in before.scores and after.scores[name].value > before.scores[name].value)
    label = sentence_case(label)
    if old is None:
        return f"{label} is {new} after training."
    if old == new:
        return f"{label} stayed at {new}."
    clear = "" if direction(report.metrics) is not Direction.UNCLEAR else ", which may be chance"
    return f"{label} {'rose' if rising else 'fell'} from {old} to {new}{clear}."


def _what_was_done(report: JobReport) -> str:
    examples = f"the {count(report.data.train_examples)} examples of {report.data.label}" if report.data else report.spec.data
    return f"{report.spec.base} was tuned on {examples} in {duration(report.duration_seconds)}."


def _against(score: Score, other: Score, label: str) -> str:
    if score.low > other.high:
        verdict = "the tuned model is clearly better"
    elif score.high < other.low:
        verdict = "the tuned model is clearly worse, so the simple method is the one to beat"
    else:
        verdict = "the two cannot be told apart on these samples"
    name = label if label[:2].isupper() else f"the {label}"
    return f"The best simple baseline ({name}) reaches {percent(other.value)}: {verdict}."


def _so_far(report: JobReport) -> str:
    subject = f"{report.spec.base} on {report.data.label if report.data else report.spec.data}"
    if report.state is JobState.QUEUED:
        again = f" Attempt {len(report.attempts) + 1} continues from the newest checkpoint." if report.attempts else ""
        return f"{subject}, submitted {moment(report.submitted_at)}.{again}"
    done = f"{count(report.step)} of {count(report.total_steps)} steps" if report.total_steps else "no step yet"
    written = len(report.checkpoints)
    kept = f"{count(written)} checkpoint{'s' if written > 1 else ''} written" if written else "no checkpoint yet"
    return f"{subject}: {done}, {kept}."


def _progress(report: JobReport) -> str:
    if report.waiting is not None:
        return f"Waiting since {moment(report.waiting.since)}: {report.waiting.reason.removesuffix('.')}."
    phase = PHASES.get(report.phase or "", report.phase or "starting")
    if report.phase != "train" or not report.total_steps:
        return f"Running: {phase}."
    left = f", about {duration(report.seconds_left)} left" if report.seconds_left is not None else ""
    return f"Training: step {count(report.step)} of {count(report.total_steps)}{left}."


def _at_step(report: JobReport) -> str:
    return f" at step {count(report.step)}" if report.step else " before the first step"


def _words(cause: Cause | None) -> str:
    if cause is None:
        return "no cause was recorded"
    return _CAUSES.get(cause, cause.value.replace("_", " "))
