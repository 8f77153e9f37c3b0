"""`intramural data`: private rows in, immutable versions out. Content is printed by `data sample` alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intramural.cli.findings import days_of, print_findings, screening_options, treatments_of
from intramural.cli.output import facts, in_colour, json_option, note, printable_lines, table, write_json
from intramural.cli.progress import counting
from intramural.cli.scanning import scan
from intramural.cli.session import connect
from intramural.cli.shredding import certificate, shred
from intramural.cli.tracing import trace
from intramural.pages.words import count, short_digest, size

if TYPE_CHECKING:
    from intramural.domain.dataset import DatasetVersion, TokenStatistics

FORMATS = ["auto", "chat", "prompt-completion", "alpaca", "sharegpt", "preference"]
CLASSES = ["public", "internal", "confidential", "restricted"]


@click.group()
def data() -> None:
    """Data sets: add, scan, list, show, diff, sample, shred, trace."""


data.add_command(shred)
data.add_command(certificate)
data.add_command(trace)
data.add_command(scan)


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What people will call it, such as tickets/2026-11.")
@click.option(
    "--format",
    "source_format",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What a row looks like; auto tells from the first.",
)
@click.option(
    "--map", "mapping", multiple=True, metavar="OURS=THEIRS", help="Name a field, such as prompt=question; may be repeated."
)
@click.option("--holdout", type=click.Path(path_type=Path), help="A file that is the whole hold-out.")
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
@click.option("--retain", "retain_days", metavar="180d", callback=days_of, help="How long they may be used, in d, w or y.")
@screening_options
@click.option("--base", metavar="MODEL", help="Count tokens as this base model sees them.")
@json_option
def add(file: Path, name: str, mapping: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Check FILE row by row, look for what should not be in it, split it, and store it as a new version of NAME."""
    from intramural.domain.dataset import Split  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.views import DatasetOptions  # noqa: PLC0415

    holdout, share, group = (options.pop(key) for key in ("holdout", "holdout_share", "group_by"))
    kinds, treatments, deny = (options.pop(key) for key in ("kinds", "treatments", "deny"))
    wanted = DatasetOptions(
        mapping=_pairs(mapping),
        holdout=str(holdout.absolute()) if holdout else None,
        split=Split(holdout_share=share, group_by=group, given_holdout=holdout is not None),
        regulated=_kinds(kinds),
        on=treatments_of(treatments),
        deny=str(Path(deny).absolute()) if deny else None,
        **options,
    )
    client = connect()
    known = {each.label for each in client.list_datasets()}
    with counting(f"Reading {file.name}") as report:
        added = client.add_dataset(file.absolute(), name, wanted, on_progress=report)
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


def _pairs(mapping: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(each.partition("=")[::2] for each in mapping)
    if not all(ours and theirs for ours, theirs in pairs.items()):
        raise click.UsageError("--map is written OURS=THEIRS, for example --map prompt=question.")
    return pairs


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
            "shredded" if each.shredded_at else each.classification.value,
            count(each.train_examples),
            count(each.holdout_examples),
            size(each.size_bytes),
            short_digest(each.digest),
        ]
        for each in versions
    ]
    empty = "No data yet. Add some: intramural data add FILE --name NAME"
    table(["data", "kind", "class", "train", "hold-out", "size", "digest"], rows, right=[3, 4, 5], empty=empty)


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
@click.option("--side", type=click.Choice(["train", "holdout"]), default="train", show_default=True)
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
                click.echo(printable_lines(f"  {part if part != 'messages' else ''}{each.get('role')}: {each.get('content')}"))


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
            ("retained", f"{count(found.retain_days)} days" if found.retain_days else None),
            ("training", f"{count(found.train_examples)} examples"),
            ("hold-out", f"{count(found.holdout_examples)} examples, {share}{grouped}"),
            (
                "duplicates",
                f"{count(found.duplicates)} in training, {count(found.holdout_overlap)} of the hold-out also in training",
            ),
            ("unused fields", ", ".join(found.unused_fields) or None),
            ("rows", f"{count(found.rows_read)} read, {count(found.fault_count)} left out"),
            ("size", size(found.size_bytes)),
            ("digest", found.digest),
            ("added", f"{found.added_at:%Y-%m-%d %H:%M}"),
            ("shredded", f"{found.shredded_at:%Y-%m-%d %H:%M}" if found.shredded_at else None),
        ]
    )
    for fault in found.faults[:20]:
        field = f", `{fault.field}`" if fault.field else ""
        click.echo(printable_lines(f"  line {fault.line}{field}: {fault.reason}"))
    if found.fault_count > 20:
        click.echo(f"  and {count(found.fault_count - 20)} more; `--json` lists the first hundred.")
    print_findings(found.findings, found.redaction)
    for each in found.tokens:
        _print_tokens(each)


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
