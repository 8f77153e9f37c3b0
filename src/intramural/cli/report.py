"""`intramural report`: the one page of an interview, and its hard numbers."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.output import json_option, printable, table, write_bytes, write_json, write_text
from intramural.cli.with_more import CommandWithMore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intramural.domain.one_page import HardNumber, OnePage
    from intramural.domain.profile import Profile
    from intramural.pages.one_page import Paper

FORMATS = ("terminal", "md", "html", "pdf", "json")
_ENDINGS = {".md": "md", ".html": "html", ".htm": "html", ".pdf": "pdf", ".json": "json", ".txt": "terminal"}

profile_option = click.option(
    "--profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=Path("profile.yaml"),
    show_default=True,
    help="The profile to read.",
)


@click.command(cls=CommandWithMore)
@profile_option
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default the ending of -o says, or the terminal.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it into this file.")
@click.option("--paper", type=click.Choice(["a4", "letter"]), default="a4", show_default=True, help="Of a PDF or a print.")
@json_option
def report(profile: Path, form: str | None, output: Path | None, paper: Paper, as_json: bool) -> None:
    """Print the one page of a profile: what was asked beside what was measured, on one sheet."""
    chosen = _form(form, output, as_json)
    gc.disable()  # what is made stays until the end: looking for garbage in it is a tenth of the time
    from intramural.interview.page import one_page  # noqa: PLC0415 - keeps `--help` fast

    page = one_page(_load(profile))
    if chosen == "json":
        write_json(page.document(), output)
    elif chosen == "terminal":
        _print(page, output)
    elif chosen == "pdf":
        from intramural.pages.one_page import one_page_pdf  # noqa: PLC0415

        write_bytes(one_page_pdf(page, paper), output)
    else:
        from intramural.pages.one_page import one_page_html, one_page_markdown  # noqa: PLC0415

        write_text(one_page_html(page, paper) if chosen == "html" else one_page_markdown(page), output)


@report.add
@click.command("hard-numbers")
@profile_option
@json_option
def hard_numbers(profile: Path, as_json: bool) -> None:
    """Print the interview guide's list of hard numbers under its own names."""
    from intramural.interview.hard_numbers import hard_numbers as numbers_of  # noqa: PLC0415 - keeps `--help` fast

    numbers = numbers_of(_load(profile))
    if as_json:
        write_json(numbers.document())
        return
    rows = [row for name in type(numbers).model_fields for row in _rows(name, getattr(numbers, name))]
    table(["number", "value", "range", "unit", "from", "exact", "days", "source"], rows, right=[1])


def _load(path: Path) -> Profile:
    """Return the profile. Raises `NotFound` that says how to make one."""
    from intramural.errors import NotFound  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview import profile_file  # noqa: PLC0415

    try:
        return profile_file.load(path)
    except NotFound as error:
        hint = f"Make one: `intramural interview {path}` asks, `intramural measure SOURCE --into {path}` measures."
        raise NotFound(error.message, hint=hint) from error


def _form(asked: str | None, output: Path | None, as_json: bool) -> str:
    """Return the format; refuse two that differ, an ending without one, and a PDF for a screen."""
    if as_json and asked not in {None, "json"}:
        raise click.UsageError(f"--json and --format {asked} are two formats; choose one.")
    by_ending = _ENDINGS.get(output.suffix.lower()) if output else None
    form = "json" if as_json else asked or by_ending or ("terminal" if output is None else None)
    if output is not None and form is None:
        raise click.UsageError(f"The ending of {output.name} names no format; use --format, or one of {', '.join(_ENDINGS)}.")
    if output is not None and by_ending not in {None, form}:
        raise click.UsageError(f"{output.name} ends like {by_ending}, and {form} was asked for; choose one.")
    if form == "pdf" and output is None and sys.stdout.isatty():
        raise click.UsageError("A PDF is not for a screen; add -o page.pdf.")
    return str(form)


def _print(page: OnePage, output: Path | None) -> None:
    from intramural.cli.report_terminal import print_page  # noqa: PLC0415 - keeps `--help` fast

    if output is None:
        print_page(page, sys.stdout)
        return
    import io  # noqa: PLC0415

    text = io.StringIO()
    print_page(page, text)
    write_text(text.getvalue(), output)


def _rows(name: str, number: HardNumber) -> Iterator[list[str]]:
    """Yield a line for *number*, and one for each of its parts."""
    if number.value is not None or not number.by:
        yield _row(name, number)
    elif number.by:
        yield [name, "", "", "", "", "", "", ""]
    for key, part in number.by.items():
        yield _row(f"  {key}", part)


def _row(name: str, number: HardNumber) -> list[str]:
    if number.value is None:
        return [name, number.standing.value.replace("_", " "), "", number.unit, *_about(number)]
    ends = [_plain(each) if each is not None else "?" for each in (number.low, number.high)]
    spread = " - ".join(ends) if number.low != number.high else ""
    return [name, ("~" if number.approximate else "") + _plain(number.value), spread, number.unit, *_about(number)]


def _about(number: HardNumber) -> list[str]:
    days = f"{number.window.days:g}" if number.window else ""
    words = [number.provenance, number.confidence, days, printable(number.source or "")]
    return [str(each or "") for each in words]


def _plain(number: float) -> str:
    return f"{number:,.3f}".rstrip("0").rstrip(".")
