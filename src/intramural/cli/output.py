"""
What commands write: documents for programs, tables for people.

Standard output carries the answer, standard error everything on the way to it.
Colour only on a terminal, and never with `NO_COLOR`; text that a person did not
write is printed without its control characters.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from intramural.errors import InvalidInput

F = TypeVar("F", bound=Callable[..., Any])

json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)


def write_json(document: Any, target: Path | None = None) -> None:
    """Write *document* as one line of JSON on standard output, or as a file; a number that is not finite becomes null."""
    import orjson  # noqa: PLC0415 - keeps `--help` fast

    if target is not None:
        write_text(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n", target)
        return
    sys.stdout.write(orjson.dumps(document).decode() + "\n")
    sys.stdout.flush()


def write_text(text: str, target: Path | None = None) -> None:
    """Write *text* to the file *target*, whole or not at all, or to standard output. Raises `InvalidInput`."""
    if target is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    write_bytes(text.encode("utf-8"), target)


def write_bytes(content: bytes, target: Path | None) -> None:
    """Write *content* to the file *target*, whole or not at all, or to standard output. Raises `InvalidInput`."""
    if target is None:
        sys.stdout.buffer.write(content)
        return
    # A device, a pipe or a link (such as /dev/stdout) is written into, never replaced.
    is_new = not target.is_symlink() and (not target.exists() or target.is_file())
    beside = target.with_name(f".{target.name}.{os.getpid()}") if is_new else target
    try:
        beside.write_bytes(content)
        beside.replace(target)
    except BaseException as error:
        if is_new:
            beside.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        reason = os.strerror(error.errno or 0)
        raise InvalidInput(f"{target} cannot be written: {reason}.", hint="Choose another place for the file.") from error
    note(f"Written to {target}.")


def note(text: str) -> None:
    """Tell a person something on standard error."""
    click.echo(text, err=True)


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), empty: str = "Nothing yet."
) -> None:
    """Print *rows* under *headings*; the columns numbered in *right* are aligned to the right."""
    if not rows:
        note(empty)
        return
    clean = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(heading), *(len(row[n]) for row in clean)) for n, heading in enumerate(headings)]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(widths[n]) if n in right else cell.ljust(widths[n]) for n, cell in enumerate(cells)]
        return "  ".join(padded).rstrip()

    click.echo(in_colour(line([each.upper() for each in headings]), "bold", err=False))
    for row in clean:
        click.echo(line(row))


def facts(pairs: Sequence[tuple[str, str | None]]) -> None:
    """Print names and values in two columns; what is none is left out."""
    known = [(name, printable(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{in_colour(name.ljust(width), 'dim', err=False)}  {value}")


def in_colour(text: str, style: str, *, err: bool = True) -> str:
    """Return *text* in `red`, `green`, `cyan`, `yellow`, `bold` or `dim` where the stream is a terminal that shows colour."""
    stream = sys.stderr if err else sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return click.style(text, bold=style == "bold", dim=style == "dim", fg=None if style in {"bold", "dim"} else style)


def printable(text: str) -> str:
    """Return *text* on one line without control characters, so that no value can steer the terminal."""
    return "".join(
        " " if char in "\n\t" else char for char in text if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf"}
    )


def printable_lines(text: str) -> str:
    """Return *text* with its lines, without control characters."""
    return "\n".join(printable(line) for line in text.split("\n"))


def fault(error: BaseException) -> dict[str, Any]:
    """Describe an error of our own by class and place; its text may quote content and is left out."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "an unknown place"
    return {
        "code": "internal",
        "message": f"intramural itself failed: {type(error).__name__} at {place}.",
        "hint": "INTRAMURAL_DEBUG=1 shows the whole trace, which may quote content.",
        "about": {},
    }
