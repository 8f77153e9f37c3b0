"""What is known of a data set's version, on the terminal: counts, places and names of fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from intramural.cli.findings import print_findings
from intramural.cli.output import facts, printable_lines
from intramural.pages.words import count, size

if TYPE_CHECKING:
    from intramural.domain.dataset import DatasetVersion, Fault, TokenStatistics
    from intramural.domain.findings import Provenance

SHOWN_FAULTS = 20
SHOWN_LICENCES = 8


def print_dataset(found: DatasetVersion) -> None:
    """Print one version's counts, the faults by line, and the lengths in tokens."""
    share = "a file of its own" if found.split.given_holdout else f"{100 * found.split.holdout_share:g} % by content"
    grouped = f", grouped by {found.split.group_by}" if found.split.group_by else ""
    facts(
        [
            ("data", found.label),
            ("kind", f"{found.kind.value}, from {found.source_format}"),
            ("class", found.classification.value),
            ("holds", ", ".join(each.value for each in found.regulated) or None),
            ("region", found.region),
            ("purpose", found.purpose),
            ("licence", found.licence),
            ("origin", found.origin),
            ("redacted from", found.parent),
            ("retained", f"{count(found.retain_days)} days" if found.retain_days else None),
            ("training", f"{count(found.train_examples)} examples"),
            ("hold-out", f"{count(found.holdout_examples)} examples, {share}{grouped}"),
            (
                "duplicates",
                f"{count(found.duplicates)} in training, {count(found.holdout_overlap)} of the hold-out also in training",
            ),
            ("unused fields", ", ".join(found.unused_fields) or None),
            ("files", files_line(found.files, found.skipped_files)),
            ("rows", f"{count(found.rows_read)} read, {count(found.fault_count)} left out"),
            *provenance_lines(found.provenance),
            ("size", size(found.size_bytes)),
            ("digest", found.digest),
            ("added", f"{found.added_at:%Y-%m-%d %H:%M}"),
            ("shredded", _shredded(found)),
        ]
    )
    _print_faults(found.faults, found.fault_count, found.files)
    print_findings(found.findings, found.redaction, found.names_by)
    for each in found.tokens:
        _print_tokens(each)


def _shredded(found: DatasetVersion) -> str | None:
    if found.shredded_at is None:
        return None
    rest = f"; it was interrupted: `intramural data shred {found.name}` completes it" if found.is_half_shredded else ""
    return f"{found.shredded_at:%Y-%m-%d %H:%M}{rest}"


def _print_faults(faults: Iterable[Fault], number: int, files: int) -> None:
    for fault in [*faults][:SHOWN_FAULTS]:
        file = f"file {count(fault.file)} " if files > 1 else ""
        field = f", `{fault.field}`" if fault.field else ""
        click.echo(printable_lines(f"  {file}line {fault.line}{field}: {fault.reason}"))
    if number > SHOWN_FAULTS:
        click.echo(f"  and {count(number - SHOWN_FAULTS)} more; `--json` lists the first hundred.")


def files_line(files: int, skipped: Mapping[str, int]) -> str | None:
    """Return how many files were read and how many were not, and why; nothing where one file was named."""
    if files == 1 and not skipped:
        return None
    left_out = ", ".join(f"{count(number)} {reason}" for reason, number in skipped.items())
    return f"{count(files)} read" + (f"; left out: {left_out}" if left_out else "")


def provenance_lines(found: Provenance) -> list[tuple[str, str | None]]:
    """Return what the rows say of licences and of where they are from."""
    named = [f"{count(number)} {licence}" for licence, number in found.licences.items()]
    told = [*named[:SHOWN_LICENCES], *([f"{count(len(named) - SHOWN_LICENCES)} others"] if len(named) > SHOWN_LICENCES else [])]
    told += [f"{count(found.unknown_licences)} not listed by SPDX"] if found.unknown_licences else []
    told += [f"{count(found.without_licence)} without one"] if found.without_licence else []
    is_mixed = len(found.licences) + bool(found.unknown_licences) + bool(found.without_licence) > 1
    fields = ", ".join(f"{name} ({count(number)})" for name, number in found.fields.items())
    return [
        ("row licences", f"{'mixed: ' if is_mixed else ''}{', '.join(told)}" if told else None),
        ("origin fields", fields or None),
    ]


def _print_tokens(tokens: TokenStatistics) -> None:
    click.echo(
        f"\nTokens of {tokens.model}: {count(tokens.total)} in all, {count(tokens.answer_total)} carry loss; "
        f"median {count(tokens.p50)}, 95 % at most {count(tokens.p95)}, longest {count(tokens.longest)}"
    )
    most = max(tokens.histogram, default=0) or 1
    filled = [n for n, number in enumerate(tokens.histogram) if number]
    for n in range(filled[0], filled[-1] + 1) if filled else []:
        edge, number = tokens.histogram_edges[n], tokens.histogram[n]
        click.echo(f"  ≤ {count(edge):>7}  {'█' * round(30 * number / most):<30}  {count(number)}")
