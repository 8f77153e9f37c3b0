"""The kinds of answer that are small tables: shares of a whole, and a median and p90 for each of some keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import model_validator

from intramural.domain import quantity
from intramural.domain.answer_kinds import Kind, Number, OneOf
from intramural.domain.quantity import Dimension, Quantity
from intramural.domain.value import Value


class Shares(Value):
    """What share of the whole each part has; a part without a figure is named only."""

    parts: dict[str, Quantity | None]

    @property
    def total(self) -> float | None:
        """The sum of the shares in percent (a range counts with its middle); none when a part has no figure."""
        if not self.parts or any(each is None for each in self.parts.values()):
            return None
        return sum(each.middle for each in self.parts.values() if each)

    def adds_up(self, tolerance: float = 1.0) -> bool:
        """Tell whether the shares are within *tolerance* percent of the whole, or carry no figures."""
        return self.total is None or abs(self.total - 100) <= tolerance

    def normalised(self) -> Shares:
        """Return the same proportions adding up to 100 %."""
        if not self.total:
            return self
        scale = 100 / self.total
        return Shares(parts={key: each and _scaled(each, scale) for key, each in self.parts.items()})

    def ranked(self) -> list[tuple[str, Quantity | None]]:
        """Return the parts, largest share first."""
        return sorted(self.parts.items(), key=lambda part: -(part[1].middle if part[1] else -1.0))


def _scaled(share: Quantity, scale: float) -> Quantity:
    ends = {"low": share.low, "high": share.high}
    return share.model_copy(update={end: None if number is None else round(number * scale, 2) for end, number in ends.items()})


class Spread(Value):
    """A median and a 90th percentile; either may be unknown."""

    p50: Quantity | None = None
    p90: Quantity | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p50 and self.p90 and self.p90.middle < self.p50.middle:
            raise ValueError("p90 is below p50")
        return self


class Spreads(Value):
    """A spread for each job type or class."""

    by: dict[str, Spread]


@dataclass(frozen=True)
class Parts(Kind):
    """Shares of a whole: by choice, or by a number such as the GPUs of a job or the size of a model."""

    keys: OneOf | Number
    example: str = "10% of one, 90% of another"

    def read(self, given: Any) -> Shares:
        """Return the shares, in the order given."""
        pairs: Iterable[tuple[Any, Any]]
        if isinstance(given, Mapping):
            pairs = given.items()
        elif isinstance(given, (list, tuple)):
            pairs = [self._pair(str(each)) for each in given]
        else:
            pairs = [self._pair(each) for each in self._split(str(given))]
        parts: dict[str, Quantity | None] = {}
        for name, share in pairs:
            key = self.keys.write(self.keys.read(name))  # type: ignore[arg-type]
            if key in parts:
                raise ValueError(f"`{key}` is given twice")
            parts[key] = None if share is None else quantity.read(share, Dimension.PERCENT)
        if not parts:
            raise ValueError(f"write for example {self.example}")
        return Shares(parts=parts)

    def write(self, value: Shares) -> str:
        """Return the shares in one line."""
        written = (f"{key} {quantity.write(share, Dimension.PERCENT)}" if share else key for key, share in value.parts.items())
        return "; ".join(written)

    def document(self, value: Shares) -> dict[str, str | None]:
        """Return the shares as a mapping."""
        return {key: quantity.write(share, Dimension.PERCENT) if share else None for key, share in value.parts.items()}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {
            "anyOf": [{"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}}, {"type": "string"}]
        }

    def _split(self, text: str) -> list[str]:
        plain = isinstance(self.keys, Number) and "%" not in text
        return [each.strip() for each in re.split(r"[,;/\n]" if plain else r"[;/\n]|,(?!\d)", text) if each.strip()]

    def _pair(self, text: str) -> tuple[str, str | None]:
        after = re.fullmatch(r"(.+?)\s*[:=\s(]\s*([~<>≈]?\s*[\d.,]+(?:\s*-\s*[\d.,]+)?\s*%)\)?", text)
        before = re.fullmatch(r"([~<>≈]?\s*[\d.,]+(?:\s*-\s*[\d.,]+)?\s*%)\s*(?:of\s+)?(.+)", text)
        bare = None if isinstance(self.keys, Number) else re.fullmatch(r"(.+?)\s*[:=\s]\s*([~≈]?[\d.]+(?:-[\d.]+)?)", text)
        if after or bare:
            name, share = (after or bare).groups()  # type: ignore[union-attr]
            return name, share
        return (before.group(2), before.group(1)) if before else (text, None)


@dataclass(frozen=True)
class SpreadsBy(Kind):
    """A median and a 90th percentile for each of some keys."""

    keys: OneOf
    dimension: Dimension = Dimension.DURATION
    example: str = field(default="sft_lora 2h / 5h; eval 10 min / 1h")

    def read(self, given: Any) -> Spreads:
        """Return the spreads, in the order given."""
        if isinstance(given, Mapping):
            pairs: Iterable[tuple[Any, Any]] = given.items()
        else:
            pairs = [self._pair(each) for each in re.split(r"[;\n]|,(?!\d)", str(given)) if each.strip()]
        by: dict[str, Spread] = {}
        for name, spread in pairs:
            key = self.keys.read(name)
            if key in by:
                raise ValueError(f"`{key}` is given twice")
            by[key] = self._spread(spread)
        if not by:
            raise ValueError(f"write for example {self.example}")
        return Spreads(by=by)

    def write(self, value: Spreads) -> str:
        """Return the spreads in one line."""
        return "; ".join(f"{key} {self._end(each.p50)} / {self._end(each.p90)}" for key, each in value.by.items())

    def document(self, value: Spreads) -> dict[str, dict[str, str | None]]:
        """Return the spreads as a mapping of mappings."""
        by = {key: {"p50": each.p50, "p90": each.p90} for key, each in value.by.items()}
        return {key: {end: self._end(each) if each else None for end, each in ends.items()} for key, ends in by.items()}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema."""
        end = {"type": ["string", "null"], "examples": [quantity.EXAMPLES[self.dimension]]}
        spread = {"type": "object", "properties": {"p50": end, "p90": end}, "additionalProperties": False}
        return {"anyOf": [{"type": "object", "additionalProperties": {"anyOf": [spread, end]}}, {"type": "string"}]}

    def _pair(self, text: str) -> tuple[str, str]:
        match = re.fullmatch(r"\s*(.+?)\s*[:=\s]\s*((?:p50\s*[:=]?\s*)?[~<>≈?\d].*)", text)
        if not match:
            raise ValueError(f"write for example {self.example}")
        return match.group(1), match.group(2)

    def _spread(self, given: Any) -> Spread:
        if isinstance(given, Mapping):
            unknown = set(given) - {"p50", "p90"}
            if unknown:
                raise ValueError("a spread has p50 and p90")
            ends = [given.get("p50"), given.get("p90")]
        else:
            text = re.sub(r"p(?:50|90)\s*[:=]?\s*", "/", str(given)).strip("/ ")
            ends = [each.strip() for each in re.split(r"/+", text) if each.strip()]
        if not 1 <= len(ends) <= 2:
            raise ValueError(f"write for example {self.example}")
        p50, p90 = [
            None if each in (None, "?", "unknown") else quantity.read(each, self.dimension) for each in [*ends, None][:2]
        ]
        if p50 and p90 and p90.middle < p50.middle:
            raise ValueError("p90 is below p50")
        return Spread(p50=p50, p90=p90)

    def _end(self, end: Quantity | None) -> str:
        return quantity.write(end, self.dimension) if end else "?"
