"""
Credentials in text, by the rules of kingfisher; nothing is validated and nothing leaves the process.

Its rules take seconds to load, so a gate goes before: only texts with a long token, a
credential in a URL or a known prefix are given to it, and they are loaded with the first.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from intramural.domain.findings import FindingKind
from intramural.intake.findings.compiled import database
from intramural.intake.findings.scanner import Joined, fired
from intramural.intake.findings.spans import Span

_GATES = (
    rb"[A-Za-z0-9_+/=~-]{16}[^A-Za-z0-9_+/=~-]",
    rb"://[^\s/@:\x00]{0,256}:[^\s/@\x00]{1,256}@",
    rb"xox[a-z]-",
    rb"xapp-",
    rb"-----BEGIN",
)
_TOKEN = re.compile(r"[A-Za-z0-9_+/=~-]{16,}")
_MIXED = re.compile(r"[a-z][A-Z0-9]|[0-9][A-Za-z]")
_MARK = re.compile(r"://[^\s/@:]{0,256}:[^\s/@]{1,256}@|xox[a-z]-|xapp-|-----BEGIN")


@cache
def gates(folder: Path | None = None) -> Any:
    """Return the compiled gate; *folder* keeps it from one process to the next."""
    return database(_GATES, folder)


def may_hold_secret(text: str) -> bool:
    """Tell whether *text* is worth the rules' time."""
    return any(_MIXED.search(each[0]) for each in _TOKEN.finditer(text)) or _MARK.search(text) is not None


class RulesMissing(Exception):
    """There is no compiled form of the rules, and this process is not to make one."""


@cache
def _scanner(cache_folder: Path | None) -> Any:
    from kingfisher_sdk import Rules, Scanner  # noqa: PLC0415 - loaded by the first text that may hold a secret

    if cache_folder is not None:
        cache_folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # parents alone would be open to others
        cache_folder.mkdir(mode=0o700, exist_ok=True)
    return Scanner(Rules(cache=cache_folder is not None, cache_dir=cache_folder))


def compile_rules(cache_folder: Path) -> None:
    """Put the compiled rules into *cache_folder* where they are not there yet; takes ten seconds."""
    if not _is_compiled(cache_folder):
        _scanner(cache_folder)


def _is_compiled(cache_folder: Path) -> bool:
    return any(cache_folder.glob("*.vscdb"))


def secrets_in(joined: Joined, cache_folder: Path | None, *, may_compile: bool = True) -> dict[int, list[Span]]:
    """Return the credentials in each text that holds one; *cache_folder* keeps the compiled rules. Raises `RulesMissing`."""
    found: dict[int, list[Span]] = {}
    for number in dict.fromkeys(joined.number(end - 1) for end, _ in fired(gates(cache_folder), joined)):
        text = joined.texts[number]
        if not may_hold_secret(text):
            continue
        if not may_compile and cache_folder is not None and not _is_compiled(cache_folder):
            raise RulesMissing
        encoded = text.encode("utf-8", "surrogatepass")
        for each in _scanner(cache_folder).scan(encoded):
            if not each.visible:
                continue
            place = each.location
            start, end = (len(encoded[: place[edge]].decode("utf-8", "ignore")) for edge in ("start_offset", "end_offset"))
            found.setdefault(number, []).append(Span(FindingKind.SECRET, each.rule_id.rpartition(".")[2], start, end))
    return found
