"""`intramural portfolio`: what many profiles say together."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intramural.cli.output import in_colour, json_option, note, printable, table, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intramural.domain.portfolio import Portfolio
    from intramural.domain.profile import Profile
    from intramural.interview.portfolio_files import Gathered
    from intramural.pages.portfolio_tables import SideBySide

FORMATS = ["terminal", "json", "csv", "parquet", "html", "pdf"]
SEGMENTS = ["solo", "small_team", "enterprise", "regulated", "not_regulated"]
_BINARY = {"parquet", "pdf"}
_BAR = 24


@click.command()
@click.argument("places", metavar="DIR|FILES...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--segment", "segments", multiple=True, type=click.Choice(SEGMENTS), help="Count only these; all that are named.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="By default the terminal, or what the ending of -o says.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it into this file.")
@click.option("--anonymous", is_flag=True, help="Drop names, days, notes, sources and everything in anyone's own words.")
@click.option("--profiles", "folder", type=click.Path(path_type=Path), help="With --anonymous: write the profiles there too.")
@click.option("--skip-bad", is_flag=True, help="Leave faulty files out and list them.")
@click.option("--paper", type=click.Choice(["a4", "letter"]), default="a4", show_default=True, help="Of the PDF.")
@json_option
def portfolio(places: tuple[Path, ...], output: Path | None, as_json: bool, **options: Any) -> None:
    """Show what many profiles say together: pains, job mix, numbers, must-haves and integrations, by segment.

    A folder is searched for .yaml files with everything below it.
    """
    from intramural.domain.portfolio import Segment  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview.portfolio import in_segments  # noqa: PLC0415
    from intramural.interview.portfolio_files import without_names, write_folder  # noqa: PLC0415

    form = _form(options["format_"], output, as_json)
    anonymous, folder = options["anonymous"], options["folder"]
    if folder and not anonymous:
        raise click.UsageError("--profiles writes anonymised profiles; add --anonymous.")
    found = _gathered(places, skip_bad=options["skip_bad"])
    if form != "json" or anonymous:  # the document lists them otherwise
        _tell_left_out(found)
    only = tuple(Segment(each) for each in dict.fromkeys(options["segments"]))
    profiles = in_segments(without_names(found.profiles) if anonymous else found.profiles, only)
    if folder:
        write_folder(profiles, folder)
        note(f"{len(profiles)} anonymised {'profile' if len(profiles) == 1 else 'profiles'} written to {folder}.")
    if form in {"csv", "parquet"}:
        _write(_flat(profiles, form), output)
        return
    summary = _summary(found, profiles, only, anonymous=anonymous)
    if form == "json":
        write_json(summary.document(), output)
    elif form == "terminal":
        _print(summary) if output is None else _print_into(summary, output)
    else:
        _write(_drawn(summary, form, options["paper"]), output)


def _gathered(places: tuple[Path, ...], *, skip_bad: bool) -> Gathered:
    from intramural.interview.portfolio_files import gather  # noqa: PLC0415 - keeps `--help` fast

    gc.disable()  # what is read stays to the end: looking for garbage in it is a tenth of the time
    try:
        return gather(places, skip_bad=skip_bad)
    finally:
        gc.freeze()
        gc.enable()


def _form(asked: str | None, output: Path | None, as_json: bool) -> str:
    """Return the format, and refuse two that differ or bytes on a screen."""
    ending = output.suffix.lower().removeprefix(".") if output else ""
    if as_json and asked not in {None, "json"}:
        raise click.UsageError(f"--json and --format {asked} are two formats; choose one.")
    if output and not as_json and not asked and ending not in FORMATS:
        endings = ", ".join(f".{each}" for each in FORMATS[1:])
        raise click.UsageError(f"The ending of {output.name} names no format; use --format, or one of {endings}.")
    form = "json" if as_json else asked or ending or "terminal"
    if form in _BINARY and output is None and sys.stdout.isatty():
        raise click.UsageError(f"A {form} file is not for a screen; add -o portfolio.{form}.")
    return form


def _tell_left_out(found: Gathered) -> None:
    for each in found.skipped:
        note(printable(f"Left out: {each.reason}"))
    for duplicate in found.duplicates:
        note(printable(f"Counted once: {duplicate.file} holds the same profile as {duplicate.same_as}."))


def _summary(found: Gathered, profiles: Sequence[Profile], only: Any, *, anonymous: bool) -> Portfolio:
    from intramural.interview.portfolio import summarise  # noqa: PLC0415 - keeps `--help` fast

    return summarise(profiles, only=only, anonymous=anonymous).model_copy(
        update={
            "skipped_files": len(found.skipped),
            "duplicate_files": len(found.duplicates),
            "skipped": () if anonymous else tuple(found.skipped),
            "duplicates": () if anonymous else tuple(found.duplicates),
        }
    )


def _flat(profiles: Sequence[Profile], form: str) -> bytes:
    from intramural.interview.portfolio_rows import as_csv, as_parquet, rows_of  # noqa: PLC0415 - keeps `--help` fast

    rows = rows_of(profiles)
    return as_csv(rows) if form == "csv" else as_parquet(rows)


def _drawn(summary: Portfolio, form: str, paper: str) -> bytes:
    from intramural.pages.portfolio_page import portfolio_html, portfolio_pdf  # noqa: PLC0415 - keeps `--help` fast

    if form == "html":
        return portfolio_html(summary).encode()
    return portfolio_pdf(summary, paper="us-letter" if paper == "letter" else paper)


def _write(content: bytes, target: Path | None) -> None:
    if target is not None:
        write_bytes(content, target)
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _print_into(summary: Portfolio, target: Path) -> None:
    import contextlib  # noqa: PLC0415
    import io  # noqa: PLC0415

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        _print(summary)
    write_text(text.getvalue(), target)


def _print(summary: Portfolio) -> None:
    """Print the whole portfolio for a terminal: bars for all, then every line by segment."""
    from intramural.pages import portfolio_page as page  # noqa: PLC0415 - keeps `--help` fast
    from intramural.pages import portfolio_tables as tables  # noqa: PLC0415

    click.echo(in_colour(page.headline(summary), "bold", err=False))
    click.echo(" ".join(page.lead(summary)))
    headings = tables.headings(summary)
    for each in page.drawn(summary):
        _print_table(each, headings, with_bar=True)
    _print_table(tables.median_table(summary), headings, with_bar=False)


def _print_table(told: SideBySide, headings: Sequence[str], *, with_bar: bool) -> None:
    if not told.rows:
        return
    click.echo()
    click.echo(in_colour(f"{told.note} {told.remark}".strip(), "dim", err=False))
    bars = [["█" * round(_BAR * min(row.share or 0.0, 1.0))] if with_bar else [] for row in told.rows]
    rows = [[row.label, *bar, *row.cells] for row, bar in zip(told.rows, bars, strict=True)]
    first = [told.title, *([""] if with_bar else [])]
    table([*first, *headings], rows, right=range(len(first), len(first) + len(headings)))
