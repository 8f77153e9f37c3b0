"""What a scan found, on the terminal: kinds, counts, places and what was done; never content."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from intramural.cli.output import printable_lines, table
from intramural.pages.words import count

if TYPE_CHECKING:
    from intramural.domain.findings import Finding, Position, Redaction

SHOWN_PLACES = 3


def screening_options(command: Any) -> Any:
    """Add the options that say what is looked for, and what is done about it."""
    for option in (
        click.option("--deny", metavar="FILE", help="Terms that must not be in the rows, one a line."),
        click.option("--names", metavar="MODEL", help="Look for names and addresses too, with this installed model."),
        click.option(
            "--on",
            "treatments",
            multiple=True,
            metavar="KIND=ACTION",
            help="Instead of what the class does: keep, mask, pseudonymise, drop or refuse (email=mask); may be repeated.",
        ),
    ):
        command = option(command)
    return command


def treatments_of(pairs: Iterable[str]) -> dict[Any, Any]:
    """Return what `--on` said, by kind."""
    from intramural.domain.findings import FindingKind, Treatment  # noqa: PLC0415 - keeps `--help` fast

    said = {}
    for pair in pairs:
        kind, _, treatment = pair.partition("=")
        if kind not in {each.value for each in FindingKind}:
            raise click.UsageError(f"--on: no kind of finding is called so; one of {', '.join(FindingKind)}.")
        if treatment not in {each.value for each in Treatment}:
            raise click.UsageError(f"--on {kind}=ACTION: the action is one of {', '.join(Treatment)}.")
        said[FindingKind(kind)] = Treatment(treatment)
    return said


def days_of(_context: Any, _option: Any, text: str | None) -> int | None:
    """Return the days that `180d`, `26w` or `2y` are."""
    if text is None:
        return None
    written = re.fullmatch(r"([1-9]\d{0,4})([dwy])", text)
    if written is None:
        raise click.BadParameter("write a number and d, w or y, such as 180d.")
    return int(written[1]) * {"d": 1, "w": 7, "y": 365}[written[2]]


def print_findings(findings: Iterable[Finding], redaction: Redaction | None = None, names_by: str | None = None) -> None:
    """Print the table of findings, and what was changed."""
    rows = [
        [
            each.kind.value,
            each.severity.value,
            count(each.count),
            count(each.rows),
            each.treatment.value,
            each.note or ", ".join(_place(place) for place in each.positions[:SHOWN_PLACES]) + _more(each),
        ]
        for each in findings
    ]
    click.echo()
    table(["found", "severity", "count", "rows", "action", "first places"], rows, right=[2, 3], empty="Nothing was found.")
    looked = f"were looked for with {names_by}" if names_by else "were not looked for; --names MODEL does"
    click.echo(printable_lines(f"Names and addresses {looked}."))
    if redaction is not None:
        done = [
            f"{count(sum(numbers.values()))} {word} ({', '.join(f'{count(each)} {kind}' for kind, each in numbers.items())})"
            for word, numbers in (("masked", redaction.masked), ("pseudonymised", redaction.pseudonymised))
            if numbers
        ]
        if redaction.rows_dropped:
            done.append(f"{count(redaction.rows_dropped)} rows dropped")
        click.echo(printable_lines(f"Changed before storing, in {count(redaction.rows_changed)} rows: {'; '.join(done)}."))


def _place(position: Position) -> str:
    file = f"file {position.file} " if position.file > 1 else ""
    field = f" {position.field}" if position.field else ""
    span = f" {position.start}-{position.end}" if position.start is not None else ""
    return f"{file}row {position.row}{field}{span}"


def _more(finding: Finding) -> str:
    return ", …" if len(finding.positions) > SHOWN_PLACES else ""
