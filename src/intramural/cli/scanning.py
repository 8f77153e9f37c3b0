"""`intramural data scan`: what is in a file or a data set, without adding it; and how well that is found."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.dataset_card import files_line, provenance_lines
from intramural.cli.findings import print_findings, screening_options, treatments_of
from intramural.cli.output import facts, json_option, printable_lines, table, write_json
from intramural.cli.progress import counting
from intramural.cli.session import connect
from intramural.cli.sources import PIPED, absolute_names, called, format_option, mapping_option, pairs_of, piped
from intramural.pages.words import count

if TYPE_CHECKING:
    from intramural.domain.findings import ScanScore

SHOWN_FILES = 20
CLASSES = ["public", "internal", "confidential", "restricted"]


@click.command()
@click.argument("sources", metavar="SOURCE...|DATA", nargs=-1)
@click.option("--sample", type=click.Path(path_type=Path), help="A labelled file: print precision and recall on it instead.")
@format_option
@mapping_option
@click.option(
    "--class",
    "classification",
    type=click.Choice(CLASSES),
    default="confidential",
    show_default=True,
    help="Whose actions are shown.",
)
@screening_options
@json_option
def scan(
    sources: tuple[str, ...],
    sample: Path | None,
    source_format: str,
    mapping: tuple[str, ...],
    classification: str,
    treatments: tuple[str, ...],
    deny: str | None,
    names: str | None,
    as_json: bool,
) -> None:
    """Look for personal data, secrets and more in files (as `data add` takes them) or a version; store nothing; recorded."""
    from intramural.domain.dataset import Classification  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.views import DatasetOptions  # noqa: PLC0415

    if bool(sources) == (sample is not None):
        raise click.UsageError("Give files or a data set, or --sample LABELLED.jsonl.")
    is_label = len(sources) == 1 and _is_label(sources[0])
    if (sample is not None or is_label) and (mapping or source_format != "auto"):
        raise click.UsageError("--format and --map belong to files of rows.")
    options = DatasetOptions(
        source_format=source_format,
        mapping=pairs_of(mapping),
        classification=Classification(classification),
        on=treatments_of(treatments),
        names=names,
        deny=str(Path(deny).absolute()) if deny else None,
    )
    if sample is not None:
        with counting(f"Scanning {sample.name}") as report:
            scored = connect().score_scan(sample.absolute(), options, on_progress=report)
        write_json(scored.document()) if as_json else _print_score(scored)
        return
    wanted = list(sources) if is_label else absolute_names(sources)
    with counting(f"Scanning {called(sources)}") as report:
        found = connect().scan_dataset(wanted, options, on_progress=report, upload=piped(sources))
    if as_json:
        write_json(found.document())
        return
    facts(
        [
            ("source", found.source),
            ("files", files_line(len(found.files), found.skipped_files) if found.files else None),
            ("rows", f"{count(found.rows_read)} read, {count(found.fault_count)} faulty"),
            *provenance_lines(found.provenance),
            ("text", f"{count(found.characters)} characters"),
        ]
    )
    for number, name in enumerate(found.files[:SHOWN_FILES] if len(found.files) > 1 else (), 1):
        click.echo(printable_lines(f"  file {number} is {name}"))
    print_findings(found.findings, names_by=found.names_by)


def _is_label(named: str) -> bool:
    """Tell whether *named* is a data set's label rather than a source."""
    return not (named == PIPED or "://" in named or glob.has_magic(named) or Path(named).exists())


def _print_score(scored: ScanScore) -> None:
    rows = [
        [each.kind.value, count(each.labelled), count(each.found), _share(each.precision), _share(each.recall)]
        for each in scored.scores
    ]
    table(["kind", "labelled", "found", "precision", "recall"], rows, right=[1, 2, 3, 4], empty="Nothing labelled or found.")
    if scored.unknown_labels:
        click.echo(f"Labels that no kind stands for: {', '.join(sorted(scored.unknown_labels))}")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
