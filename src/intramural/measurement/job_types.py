"""
Job types from rules: what kind of work a job is, told from its name, command, tags and class.

The rules are a file that a person can read and change (`job_types.yaml` beside this module is
the default). A source that knows the type itself is believed.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import polars as pl
from pydantic import Field, StringConstraints, field_validator, model_validator

from intramural.domain.strict_yaml import read
from intramural.domain.value import Value
from intramural.errors import InvalidInput
from intramural.measurement.paths import text_of

JobType = Literal["dev", "sft_lora", "sft_qlora", "preference", "full", "eval", "online", "other"]
TYPES: tuple[str, ...] = get_args(JobType)
"""The job types of a profile."""
OTHER = "other"
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _./+-]{0,39}$")]
Patterns = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field()]
_GAP = " _.-"
_LONGEST_SHAPE = 60


class JobTypeRule(Value):
    """One type and what gives it away."""

    type: Label
    counts_as: JobType | None = None
    name: Patterns = ()
    command: Patterns = ()
    tags: Patterns = ()
    job_class: Patterns = Field((), alias="class")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.type not in TYPES and self.counts_as is None:
            raise ValueError(f"a type of your own needs `counts_as`: {', '.join(TYPES)}")
        if not any(self.patterns.values()):
            raise ValueError("a rule needs patterns: `name`, `command`, `tags` or `class`")
        for field, patterns in self.patterns.items():
            for number, pattern in enumerate(patterns, 1):
                _check(pattern, f"pattern {number} of `{field.removeprefix('job_')}`")
        return self

    @property
    def patterns(self) -> dict[str, tuple[str, ...]]:
        """The patterns by the column of the normal form they look at."""
        return {"name": self.name, "command": self.command, "tags": self.tags, "job_class": self.job_class}

    def matches(self) -> pl.Expr:
        """Return the expression that tells whether a job is of this type."""
        looks = [pl.col(column).str.contains(_regex(patterns)) for column, patterns in self.patterns.items() if patterns]
        return pl.any_horizontal(look.fill_null(False) for look in looks)


class JobTypeRules(Value):
    """A rule file."""

    rules: tuple[JobTypeRule, ...]

    @field_validator("rules")
    @classmethod
    def _is_not_empty(cls, rules: tuple[JobTypeRule, ...]) -> tuple[JobTypeRule, ...]:
        if not rules:
            raise ValueError("write at least one rule")
        return rules

    def number(self) -> pl.Expr:
        """Return the expression for the number of the first rule that matches a job; null when none does."""
        found = pl.lit(None, dtype=pl.Int16)
        for number in range(len(self.rules) - 1, -1, -1):
            found = pl.when(self.rules[number].matches()).then(pl.lit(number, dtype=pl.Int16)).otherwise(found)
        return found

    def counts_as(self, label: str) -> str:
        """Return the profile's job type that *label* counts as."""
        for rule in self.rules:
            if rule.type == label and rule.counts_as:
                return rule.counts_as
        return label if label in TYPES else OTHER


def shape(name: pl.Expr) -> pl.Expr:
    """Return a name's shape: its numbers as `#`, so that jobs of one series are one pattern."""
    return name.str.replace_all(r"[0-9a-f]{8}[0-9a-f-]{4,}|[0-9]+", "#").str.slice(0, _LONGEST_SHAPE)


@cache
def default_rules() -> JobTypeRules:
    """Return the rules that come with intramural."""
    text = files("intramural.measurement").joinpath("job_types.yaml").read_text(encoding="utf-8")
    return read(text, JobTypeRules, where="the default rules")


def load_rules(path: Path) -> JobTypeRules:
    """Return the rules of the file at *path*; raise `InvalidInput` that names its line."""
    return read(text_of(path), JobTypeRules, where=path.name)


def _regex(patterns: tuple[str, ...]) -> str:
    """Return one expression that matches where any of *patterns* does."""
    words = [_word(each) for each in patterns if not _is_regex(each)]
    bounded = [rf"(?:^|[^a-z])(?:{'|'.join(words)})(?:[^a-z]|$)"] if words else []
    return "(?i)" + "|".join([*bounded, *(f"(?:{each[1:-1]})" for each in patterns if _is_regex(each))])


def _is_regex(pattern: str) -> bool:
    return len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")


def _word(pattern: str) -> str:
    parts = re.split(f"([{re.escape(_GAP)}*])", pattern)
    return "".join("[a-z]*" if part == "*" else "[ _.-]?" if part in _GAP and part else re.escape(part) for part in parts)


def _check(pattern: str, where: str) -> None:
    try:
        pl.select(pl.lit("").str.contains(_regex((pattern,))))
    except pl.exceptions.PolarsError:
        raise ValueError(f"{where} is no regular expression") from None


def check_labels(rules: JobTypeRules) -> None:
    """Raise `InvalidInput` when one label counts as two types."""
    seen: dict[str, str] = {}
    for rule in rules.rules:
        kind = rule.counts_as or rule.type
        if seen.setdefault(rule.type, kind) != kind:
            raise InvalidInput(f"The label `{rule.type}` counts as two types.", hint="Give it one `counts_as`.")
