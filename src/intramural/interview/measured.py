"""
The numbers of a measurement as answers of a profile, beside what was asked.

The platform's own runs and a scheduler's accounting are *measured*; a tracker's runs and tables are
*imported*. What was asked is never touched; what was measured before is replaced.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from intramural.domain import quantity
from intramural.domain.answer_kinds import OneOf
from intramural.domain.answer_tables import Shares, Spread, Spreads
from intramural.domain.answers import Answer, Confidence, Provenance
from intramural.domain.measurement import Measurement, Percentiles
from intramural.domain.profile import Profile
from intramural.domain.profile_choices import CAUSES, JOB_CLASSES, JOB_TYPES
from intramural.domain.quantity import Dimension, Quantity, exactly

SCHEDULERS = frozenset({"own", "sacct", "kubernetes"})
"""Kinds of source that are the record itself; every other kind was made from one."""
MOST_CLASSES = 12
"""Queues beyond these are too many for a profile; those with most jobs are kept."""
NO_CLASS = "all jobs"
"""What the queue is called where no record names a class."""
MOST_GPU_COUNTS = 8
"""More different counts are told in powers of two and the ranges between them."""
_TYPES, _CLASSES, _CAUSES = (OneOf(each, open=True) for each in (JOB_TYPES, JOB_CLASSES, CAUSES))


def with_measurement(profile: Profile, measurement: Measurement) -> Profile:
    """Return *profile* with every answer that *measurement* knows; what it does not know stays as it is."""
    provenance = provenance_of(measurement)
    for path, value in answers_of(measurement).items():
        answer = Answer[Any](
            value=value,
            confidence=Confidence.EXACT,
            window=measurement.window,
            source=", ".join(measurement.sources),
        )
        held = profile.answers(path)
        profile = profile.with_answers(path, held.model_copy(update={provenance.value: answer}))
    return profile


def provenance_of(measurement: Measurement) -> Provenance:
    """Return *measured* where every source is a scheduler's or our own, else *imported*."""
    return Provenance.MEASURED if set(measurement.sources) <= SCHEDULERS else Provenance.IMPORTED


def answers_of(measurement: Measurement) -> dict[str, Any]:
    """Return the value of each `anatomy` question that *measurement* knows."""
    by_type = measurement.by_profile_type or measurement.by_type
    by_class = sorted((each for each in measurement.by_class if each.name), key=lambda each: -each.jobs)[:MOST_CLASSES]
    queues = [(each.name, each.queue_seconds) for each in by_class] or [(NO_CLASS, measurement.queue_seconds)]
    known = {
        "job_mix": _shares(_TYPES, ((each.job_type, each.share) for each in by_type)),
        "run_time": _spreads(_TYPES, ((each.job_type, each.run_seconds) for each in by_type)),
        "queue_time": _spreads(_CLASSES, queues),
        "gpu_count": _gpu_counts(measurement.gpu_counts),
        "multi_node": _percent(measurement.multi_node),
        "checkpoint_interval": _seconds(_median(measurement.checkpoint_interval_seconds)),
        "checkpoint_size": _whole(_median(measurement.checkpoint_bytes)),
        "resume_rate": _percent(measurement.resumed),
        "dataset_size": _whole(_median(measurement.dataset_bytes)),
        "samples": _whole(_median(measurement.dataset_samples)),
        "sequence_length": _whole(_median(measurement.sequence_tokens)),
        "success_rate": _percent(measurement.success),
        "failure_causes": _shares(_CAUSES, ((each.cause.value, each.share) for each in measurement.causes)),
    }
    return {f"anatomy.{name}": value for name, value in known.items() if value is not None}


def _shares(kind: OneOf, parts: Iterable[tuple[str, float]]) -> Shares | None:
    """Return shares by choice; labels that are other words for one choice add up."""
    sums: dict[str, float] = {}
    for name, share in parts:
        key = kind.read(name)
        sums[key] = sums.get(key, 0.0) + share
    return Shares(parts={key: _percent(share) for key, share in sums.items()}) if sums else None


def _spreads(kind: OneOf, parts: Iterable[tuple[str, Percentiles]]) -> Spreads | None:
    """Return a spread by choice; of labels that are other words for one choice, that of most jobs."""
    most: dict[str, Percentiles] = {}
    for name, each in parts:
        key = kind.read(name)
        if each.p50 is not None and (key not in most or each.counted > most[key].counted):
            most[key] = each
    by = {key: Spread(p50=_seconds(each.p50), p90=_seconds(each.p90)) for key, each in most.items()}
    return Spreads(by=by) if by else None


def _gpu_counts(shares: dict[str, float]) -> Shares | None:
    """Return shares by GPUs, fewest first; a part of a GPU takes a whole one, and rare counts share a range."""
    sums: dict[int, float] = {}
    for number, share in shares.items():
        whole = math.ceil(float(number))
        sums[whole] = sums.get(whole, 0.0) + share
    if not sums:
        return None
    parts: dict[str, float] = {}
    for gpus, share in sorted(sums.items()):
        key = str(gpus) if len(sums) <= MOST_GPU_COUNTS else _range_of(gpus)
        parts[key] = parts.get(key, 0.0) + share
    return Shares(parts={key: _percent(share) for key, share in parts.items()})


def _range_of(number: int) -> str:
    """Return a power of two, or the numbers between two of them, as `quantity.read` takes it."""
    if number <= 2 or number & (number - 1) == 0:
        return str(number)
    above = 1 << number.bit_length()
    low, high = above // 2 + 1, above - 1
    return quantity.write(Quantity(low=low, high=high), Dimension.GPUS)


def _median(spread: Percentiles | None) -> float | None:
    return spread.p50 if spread else None


def _percent(share: float | None) -> Quantity | None:
    return None if share is None else exactly(min(round(share, 2), 100.0))


def _seconds(seconds: float | None) -> Quantity | None:
    return None if seconds is None else exactly(round(seconds, 1))


def _whole(number: float | None) -> Quantity | None:
    return None if number is None else exactly(float(round(number)))
