"""
How numbers and phases read: durations, sizes, counts and rates, the same on a page and in a terminal.

Every function takes a number with its unit in its name, or none for "not known", and returns text.
"""

from __future__ import annotations

import math

UNKNOWN = "\u2014"

PHASES = {
    "load": "loading the model",
    "evaluate_before": "evaluating the base",
    "train": "training",
    "evaluate_after": "evaluating the tuned model",
    "write": "writing the artifacts",
    "done": "done",
}


def duration(seconds: float | None) -> str:
    """Return `0.4 s`, `42 s`, `3 min 12 s`, `2 h 05 min`."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def size(size_bytes: float | None) -> str:
    """Return bytes in powers of 1024 with their proper names: `1.6 GiB`."""
    if size_bytes is None or not math.isfinite(size_bytes):
        return UNKNOWN
    amount, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    for unit in units:
        if amount < 1024 or unit == units[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return UNKNOWN


def count(number: float | None) -> str:
    """Return a whole number in groups of three: `12,345`."""
    return UNKNOWN if number is None or not math.isfinite(number) else f"{number:,.0f}"


def rate(per_second: float | None) -> str:
    """Return a rate with about three digits: `3.1`, `340`."""
    if per_second is None or not math.isfinite(per_second):
        return UNKNOWN
    return f"{per_second:.1f}" if abs(per_second) < 100 else f"{per_second:,.0f}"


def decimal(number: float | None, places: int = 3) -> str:
    """Return a plain number with fixed *places*; far from 1 in scientific form."""
    if number is None:
        return UNKNOWN
    if not math.isfinite(number):
        return str(number)
    if number and not 1e-3 <= abs(number) < 1e5:
        mantissa, _, exponent = f"{number:.2e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{number:.{places}f}"


def parameters(number: int | None) -> str:
    """Return a model's size as people say it: `134.5 M`."""
    if number is None:
        return UNKNOWN
    for unit, scale in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return str(number)


def short_digest(digest: str) -> str:
    """Return the first twelve digits of a digest, enough to tell files apart."""
    return digest.removeprefix("sha256:")[:12]
