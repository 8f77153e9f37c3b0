"""
What is believed of a process that read foreign bytes: numbers that are numbers, words of a known form, lists with an end.

Whatever else it says raises `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
_WORD = re.compile(r"[A-Za-z0-9_.:+-]{1,80}(?:\[\d{1,9}\](?:\.[a-z_]{1,40})?)?")
"""The name of a rule, or the path of a field in an example."""


def check(holds: bool) -> None:
    """Raise `ValueError` for what no reader of ours would say."""
    if not holds:
        raise ValueError


def whole(said: Any, most: int = 1 << 62) -> int:
    """Return a whole number from 0 to *most*."""
    check(type(said) is int and 0 <= said <= most)
    return int(said)


def listed(said: Any, most: int) -> Sequence[Any]:
    """Return a list of at most *most*."""
    check(type(said) is list and len(said) <= most)
    return list(said)


def word(said: Any) -> str:
    """Return the name of a rule, or the path of a field."""
    check(type(said) is str and _WORD.fullmatch(said) is not None)
    return str(said)


def text(said: Any, longest: int) -> str:
    """Return a text for people, without what would move the cursor."""
    check(type(said) is str)
    return "".join(each if each.isprintable() else "\ufffd" for each in said[:longest])


def one_of(said: Any, known: Mapping[str, T]) -> str:
    """Return one of the *known* names."""
    check(type(said) is str and said in known)
    return str(said)
