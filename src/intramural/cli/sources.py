"""Sources of rows on the command line: files, folders, patterns, what is piped in; and how their fields are called."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import click

FORMATS = ["auto", "chat", "prompt-completion", "alpaca", "sharegpt", "preference", "unpaired", "text"]
PIPED = "-"


def format_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that says what rows look like."""
    words = "What a row looks like; auto tells from the first."
    kind = click.Choice(FORMATS)
    return click.option("--format", "source_format", type=kind, default="auto", show_default=True, help=words)(command)


def mapping_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that names fields."""
    words = "Name a field, such as prompt=question; may be repeated."
    return click.option("--map", "mapping", multiple=True, metavar="OURS=THEIRS", help=words)(command)


def pairs_of(mapping: Iterable[str]) -> dict[str, str]:
    """Return what `--map` said, ours to theirs."""
    pairs = dict(each.partition("=")[::2] for each in mapping)
    if not all(ours and theirs for ours, theirs in pairs.items()):
        raise click.UsageError("--map is written OURS=THEIRS, for example --map prompt=question.")
    return pairs


def absolute_names(sources: Iterable[str]) -> list[str]:
    """Return the sources as they are called from anywhere."""
    return [_absolute(each) for each in sources]


def _absolute(named: str) -> str:
    if named == PIPED or "://" in named:
        return named
    if not Path(named).exists() and glob.has_magic(named):
        return str(Path(glob.escape(str(Path.cwd()))) / named)
    return str(Path(named).absolute())


def piped(sources: Sequence[str]) -> BinaryIO | None:
    """Return what is piped in, where a source is that and something is."""
    if PIPED not in sources:
        return None
    if sources.count(PIPED) > 1:
        raise click.UsageError("- stands for what is piped in, which can be read once.")
    return None if sys.stdin.isatty() else sys.stdin.buffer


def called(sources: Sequence[str]) -> str:
    """Return what a line of progress calls the sources."""
    if sources == (PIPED,):
        return "what is piped in"
    return Path(sources[0]).name if len(sources) == 1 else f"{len(sources)} sources"
