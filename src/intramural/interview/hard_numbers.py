"""The guide's list of hard numbers under its own names, each from the best answer there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intramural.domain.answer_tables import Shares, Spreads
from intramural.domain.one_page import Figure, HardNumber, HardNumbers
from intramural.domain.profile import Profile
from intramural.domain.quantity import Quantity
from intramural.interview.figures import Recorder, sides

_GB, _MINUTE = 1e9, 60.0


def hard_numbers(profile: Profile) -> HardNumbers:
    """Return the list of *profile*."""
    take = _Taken(profile)
    return HardNumbers(
        dataset_size_gb=take.number("anatomy.dataset_size", "GB", _GB),
        tokens_estimate=take.number("anatomy.dataset_tokens", "tokens"),
        seq_len=take.number("anatomy.sequence_length", "tokens"),
        gpu_count=take.gpu_count(),
        gpu_vram_needed=take.number("anatomy.gpu_vram", "GB", _GB),
        run_time_p50=take.run_time("p50"),
        run_time_p90=take.run_time("p90"),
        checkpoint_interval_min=take.number("anatomy.checkpoint_interval", "minutes", _MINUTE),
        checkpoint_size_gb=take.number("anatomy.checkpoint_size", "GB", _GB),
        success_rate=take.number("anatomy.success_rate", "percent"),
        failure_causes=take.shares("anatomy.failure_causes"),
    )


class _Taken:
    """Takes numbers out of one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._recorder = Recorder(profile)

    def number(self, path: str, unit: str, scale: float = 1.0) -> HardNumber:
        """Return one number, divided by *scale*."""
        return _number(self._recorder.best(path), unit, scale)

    def shares(self, path: str) -> HardNumber:
        """Return the shares of a whole, in percent."""
        value = self._best(path)
        keys = [key for key, _ in value.ranked()] if isinstance(value, Shares) else []
        return self._whole(path, "percent", {key: self._part(path, _share(key), "percent") for key in keys})

    def gpu_count(self) -> HardNumber:
        """Return the most common number of GPUs, the fewest and the most, and the share of each."""
        whole = self.shares("anatomy.gpu_count")
        counts = [float(key) for key in whole.by if _is_number(key)]
        if not counts:
            return whole.model_copy(update={"unit": "gpus"})
        ends = {"value": counts[0], "low": min(counts), "high": max(counts)}
        return whole.model_copy(update={"unit": "gpus", **ends})

    def run_time(self, end: str) -> HardNumber:
        """Return a percentile of each job type's run time, in seconds: each from the best answer that has it."""
        path = "anatomy.run_time"
        both = sides(self._profile.answers(path))
        given = [each.value for each in (both.measured, both.asked) if each is not None and each.value is not None]
        keys = dict.fromkeys(key for value in given for key in value.by)
        parts = {key: self._part(path, _end(key, end), "seconds") for key in keys}
        return self._whole(path, "seconds", parts)

    def _part(self, path: str, pick: Callable[[Any], Quantity | None], unit: str) -> HardNumber:
        measured = self._recorder.measured(path, pick)
        return _number(measured if measured.known else self._recorder.asked(path, pick), unit, 1.0)

    def _whole(self, path: str, unit: str, parts: dict[str, HardNumber]) -> HardNumber:
        about = _number(self._recorder.best(path), unit, 1.0)
        return about.model_copy(update={"value": None, "low": None, "high": None, "by": parts})

    def _best(self, path: str) -> Any:
        answer = sides(self._profile.answers(path)).best
        return answer.value if answer else None


def _number(figure: Figure, unit: str, scale: float) -> HardNumber:
    low, high, middle = (None if each is None else each / scale for each in (figure.low, figure.high, figure.number))
    return HardNumber(
        standing=figure.standing,
        value=middle,
        low=low,
        high=high,
        unit=unit,
        approximate=figure.approximate,
        provenance=figure.provenance,
        confidence=figure.confidence,
        window=figure.window,
        source=figure.source,
    )


def _share(key: str) -> Callable[[Shares], Quantity | None]:
    return lambda shares: shares.parts.get(key)


def _end(key: str, end: str) -> Callable[[Spreads], Quantity | None]:
    def pick(spreads: Spreads) -> Quantity | None:
        spread = spreads.by.get(key)
        found: Quantity | None = getattr(spread, end) if spread else None
        return found

    return pick


def _is_number(key: str) -> bool:
    return key.replace(".", "", 1).isdigit()
