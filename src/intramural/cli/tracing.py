"""`intramural data trace`: which versions, jobs and models saw some rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.output import facts, in_colour, json_option, note, write_json
from intramural.cli.progress import counting
from intramural.cli.session import connect
from intramural.cli.sources import format_option, mapping_option, pairs_of
from intramural.pages.words import count

if TYPE_CHECKING:
    from intramural.domain.lineage import Trace, TracedVersion

MOST_SHOWN = 12


@click.command()
@click.option(
    "--rows", "file", type=click.Path(path_type=Path), required=True, help="A file of rows, as `data add` takes them."
)
@format_option
@mapping_option
@json_option
def trace(file: Path, source_format: str, mapping: tuple[str, ...], as_json: bool) -> None:
    """Tell which versions hold the rows of a file, and which jobs, adapters and merged models saw them; recorded."""
    from intramural.domain.views import DatasetOptions  # noqa: PLC0415 - keeps `--help` fast

    pairs = pairs_of(mapping)
    with counting(f"Tracing {file.name}") as report:
        found = connect().trace_rows(
            file.absolute(), DatasetOptions(source_format=source_format, mapping=pairs), on_progress=report
        )
    write_json(found.document()) if as_json else _print(found)


def _print(found: Trace) -> None:
    click.echo(
        f"{count(found.found)} of {count(found.examples)} distinct examples are in {count(len(found.versions))} "
        f"of {count(found.searched)} versions."
    )
    for each in found.versions:
        _print_version(each)
    if found.unreadable:
        note(f"Nothing is known of {', '.join(found.unreadable)}: shredded or damaged, they do not open any more.")


def _print_version(each: TracedVersion) -> None:
    rows = ", ".join(map(str, each.rows[:MOST_SHOWN])) + (", …" if len(each.rows) > MOST_SHOWN else "")
    click.echo(in_colour(f"\n{each.label}{' (in quarantine)' if each.quarantined else ''}", "bold", err=False))
    facts(
        [
            ("trained on", _rows(each.train_rows) if each.train_rows else None),
            ("hold-out", f"{_rows(each.holdout_rows)}, measured on and not trained on" if each.holdout_rows else None),
            ("in the file", f"example {rows}"),
            ("jobs", ", ".join(each.jobs) or "none began to work on it"),
            ("models", ", ".join(each.artifacts) or "none"),
        ]
    )


def _rows(number: int) -> str:
    return f"{count(number)} {'row' if number == 1 else 'rows'}"
