"""
Numbers as people write them: `2h`, `90 min`, `1.5 TB`, `70B`, `~45%`, `2-4`, `13k samples`.

A `Quantity` is a number or a range in the base unit of its dimension (seconds, bytes, percent,
or plain counts), and whether it was said to be approximate. `read` turns text into one and
`write` turns one into text that reads back as the same.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Self

from pydantic import model_validator

from intramural.domain.value import Value


class Dimension(StrEnum):
    """What a number measures, named by its base unit."""

    DURATION = "seconds"
    SIZE = "bytes"
    PERCENT = "percent"
    COUNT = "count"
    PARAMETERS = "parameters"
    TOKENS = "tokens"
    SAMPLES = "samples"
    GPUS = "gpus"


_KILO = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6, "mn": 1e6, "million": 1e6, "G": 1e9, "B": 1e9, "b": 1e9, "bn": 1e9}
_KILO |= {"billion": 1e9, "thousand": 1e3, "T": 1e12, "trillion": 1e12}

_YEAR = 31536000.0
_UNITS: dict[Dimension, dict[str, float]] = {
    Dimension.DURATION: {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
        **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
        **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
        **dict.fromkeys(("d", "day", "days"), 86400.0),
        **dict.fromkeys(("w", "wk", "week", "weeks"), 604800.0),
        **dict.fromkeys(("mo", "month", "months"), 2592000.0),
        **dict.fromkeys(("y", "yr", "year", "years"), _YEAR),
        "ms": 1e-3,
    },
    Dimension.SIZE: {
        **dict.fromkeys(("b", "byte", "bytes"), 1.0),
        **{f"{each}{b}": 1000.0 ** (n + 1) for n, each in enumerate("kmgtp") for b in ("", "b")},
        **{f"{each}ib": 1024.0 ** (n + 1) for n, each in enumerate("kmgtp")},
    },
    Dimension.PERCENT: {"%": 1.0, "percent": 1.0, "pct": 1.0},
    **dict.fromkeys((Dimension.COUNT, Dimension.PARAMETERS, Dimension.TOKENS, Dimension.SAMPLES, Dimension.GPUS), _KILO),
}

_WRITTEN: dict[Dimension, tuple[tuple[str, float], ...]] = {
    Dimension.DURATION: ((" y", _YEAR), (" d", 86400.0), (" h", 3600.0), (" min", 60.0), (" s", 1.0)),
    Dimension.SIZE: ((" TB", 1e12), (" GB", 1e9), (" MB", 1e6), (" KB", 1e3), (" B", 1.0)),
    Dimension.PERCENT: ((" %", 1.0),),
    Dimension.PARAMETERS: (("B", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)),
    Dimension.TOKENS: (("B", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)),
    Dimension.SAMPLES: (("M", 1e6), ("k", 1e3), ("", 1.0)),
    Dimension.COUNT: (("", 1.0),),
    Dimension.GPUS: (("", 1.0),),
}

_NOUNS = {
    Dimension.COUNT: ("people", "person"),
    Dimension.PARAMETERS: ("parameters", "params", "parameter", "param"),
    Dimension.TOKENS: ("tokens", "token", "tok"),
    Dimension.SAMPLES: ("samples", "sample", "rows", "row", "examples", "example", "records", "pairs"),
    Dimension.GPUS: ("gpus", "gpu"),
}

EXAMPLES: dict[Dimension, str] = {
    Dimension.DURATION: "2h, 90 min, 1-3 days",
    Dimension.SIZE: "1.5 TB, 800 MB, 16 GiB",
    Dimension.PERCENT: "~45%, 10-20 %",
    Dimension.COUNT: "12, 200-300",
    Dimension.PARAMETERS: "7B, 135M",
    Dimension.TOKENS: "2.5B, 4096, 1-2k",
    Dimension.SAMPLES: "13k samples, 2M",
    Dimension.GPUS: "8, 2-4",
}
"""What a person may write, for prompts and messages."""

_ABOUT = re.compile(r"^(~|≈|about|around|approximately|approx\.?|roughly|circa|ca\.?|c\.)\s*", re.IGNORECASE)
_BELOW = re.compile(r"^(<=?|≤|up to|at most|under|below|less than|max\.?)\s*", re.IGNORECASE)
_ABOVE = re.compile(r"^(>=?|≥|at least|over|above|more than|min\.?(?=\s))\s*", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:\u2013|\u2014|\.\.\.?|\bto\b|\band\b|(?<=[\w%])(?<!\d[eE])\s*-)\s*", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d{2})(?::(\d{2}))?")
"""`days-hours:minutes:seconds`, as Slurm writes; `1:30` is an hour and a half."""
_NUMBER = re.compile(r"(\d[\d,._' \u00a0]*\d|\d|\.\d+)(?:\s*([^\d\s].*))?$")
_THOUSANDS = re.compile(r"\d{1,3}([,_' \u00a0])\d{3}(\1\d{3})*(\.\d+)?")


class Quantity(Value):
    """A number or a range in the base unit of its dimension; an open end is none."""

    low: float | None
    high: float | None
    approximate: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("a quantity has at least one end")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("the range's first number is above its second")
        return self

    @property
    def is_range(self) -> bool:
        """Whether it is more than one number."""
        return self.low != self.high

    @property
    def middle(self) -> float:
        """The number, the mean of a range, or the known end of an open one."""
        ends = [each for each in (self.low, self.high) if each is not None]
        return sum(ends) / len(ends)


def exactly(number: float) -> Quantity:
    """Return the quantity of one number."""
    return Quantity(low=number, high=number)


def read(text: str | float, dimension: Dimension) -> Quantity:
    """Return what *text* says. A bare number is in the base unit; for a size in GB, and a duration must name its unit.

    Raises `ValueError` in words for the person who wrote it; the text itself is not repeated.
    """
    return _read(repr(text) if isinstance(text, (int, float)) else text, dimension)


@lru_cache(maxsize=4096)  # people write the same few: `2 h`, `10 %`
def _read(text: str, dimension: Dimension) -> Quantity:
    rest = " ".join(text.strip().split())
    rest, approximate = _strip(_ABOUT, rest)
    rest, below = _strip(_BELOW, rest)
    rest, above = (rest, False) if below else _strip(_ABOVE, rest)
    rest = re.sub(r"^between\s+", "", rest, flags=re.IGNORECASE)
    if rest.startswith("-"):
        raise ValueError("it is below zero")
    parts = [rest] if _CLOCK.fullmatch(rest) else [each for each in _RANGE.split(rest) if each]
    if not 1 <= len(parts) <= 2:
        raise ValueError(_expected(dimension))
    numbers = [_amount(each, dimension) for each in parts]
    if len(numbers) == 2 and numbers[0][1] is None:
        numbers[0] = (numbers[0][0], numbers[1][1])  # in `2-4 h` the unit is that of both
    ends = [amount * (_bare(dimension) if unit is None else unit) for amount, unit in numbers]
    _check(ends, dimension)
    if below or above:
        if len(ends) == 2:
            raise ValueError(_expected(dimension))
        return Quantity(low=ends[0] if above else None, high=ends[0] if below else None, approximate=approximate)
    return Quantity(low=ends[0], high=ends[-1], approximate=approximate)


def write(quantity: Quantity, dimension: Dimension) -> str:
    """Return text that `read` turns into the same quantity."""
    about = "~" if quantity.approximate else ""
    if quantity.low is None or quantity.high is None:
        mark, end = ("<=", quantity.high) if quantity.low is None else (">=", quantity.low)
        return f"{about}{mark}{_written(end or 0.0, dimension)}"
    if not quantity.is_range:
        return about + _written(quantity.low, dimension)
    low, high = _written(quantity.low, dimension), _written(quantity.high, dimension)
    if low[-1].isdigit() and not high[-1].isdigit():
        high = _plain(quantity.high)  # in `5-7k` the unit would be that of both
    number, _, unit = low.partition(" ")
    return f"{about}{number}-{high}" if unit and high.endswith(f" {unit}") else f"{about}{low} - {high}"


def _strip(mark: re.Pattern[str], text: str) -> tuple[str, bool]:
    rest = mark.sub("", text)
    return rest, rest != text


def _bare(dimension: Dimension) -> float:
    if dimension is Dimension.DURATION:
        raise ValueError("say the unit: 45 min or 45 h")
    return 1e9 if dimension is Dimension.SIZE else 1.0


def _amount(text: str, dimension: Dimension) -> tuple[float, float | None]:
    """Return the number and the factor of its unit, if one is written; `1h 30min` adds up."""
    several = re.findall(r"[\d.,]+\s*[a-zA-Z]+", text)
    if dimension is Dimension.DURATION and len(several) > 1 and "".join(several).replace(" ", "") == text.replace(" ", ""):
        amounts = [_amount(each, dimension) for each in several]
        return sum(number * (unit or 1.0) for number, unit in amounts), 1.0
    clock = _CLOCK.fullmatch(text)
    if dimension is Dimension.DURATION and clock:
        days, hours, minutes, seconds = (int(each or 0) for each in clock.groups())
        return days * 86400.0 + hours * 3600.0 + minutes * 60.0 + seconds, 1.0
    scientific = re.fullmatch(r"(\d+(?:\.\d*)?[eE][-+]?\d+)\s*(.*)", text)
    match = scientific or _NUMBER.match(text)
    if not match:
        raise ValueError(_expected(dimension))
    number = float(match.group(1)) if scientific else _number(match.group(1), dimension)
    unit = (match.group(2) or "").strip()
    return number, _factor(unit, dimension) if unit else None


def _number(text: str, dimension: Dimension) -> float:
    """Return the number; `1,200` is twelve hundred and `1,5` one and a half."""
    if _THOUSANDS.fullmatch(text):
        return float(re.sub(r"[,_' \u00a0]", "", text))
    if re.fullmatch(r"\d+,\d+", text):
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        raise ValueError(_expected(dimension)) from None


def _factor(unit: str, dimension: Dimension) -> float:
    known = _UNITS[dimension]
    for noun in _NOUNS.get(dimension, ()):
        unit = re.sub(rf"(^|\s){noun}$", "", unit, flags=re.IGNORECASE).strip()
    if unit in known:
        return known[unit]
    if unit.lower() in known:
        return known[unit.lower()]
    raise ValueError(f"the unit is not one of {dimension.value}; {_expected(dimension)}")


def _check(ends: list[float], dimension: Dimension) -> None:
    if any(not math.isfinite(each) for each in ends):
        raise ValueError(_expected(dimension))
    if dimension is Dimension.PERCENT and any(each > 100 for each in ends):
        raise ValueError("a share is between 0 and 100 %")
    if dimension is Dimension.GPUS and any(each != int(each) for each in ends):
        raise ValueError("GPUs are counted in whole numbers")
    if ends[0] > ends[-1]:
        raise ValueError("the range's first number is above its second")


def _expected(dimension: Dimension) -> str:
    return f"write a number such as {EXAMPLES[dimension]}"


def _written(number: float, dimension: Dimension) -> str:
    for suffix, factor in _WRITTEN[dimension]:
        scaled = round(number / factor, 1 if suffix == "k" else 3)  # 13k, yet 4096
        if number >= factor and scaled * factor == number and (factor != _YEAR or scaled == int(scaled)):
            return f"{_plain(scaled)}{suffix}"
    return f"{_plain(number)}{_WRITTEN[dimension][-1][0]}"


def _plain(number: float) -> str:
    return format(Decimal(repr(number)), "f").removesuffix(".0")  # an exponent would read as a range
