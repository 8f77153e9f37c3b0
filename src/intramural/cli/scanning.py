"""`intramural data scan`: what is in a file or a data set, without adding it; and how well that is found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.findings import print_findings, screening_options, treatments_of
from intramural.cli.output import facts, json_option, table, write_json
from intramural.cli.progress import counting
from intramural.cli.session import connect
from intramural.pages.words import count

if TYPE_CHECKING:
    from intramural.domain.findings import ScanScore

FORMATS = ["auto", "chat", "prompt-completion", "alpaca", "sharegpt", "preference"]
CLASSES = ["public", "internal", "confidential", "restricted"]


@click.command()
@click.argument("source", metavar="FILE|DATA", required=False)
@click.option("--sample", type=click.Path(path_type=Path), help="A labelled file: print precision and recall on it instead.")
@click.option("--format", "source_format", type=click.Choice(FORMATS), default="auto", show_default=True)
@click.option("--class", "classification", type=click.Choice(CLASSES), default="confidential", show_default=True)
@screening_options
@json_option
def scan(
    source: str | None,
    sample: Path | None,
    source_format: str,
    classification: str,
    treatments: tuple[str, ...],
    deny: str | None,
    as_json: bool,
) -> None:
    """Look for personal data, secrets and more in a FILE or a version, and store nothing; recorded."""
    from intramural.domain.dataset import Classification  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.views import DatasetOptions  # noqa: PLC0415

    if (source is None) == (sample is None):
        raise click.UsageError("Give a file or a data set, or --sample LABELLED.jsonl.")
    options = DatasetOptions(
        source_format=source_format,
        classification=Classification(classification),
        on=treatments_of(treatments),
        deny=str(Path(deny).absolute()) if deny else None,
    )
    if sample is not None:
        with counting(f"Scanning {sample.name}") as report:
            scored = connect().score_scan(sample.absolute(), options, on_progress=report)
        write_json(scored.document()) if as_json else _print_score(scored)
        return
    wanted = str(Path(source).absolute()) if source and Path(source).exists() else str(source)
    with counting(f"Scanning {Path(wanted).name}") as report:
        found = connect().scan_dataset(wanted, options, on_progress=report)
    if as_json:
        write_json(found.document())
        return
    facts(
        [
            ("source", found.source),
            ("rows", f"{count(found.rows_read)} read, {count(found.fault_count)} faulty"),
            ("text", f"{count(found.characters)} characters"),
        ]
    )
    print_findings(found.findings)


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
