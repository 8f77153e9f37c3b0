"""The kinds of answer that are small tables: shares of a whole, and a median and p90 for each of some keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import model_validator

from intramural.domain import quantity
from intramural.domain.answer_kinds import Kind, Number, OneOf, quoted, split, unquoted
from intramural.domain.quantity import Dimension, Quantity
from intramural.domain.value import Value

_AMOUNT = r"[~≈]?\s*(?:[<>]=?|[≤≥])?\s*(?:\d[\d.,]*|\.\d+)"
_SHARE = rf"{_AMOUNT}(?:\s*%?\s*(?:-|\u2013|to)\s*[\d.,]+)?\s*%"
_QUOTED_OR_WORDS = r'("(?:[^"]|"")*"|.+?)'
_PLAIN_KEY = re.compile(r"[^\W\d][\w-]*(?: [^\W\d][\w-]*)*")


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
            key = self.keys.write(self.keys.read(name))  # type: ignore[arg-type] # what a kind read, it writes
            if key in parts:
                raise ValueError(f"`{key}` is given twice")
            parts[key] = self._share(share)
        if not parts:
            raise ValueError(f"write for example {self.example}")
        return Shares(parts=parts)

    def write(self, value: Shares) -> str:
        """Return the shares in one line."""
        names = {key: key if isinstance(self.keys, Number) else _name(key) for key in value.parts}
        shares = {key: quantity.write(share, Dimension.PERCENT) if share else "" for key, share in value.parts.items()}
        return "; ".join(f"{names[key]} {shares[key]}".strip() for key in value.parts)

    def row(self, share: Quantity) -> str:
        """Return one share alone."""
        return quantity.write(share, Dimension.PERCENT)

    def document(self, value: Shares) -> dict[str, str | None]:
        """Return the shares as a mapping."""
        return {key: quantity.write(share, Dimension.PERCENT) if share else None for key, share in value.parts.items()}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {
            "anyOf": [{"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}}, {"type": "string"}]
        }

    def _share(self, given: Any) -> Quantity | None:
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, (str, int, float)):
            raise ValueError("a share is a percentage, such as 40%")
        return quantity.read(given, Dimension.PERCENT)

    def _split(self, text: str) -> list[str]:
        plain = isinstance(self.keys, Number) and "%" not in text
        between = r"[,;/\n]" if plain else r"[;/\n]|,(?!\d)"
        return [each.strip() for each in split(between, text) if each.strip()]

    def _pair(self, text: str) -> tuple[str, str | None]:
        after = re.fullmatch(rf"{_QUOTED_OR_WORDS}\s*[:=\s(]\s*({_SHARE})\)?", text)
        before = re.fullmatch(rf"({_SHARE})\s*(?:of\s+)?(.+)", text)
        bare = (
            None
            if isinstance(self.keys, Number)
            else re.fullmatch(rf"{_QUOTED_OR_WORDS}\s*[:=\s]\s*({_AMOUNT}(?:-[\d.]+)?)", text)
        )
        if after or bare:
            name, share = (after or bare).groups()  # type: ignore[union-attr] # one of the two is there
            return unquoted(name), share
        return (unquoted(before.group(2)), before.group(1)) if before else (unquoted(text), None)


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
            pairs = [self._pair(each) for each in split(r"[;\n]|,(?!\d|\s*p90)", str(given)) if each.strip()]
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
        return "; ".join(f"{_name(key)} {self.row(each)}" for key, each in value.by.items())

    def row(self, spread: Spread) -> str:
        """Return one spread alone."""
        return f"{self._end(spread.p50)} / {self._end(spread.p90)}"

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
        match = re.fullmatch(rf"\s*{_QUOTED_OR_WORDS}\s*[:=\s]\s*((?:p[59]0\s*[:=]?\s*)?[~<>≤≥≈?\d].*)", text)
        if not match:
            raise ValueError(f"write for example {self.example}")
        return unquoted(match.group(1)), match.group(2)

    def _spread(self, given: Any) -> Spread:
        if isinstance(given, Mapping):
            if set(given) - {"p50", "p90"}:
                raise ValueError("a spread has p50 and p90")
            ends = dict(given)
        else:
            ends = self._ends(str(given))
        p50, p90 = [self._read_end(ends.get(each)) for each in ("p50", "p90")]
        if p50 and p90 and p90.middle < p50.middle:
            raise ValueError("p90 is below p50")
        return Spread(p50=p50, p90=p90)

    def _ends(self, text: str) -> dict[str, str]:
        """Return the two ends of `2h / 5h` or `p50 2h, p90 5h`."""
        first, *named = re.split(r"\b(p50|p90)\s*[:=]?\s*", text, flags=re.IGNORECASE)
        if named:
            ends = {each.lower(): end.strip(" /,") for each, end in zip(named[::2], named[1::2], strict=True)}
            if first.strip(" /,") or len(ends) * 2 != len(named):
                raise ValueError(f"write for example {self.example}")
            return ends
        given = [each.strip() for each in re.split(r"/+", text) if each.strip()]
        if not 1 <= len(given) <= 2:
            raise ValueError(f"write for example {self.example}")
        return dict(zip(("p50", "p90"), given, strict=False))

    def _read_end(self, given: Any) -> Quantity | None:
        if given in (None, "", "?", "unknown"):
            return None
        if isinstance(given, bool) or not isinstance(given, (str, int, float)):
            raise ValueError(f"write for example {self.example}")
        return quantity.read(given, self.dimension)

    def _end(self, end: Quantity | None) -> str:
        return quantity.write(end, self.dimension) if end else "?"


def _name(key: str) -> str:
    """Return *key* as it stands in a line, in quotes where something in it would part the line."""
    return key if _PLAIN_KEY.fullmatch(key) else quoted(key)
