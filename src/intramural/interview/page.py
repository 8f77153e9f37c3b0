"""
The one page of the interview guide from a profile: what to show, not how.

Every question of the interview has its place: in the lines of the output template, or among
what was also told. Shares that do not add up are shown as they are, with a warning.
"""

from __future__ import annotations

from typing import Any, cast

from intramural.domain.answer_kinds import Number
from intramural.domain.answer_tables import Parts, Shares, Spreads, SpreadsBy
from intramural.domain.one_page import Contradiction, Figure, OnePage, Row, Spread
from intramural.domain.profile import Profile, field_of
from intramural.domain.quantity import Dimension, Quantity, exactly
from intramural.interview import facts
from intramural.interview.contradictions import contradictions
from intramural.interview.figures import Recorder, key_label, missing, shown, sides
from intramural.interview.pain_evidence import pains
from intramural.interview.titles import title
from intramural.interview.vram import tier_text

_TOP = 3
_DATA_AND_CHECKPOINTS = (
    "anatomy.dataset_size",
    "anatomy.dataset_tokens",
    "anatomy.sequence_length",
    "anatomy.samples",
    "anatomy.checkpoint_interval",
    "anatomy.checkpoint_size",
    "anatomy.resume_rate",
)
_SHARES = {
    "anatomy.job_mix": "job types",
    "anatomy.model_sizes": "model sizes",
    "anatomy.gpu_count": "GPU counts",
    "anatomy.failure_causes": "failure causes",
}


def one_page(profile: Profile) -> OnePage:
    """Return the page of *profile*."""
    draw = _Rows(profile)
    mix = draw.shares("anatomy.job_mix")
    return OnePage(
        name=profile.name,
        respondent=profile.respondent,
        interviewed=profile.interviewed,
        window_days=profile.window_days,
        records=draw.recorder.records,
        persona=facts.persona(profile, draw.recorder),
        job_mix=mix,
        run_time=draw.run_time([each.key for each in mix if each.key]),
        queue_time=draw.queue_time(),
        gpu_shape=draw.gpu_shape(),
        data_and_checkpoints=tuple(draw.row(path) for path in _DATA_AND_CHECKPOINTS),
        success=draw.row("anatomy.success_rate"),
        failure_causes=draw.shares("anatomy.failure_causes"),
        constraints=facts.constraints(profile, draw.recorder),
        integrations=facts.integrations(profile, draw.recorder),
        pains=pains(profile),
        pains_standing=draw.recorder.asked("anatomy.pains").standing,
        also=facts.also(profile, draw.recorder),
        contradictions=draw.contradictions,
        warnings=_warnings(profile),
    )


