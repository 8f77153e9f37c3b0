"""
Which layers of a base model `method.lora.targets` names, by PEFT's rule.

A target names every layer that is called so, or whose dotted name ends with a dot and the target.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from intramural.domain.spec import LoraOptions
from intramural.errors import InvalidInput

ALL_LINEAR = "all-linear"


def check_targets(options: LoraOptions, layers: Collection[str], base: str) -> None:
    """Raise `InvalidInput` for a target that none of *layers*, the dotted names of *base*'s, is called by."""
    if options.targets == ALL_LINEAR:
        return
    for target in options.targets:
        if not any(each == target or each.endswith(f".{target}") for each in layers):
            raise InvalidInput(
                f"method.lora.targets names `{target}`, and no layer of {base} that can have an adapter is called so.",
                hint=_hint(target, layers),
            )


def _hint(target: str, layers: Iterable[str]) -> str:
    if target == ALL_LINEAR:
        return f"Write `targets: {ALL_LINEAR}` without a list."
    known = sorted(layers if "." in target else {each.rpartition(".")[2] for each in layers})
    near = get_close_matches(target, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known[:10])}; or `targets: {ALL_LINEAR}`."
