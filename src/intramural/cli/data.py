"""`intramural data`: private rows in, immutable versions out. Content is printed by `data sample` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from intramural.cli.dataset_card import print_dataset
from intramural.cli.findings import days_of, screening_options, treatments_of
from intramural.cli.output import facts, in_colour, json_option, note, printable_lines, table, write_json
from intramural.cli.progress import counting
from intramural.cli.redacting import redact
from intramural.cli.removing import remove_dataset
from intramural.cli.scanning import scan
from intramural.cli.session import connect
from intramural.cli.shredding import certificate, shred
from intramural.cli.sources import absolute_names, called, format_option, mapping_option, pairs_of, piped
from intramural.cli.tracing import trace
from intramural.pages.words import count, short_digest, size

CLASSES = ["public", "internal", "confidential", "restricted"]


@click.group()
def data() -> None:
    """Data sets: add, scan, list, show, diff, sample, redact, shred, certificate, trace, remove."""


data.add_command(shred)
data.add_command(remove_dataset)
data.add_command(certificate)
data.add_command(trace)
data.add_command(scan)
data.add_command(redact)


@data.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--name", required=True, help="What people will call it, such as tickets/2026-11.")
@format_option
@mapping_option
@click.option("--holdout", type=click.Path(path_type=Path), help="A file or a folder that is the whole hold-out.")
@click.option(
    "--holdout-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the rows kept for evaluation, chosen by their content.",
)
@click.option("--group-by", metavar="FIELD", help="Keep rows that share this field's value on one side.")
@click.option("--skip-bad", is_flag=True, help="Leave faulty rows out and list them, instead of refusing the file.")
@click.option(
    "--class",
    "classification",
    type=click.Choice(CLASSES),
    default="confidential",
    show_default=True,
    help="How private the rows are; checkpoints and adapters inherit it.",
)
@click.option(
    "--kinds", metavar="KIND,…", default="", help="What the rows hold: pii, phi, financial, ip (intellectual property)."
)
@click.option("--region", help="Where the rows are bound to stay.")
@click.option("--purpose", metavar="TEXT", help="What they may be used for.")
@click.option("--license", "licence", metavar="SPDX", help="Under which licence you have them, such as CC-BY-4.0.")
@click.option("--provenance", "origin", metavar="TEXT", help="Where they are from.")
@click.option("--retain", "retain_days", metavar="180d", callback=days_of, help="How long they may be used, in d, w or y.")
@screening_options
@click.option("--base", metavar="MODEL", help="Count tokens as this base model sees them.")
@json_option
def add(sources: tuple[str, ...], name: str, mapping: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """
    Check rows one by one, look for what should not be in them, split them, and store them as a new version of NAME.

    A SOURCE is a file, a folder with all that is below it, a quoted pattern such as 'in/**/*.jsonl.gz', or - for what is
    piped in.
    """
    from intramural.domain.dataset import Split  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.views import DatasetOptions  # noqa: PLC0415

    holdout, share, group = (options.pop(key) for key in ("holdout", "holdout_share", "group_by"))
    kinds, treatments, deny = (options.pop(key) for key in ("kinds", "treatments", "deny"))
    wanted = DatasetOptions(
        mapping=pairs_of(mapping),
        holdout=str(holdout.absolute()) if holdout else None,
        split=Split(holdout_share=share, group_by=group, given_holdout=holdout is not None),
        regulated=_kinds(kinds),
        on=treatments_of(treatments),
        deny=str(Path(deny).absolute()) if deny else None,
        **options,
    )
    client = connect()
    known = {each.label for each in client.list_datasets()}
    with counting(f"Reading {called(sources)}") as report:
        added = client.add_dataset(absolute_names(sources), name, wanted, on_progress=report, upload=piped(sources))
    if as_json:
        write_json(added.document())
        return
    print_dataset(added)
    if added.label in known:
        note(f"The same rows, split in the same way, are there already as {added.label}; no version was added.")


def _kinds(listed: str) -> tuple[Any, ...]:
    from intramural.domain.dataset import RegulatedKind  # noqa: PLC0415 - keeps `--help` fast

    kinds = [each.strip().lower() for each in listed.split(",") if each.strip()]
    if not {*kinds} <= {each.value for each in RegulatedKind}:
        raise click.UsageError(f"--kinds takes {', '.join(RegulatedKind)}, separated by commas.")
    return tuple(RegulatedKind(each) for each in dict.fromkeys(kinds))


@data.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List every version of every data set."""
    versions = connect().list_datasets()
    if as_json:
        write_json([each.document() for each in versions])
        return
    rows = [
        [
            each.label,
            each.kind.value,
            ("half shredded" if each.is_half_shredded else "shredded") if each.shredded_at else each.classification.value,
            count(each.train_examples),
            count(each.holdout_examples),
            size(each.size_bytes),
            short_digest(each.digest),
        ]
        for each in versions
    ]
    empty = "No data yet. Add some: intramural data add FILE --name NAME"
    table(["data", "kind", "class", "train", "hold-out", "size", "digest"], rows, right=[3, 4, 5], empty=empty)
    for name in dict.fromkeys(each.name for each in versions if each.is_half_shredded):
        note(f"The shredding of {name} was interrupted, or its proof failed: `intramural data shred {name}` completes it.")


@data.command()
@click.argument("label", metavar="DATA")
@json_option
def show(label: str, as_json: bool) -> None:
    """Show the counts of one version; DATA is `name` (the newest) or `name@version`."""
    found = connect().show_dataset(label)
    write_json(found.document()) if as_json else print_dataset(found)


@data.command()
@click.argument("left")
@click.argument("right")
@json_option
def diff(left: str, right: str, as_json: bool) -> None:
    """Count what changed between two versions, by distinct examples."""
    found = connect().diff_datasets(left, right)
    if as_json:
        write_json(found.document())
        return
    facts(
        [
            (f"only in {found.left}", count(found.only_left)),
            (f"only in {found.right}", count(found.only_right)),
            ("in both", count(found.shared)),
            ("changed sides", count(found.moved)),
        ]
    )


@data.command()
@click.argument("label", metavar="DATA")
@click.option("-n", "--count", "number", type=click.IntRange(1, 100), default=3, show_default=True, help="How many examples.")
@click.option("--side", type=click.Choice(["train", "holdout"]), default="train", show_default=True, help="Of which side.")
@json_option
def sample(label: str, number: int, side: str, as_json: bool) -> None:
    """Print a few examples in clear. The only command that shows content; each use is recorded."""
    found = connect().sample_dataset(label, count=number, side=side)
    if as_json:
        write_json(found.document())
        return
    for place, row in enumerate(found.rows, 1):
        click.echo(in_colour(f"{found.label}, {found.side} example {place}", "bold", err=False))
        for part, messages in row.items():
            for each in messages if isinstance(messages, list) else []:
                click.echo(
                    printable_lines(
                        f"  {f'{part} ' if part not in ('messages', 'text') else ''}{each.get('role')}: {each.get('content')}"
                    )
                )