class _Rows:
    """Lays the two sides of an answer beside each other and marks where they contradict."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.recorder = Recorder(profile)
        self.contradictions = contradictions(profile)
        self._marks: dict[tuple[str, str | None], Contradiction] = {(each.path, each.key): each for each in self.contradictions}

    def row(self, path: str) -> Row:
        """Return the row of one number."""
        asked, measured = self.recorder.asked(path), self.recorder.measured(path)
        return self._row(path, None, title(path), asked, measured)

    def shares(self, path: str) -> tuple[Row, ...]:
        """Return one row for each part of a whole, largest first: by what is on record, else as it was said."""
        kind, both = cast(Parts, field_of(path).kind), sides(self._profile.answers(path))
        given = [each.value for each in (both.measured, both.asked) if each is not None and each.value is not None]
        keys = dict.fromkeys(key for shares in given for key, _ in shares.ranked())
        return tuple(self._share_row(path, kind, key) for key in keys)

    def _share_row(self, path: str, kind: Parts, key: str) -> Row:
        asked, measured = self.recorder.asked(path, _named(key)), self.recorder.measured(path, _counted(key))
        return self._row(path, key, key_label(kind, key), asked, measured)

    def run_time(self, order: list[str]) -> tuple[Spread, ...]:
        """Return p50 and p90 of each job type in *order*, and of the others that have any."""
        timed = self._timed("anatomy.run_time")
        keys = [key for n, key in enumerate(order) if n < _TOP or key in timed]
        return tuple(self._spread("anatomy.run_time", key) for key in dict.fromkeys([*keys, *timed]))

    def queue_time(self) -> tuple[Spread, ...]:
        """Return p50 and p90 of the wait of each class that has any."""
        return tuple(self._spread("anatomy.queue_time", key) for key in self._timed("anatomy.queue_time"))

    def _timed(self, path: str) -> list[str]:
        both = sides(self._profile.answers(path))
        given = [each.value.by for each in (both.measured, both.asked) if each is not None and each.value is not None]
        return list(dict.fromkeys(key for by in given for key in by))

    def _spread(self, path: str, key: str) -> Spread:
        kind, ends = cast(SpreadsBy, field_of(path).kind), {}
        for end in ("p50", "p90"):
            asked = self.recorder.asked(path, _end(key, end, "not named"))
            measured = self.recorder.measured(path, _end(key, end, None))
            ends[end] = self._row(path, f"{key}.{end}", f"{key_label(kind, key)} {end}", asked, measured)
        return Spread(key=key, label=key_label(kind, key), **ends)

    def gpu_shape(self) -> tuple[Row, ...]:
        """Return the common counts, the tier of memory, and how often several nodes are needed."""
        counts, vram = "anatomy.gpu_count", "anatomy.gpu_vram"
        asked, measured = (
            _with_number(side(counts, _common_text), side(counts, _common))
            for side in (self.recorder.asked, self.recorder.measured)
        )
        mark = next((each.text for each in self.contradictions if each.path == counts and each.key is None), None)
        parts = [f"{each.key} GPU: {each.text}" for each in self.contradictions if each.path == counts and each.key]
        count_row = self._row(counts, None, title(counts), asked, measured)
        count_row = count_row.model_copy(update={"contradiction": mark or "; ".join(parts[:2]) or None})
        tiers = [self._tier(side(vram)) for side in (self.recorder.asked, self.recorder.measured)]
        return (count_row, self._row(vram, None, title(vram), *tiers), self.row("anatomy.multi_node"))

    def _tier(self, need: Figure) -> Figure:
        return need.model_copy(update={"text": tier_text(need)}) if need.known else need

    def _row(self, path: str, key: str | None, label: str, asked: Figure, measured: Figure) -> Row:
        mark = self._marks.get((path, key))
        return Row(path=path, key=key, label=label, asked=asked, measured=measured, contradiction=mark.text if mark else None)


def _named(key: str) -> Any:
    """Pick what was said of one part; one that is named without a share is text."""

    def pick(shares: Shares) -> Quantity | str | None:
        return (shares.parts[key] or "named") if key in shares.parts else "not named"

    return pick


def _counted(key: str) -> Any:
    """Pick what is on record of one part; one that never occurred is 0 %."""

    def pick(shares: Shares) -> Quantity | str | None:
        return shares.parts.get(key) or (exactly(0.0) if shares.total is not None else "named")

    return pick


def _end(key: str, end: str, without: str | None) -> Any:
    """Pick an end of one spread; *without* stands for a key that is not there."""

    def pick(spreads: Spreads) -> Quantity | str | None:
        found: Quantity | str | None = getattr(spreads.by[key], end) if key in spreads.by else without
        return found

    return pick


def _common_text(shares: Shares) -> str:
    ranked = shares.ranked()
    written = [f"{key} ({_whole_percent(share)})" if share else key for key, share in ranked]
    shown = _TOP if any(shares.parts.values()) else 2 * _TOP  # names alone are short
    return ", ".join(written[:shown]) + (" \N{HORIZONTAL ELLIPSIS}" if len(written) > shown else "")


def _whole_percent(share: Quantity) -> str:
    whole = share if share.is_range or share.middle < 1 else exactly(round(share.middle))
    return shown(whole, Dimension.PERCENT)


def _common(shares: Shares) -> Quantity:
    kind = cast(Parts, field_of("anatomy.gpu_count").kind)
    return cast(Number, kind.keys).read(shares.ranked()[0][0])


def _with_number(text: Figure, number: Figure) -> Figure:
    ends = {"low": number.low, "high": number.high, "unit": Dimension.GPUS.value}
    return text.model_copy(update=ends) if text.known else missing(text.standing)


def _warnings(profile: Profile) -> tuple[str, ...]:
    """Say which shares do not add up; they are shown as they are."""
    found = []
    for path, words in _SHARES.items():
        for answer, verb in _known_sides(profile, path):
            if not answer.adds_up():
                found.append(f"The shares of {words} as {verb} add up to {answer.total:g} %.")
    return tuple(found)


def _known_sides(profile: Profile, path: str) -> list[tuple[Shares, str]]:
    both = sides(profile.answers(path))
    given = ((both.asked, "said"), (both.measured, "measured"))
    return [(answer.value, verb) for answer, verb in given if answer is not None and answer.value is not None]
