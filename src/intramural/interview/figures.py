"""
Answers as figures: the text a reader takes in at a glance, beside the exact number.

Texts are rounded to about three digits and written in the unit a person would choose; the number
stays as it was. `quantity.write` is the other form: exact, and it reads back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from intramural.domain.answer_kinds import Kind, Number, OneOf, SomeOf
from intramural.domain.answer_tables import Parts, Shares, Spreads, SpreadsBy
from intramural.domain.answers import Answer, Answers, Provenance, Window
from intramural.domain.asking import ProfileField
from intramural.domain.one_page import Figure, Record, Standing
from intramural.domain.profile import FIELDS, Profile, applies, field_of
from intramural.domain.quantity import Dimension, Quantity

WORDS = {
    Standing.UNKNOWN: "unknown",
    Standing.NOT_ASKED: "not asked",
    Standing.NOT_MEASURED: "not measured",
    Standing.DOES_NOT_APPLY: "does not apply",
}

_SCALES: dict[Dimension, tuple[tuple[float, float, str], ...]] = {
    # From which number on, in which unit, under which name.
    Dimension.DURATION: (
        (365 * 86400.0, 365 * 86400.0, " years"),
        (48 * 3600.0, 86400.0, " d"),
        (120 * 60.0, 3600.0, " h"),
        (90.0, 60.0, " min"),
        (0.0, 1.0, " s"),
    ),
    Dimension.SIZE: ((1e12, 1e12, " TB"), (1e9, 1e9, " GB"), (1e6, 1e6, " MB"), (1e3, 1e3, " KB"), (0.0, 1.0, " B")),
    Dimension.PERCENT: ((0.0, 1.0, " %"),),
    Dimension.PARAMETERS: ((1e9, 1e9, "B"), (1e6, 1e6, "M"), (0.0, 1.0, "")),
    Dimension.TOKENS: ((1e12, 1e12, "T"), (1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e5, 1e3, "k"), (0.0, 1.0, "")),
    Dimension.SAMPLES: ((1e6, 1e6, "M"), (1e4, 1e3, "k"), (0.0, 1.0, "")),
    Dimension.COUNT: ((0.0, 1.0, ""),),
    Dimension.GPUS: ((0.0, 1.0, ""),),
}


@dataclass(frozen=True)
class Sides:
    """What was said and what is on record about one question."""

    asked: Answer[Any] | None
    """Asked; where nobody was, estimated."""
    asked_by: Provenance
    measured: Answer[Any] | None
    """Measured; where nothing was, imported from a tracker or a table."""
    measured_by: Provenance

    @property
    def best(self) -> Answer[Any] | None:
        """The one to rely on."""
        known = self.measured is not None and self.measured.value is not None
        return self.measured if known else self.asked or self.measured


def sides(answers: Answers[Any]) -> Sides:
    """Return the two sides of *answers*; within a side a known answer goes before an unknown one."""
    asked, asked_by = _first(answers, Provenance.ASKED, Provenance.ESTIMATED)
    measured, measured_by = _first(answers, Provenance.MEASURED, Provenance.IMPORTED)
    return Sides(asked, asked_by, measured, measured_by)


def _first(answers: Answers[Any], first: Provenance, second: Provenance) -> tuple[Answer[Any] | None, Provenance]:
    given = [(answers.by(each), each) for each in (first, second)]
    known = [(answer, each) for answer, each in given if answer is not None and answer.value is not None]
    return next(iter(known), None) or next((each for each in given if each[0] is not None), (None, first))


def shown(quantity: Quantity, dimension: Dimension) -> str:
    """Return the quantity rounded to about three digits: `2.4 h`, `1-2 GB`, `~45 %`, `at most 5 min`."""
    about = "~" if quantity.approximate else ""
    low, high = quantity.low, quantity.high
    if low is None or high is None:
        return f"{about}{'at most' if low is None else 'at least'} {_one(quantity.middle, dimension)}"
    if low == high:
        return about + _one(low, dimension)
    first, last = _one(low, dimension), _one(high, dimension)
    if first == last:
        return f"~{last}"
    unit = last.lstrip("0123456789.,")
    if unit and first.endswith(unit) and first.removesuffix(unit).replace(",", "").replace(".", "").isdigit():
        first = first.removesuffix(unit)
    return f"{about}{first}\N{EN DASH}{last}"


def _one(number: float, dimension: Dimension) -> str:
    _, factor, name = next(each for each in _SCALES[dimension] if number >= each[0] or _is_round(number, each))
    amount = number / factor
    return f"{_digits(amount)}{' year' if name == ' years' and amount == 1 else name}"


def _is_round(number: float, scale: tuple[float, float, str]) -> bool:
    """Tell whether a short time is a whole number of a larger unit: `1 h`, not `60 min`; a day is `24 h`."""
    _, factor, name = scale
    return name in {" h", " min"} and number >= factor and number % factor == 0


def _digits(amount: float) -> str:
    """Write about three digits: `0.25`, `2.4`, `61`, `13,000`."""
    if amount == int(amount) or amount >= 100:
        return f"{amount:,.0f}"
    places = 1 if amount >= 1 else 2
    text = f"{amount:.{places}f}".rstrip("0").rstrip(".")
    return text if text != "0" else "<0.01"


def value_text(kind: Kind, value: Any) -> str:
    """Return the value as a reader takes it in, with the labels of choices."""
    if isinstance(kind, Number):
        return shown(value, kind.dimension)
    if isinstance(kind, SomeOf):
        return (" > " if kind.ranked else ", ").join(kind.label(each) for each in value)
    if isinstance(kind, OneOf):
        return kind.label(value)
    if isinstance(kind, Parts):
        return shares_text(kind, value)
    if isinstance(kind, SpreadsBy):
        return spreads_text(kind, value)
    return kind.write(value)


def key_label(kind: Kind, key: str) -> str:
    """Return what to call a part of a small table."""
    keys = kind.keys if isinstance(kind, Parts | SpreadsBy) else None
    return keys.label(key) if isinstance(keys, OneOf) else key


def shares_text(kind: Parts, value: Shares, most: int | None = None) -> str:
    """Return the shares, largest first: `7B 80 %, 70B 20 %`."""
    ranked = value.ranked()
    written = [
        f"{key_label(kind, key)} {shown(share, Dimension.PERCENT)}" if share else key_label(kind, key) for key, share in ranked
    ]
    return ", ".join(written[:most]) + (f" and {len(written) - most} more" if most and len(written) > most else "")


def spreads_text(kind: SpreadsBy, value: Spreads) -> str:
    """Return the spreads: `Dev 1 min / 10 min`."""
    ends = {key: [shown(end, kind.dimension) if end else "?" for end in (each.p50, each.p90)] for key, each in value.by.items()}
    return ", ".join(f"{key_label(kind, key)} {p50} / {p90}" for key, (p50, p90) in ends.items())


class Recorder:
    """Makes the figures of one profile and gives each its source's letter."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.records = _records(profile)
        """Every source and window on record, in the order of the questions."""
        self._letters = {(each.provenance, each.source, each.window): each.letter for each in self.records}

    def asked(self, path: str, pick: Callable[[Any], Quantity | str | None] | None = None) -> Figure:
        """Return the figure of what was said at *path*; *pick* takes a part of it."""
        field, both = field_of(path), sides(self._profile.answers(path))
        if both.asked is None:
            return missing(self._unasked(field))
        return self._figure(field, both.asked, both.asked_by, pick, Standing.UNKNOWN)

    def measured(self, path: str, pick: Callable[[Any], Quantity | str | None] | None = None) -> Figure:
        """Return the figure of what is on record at *path*."""
        field, both = field_of(path), sides(self._profile.answers(path))
        if both.measured is None:
            return missing(Standing.NOT_MEASURED)
        return self._figure(field, both.measured, both.measured_by, pick, Standing.NOT_MEASURED)

    def best(self, path: str) -> Figure:
        """Return the figure to rely on."""
        measured = self.measured(path)
        return measured if measured.known else self.asked(path)

    def _unasked(self, field: ProfileField) -> Standing:
        earlier = field.when and self._profile.answers(field.when.path).value
        ruled_out = earlier is not None and not applies(self._profile, field)
        return Standing.DOES_NOT_APPLY if ruled_out else Standing.NOT_ASKED

    def _figure(
        self,
        field: ProfileField,
        answer: Answer[Any],
        provenance: Provenance,
        pick: Callable[[Any], Quantity | str | None] | None,
        without: Standing,
    ) -> Figure:
        value = answer.value if answer.value is None or pick is None else pick(answer.value)
        about = self._about(answer, provenance)
        if value is None:
            return missing(without, **about)
        if isinstance(value, Quantity):
            dimension = dimension_of(field.kind)
            ends = {"low": value.low, "high": value.high, "approximate": value.approximate, "unit": dimension.value}
            return Figure(standing=Standing.KNOWN, text=shown(value, dimension), **ends, **about)
        text = value if pick else value_text(field.kind, value)
        return Figure(standing=Standing.KNOWN, text=text, **about)

    def _about(self, answer: Answer[Any], provenance: Provenance) -> dict[str, Any]:
        window = answer.window or Window(days=self._profile.window_days)
        letter = self._letters.get((provenance, answer.source, window), "") if len(self.records) > 1 else ""
        about = {"confidence": answer.confidence, "window": window, "source": answer.source, "record": letter}
        return {"provenance": provenance, **about}


def missing(standing: Standing, **about: Any) -> Figure:
    """Return the figure of what is not known, in words."""
    return Figure(standing=standing, text=WORDS[standing], **about)


def dimension_of(kind: Kind) -> Dimension:
    """Return what the numbers of an answer measure."""
    if isinstance(kind, Number | SpreadsBy):
        return kind.dimension
    return Dimension.PERCENT


def _records(profile: Profile) -> tuple[Record, ...]:
    found: dict[tuple[Provenance, str | None, Window], None] = {}
    for field in FIELDS:
        both = sides(profile.answers(field.path))
        if both.measured is not None and both.measured.value is not None:
            window = both.measured.window or Window(days=profile.window_days)
            found.setdefault((both.measured_by, both.measured.source, window))
    return tuple(
        Record(letter=chr(ord("a") + n % 26), provenance=provenance, source=source, window=window)
        for n, (provenance, source, window) in enumerate(found)
    )
