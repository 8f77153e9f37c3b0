"""
Causes of failed jobs, for all rows of a source at once.

The rules are those of `domain/cause_rules.py`; here they become one expression that gives a
failed row the number of its first rule. Only that number leaves the rows, so no reason does.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from intramural.domain.cause import Cause
from intramural.domain.cause_rules import DEFAULT_RULES, CauseRule, CauseRules
from intramural.domain.strict_yaml import read
from intramural.measurement.paths import text_of


def load_cause_rules(path: Path) -> tuple[CauseRule, ...]:
    """Return the rules of the file at *path* before the built-in ones; raise `InvalidInput` that names its line."""
    return (*read(text_of(path), CauseRules, where=path.name).rules, *DEFAULT_RULES)


def rule_number(rules: tuple[CauseRule, ...]) -> pl.Expr:
    """Return the expression for the number of the first rule that explains a row; null when none does."""
    found = pl.lit(None, dtype=pl.Int16)
    for number in range(len(rules) - 1, -1, -1):
        found = pl.when(_explains(rules[number])).then(pl.lit(number, dtype=pl.Int16)).otherwise(found)
    return found


def _explains(rule: CauseRule) -> pl.Expr:
    conditions = []
    if rule.states:
        conditions.append(pl.col("state").is_in(list(rule.states)))
    if rule.exit_codes:
        conditions.append(pl.any_horizontal(pl.col("exit_code").is_between(first, last) for first, last in rule.exit_ranges))
    if rule.signals:
        conditions.append(pl.col("signal").is_in(list(rule.signals)))
    if rule.reason:
        conditions.append(pl.col("reason").str.contains(rule.pattern))
    return pl.all_horizontal(condition.fill_null(False) for condition in conditions)


def told_from(rules: tuple[CauseRule, ...], row: dict[str, object]) -> tuple[Cause, str]:
    """Return the cause of a reduced row (given cause, rule number, state, exit code, signal) and its evidence."""
    state, exit_code, signal, number = str(row["state"]), row["exit_code"], row["signal"], row["rule"]
    code = exit_code if isinstance(exit_code, int) else None
    sign = signal if isinstance(signal, int) else None
    if row["cause"] is not None:
        return Cause(str(row["cause"])), "on record"
    if isinstance(number, int):
        return rules[number].cause, rules[number].evidence(state=state, exit_code=code, signal=sign)
    return Cause.UNKNOWN, f"state {state.upper()}" if not code else f"exit code {code}"
