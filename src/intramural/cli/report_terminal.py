"""The one page for a terminal: at most 100 columns, asked and measured beside each other."""

from __future__ import annotations

from typing import IO, Any

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from intramural.cli.output import printable
from intramural.domain.one_page import OnePage
from intramural.pages.one_page_view import MARK, view

WIDTH = 100
_LABEL, _SIDE = 24, 34
_SUPPORT = {"supported": "green", "contradicted": "red"}


def print_page(page: OnePage, stream: IO[str]) -> None:
    """Print *page*; in colour where *stream* is a terminal that shows it."""
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else WIDTH)
    console.width = min(console.width, WIDTH)
    shown = view(page)
    _masthead(console, shown)
    types = [{**row, "label": f"{row['rank']} {row['label']}"} for row in shown["types"]]
    spreads = [{**row, "label": ("Queue " if row["waits"] else "") + row["label"]} for row in shown["durations"]["rows"]]
    causes = shown["more_causes"] if shown["causes"] else "failure causes: not asked, not measured"
    _sides(console, "Top three job types", types, shown["more_types"])
    _sides(console, "p50 / p90 by job type", spreads, shown["more_durations"])
    _sides(console, "GPU shape", shown["shape"])
    _sides(console, "Data set and checkpoints", shown["held"])
    _sides(console, "Success and failures", [shown["success"], *shown["causes"]], causes)
    for title, key in (("Must-have constraints", "constraints"), ("Integrations", "integrations")):
        _head(console, title)
        _facts(console, shown[key])
    _head(console, "Top pain points, ranked", "with what the records say")
    _pains(console, shown)
    _head(console, "Also told")
    _facts(console, shown["also"])


def _masthead(console: Console, shown: dict[str, Any]) -> None:
    console.print(Text(printable(shown["name"]), style="bold"))
    for fact in shown["persona"]:
        if not fact["muted"]:
            console.print(Text.assemble((f"{fact['label']} ", "dim"), printable(fact["text"])))
    for side in ("asked", "measured"):
        console.print(Text(f"{side.capitalize()}: {printable(shown[f'{side}_line'])}.", style="dim"))
    found = shown["contradictions"]
    lines = [
        Text.assemble(printable(f"{each['label']}: said {each['said']}, measured "), (printable(each["measured"]), "bold red"))
        for each in found["shown"]
    ]
    lines += [Text(f"{found['more']}, marked below", style="dim")] if found["more"] else []
    lines += [Text(printable(each), style="yellow") for each in shown["warnings"]]
    if lines:
        count = found["count"]
        title = f"{MARK} {count} contradiction{'' if count == 1 else 's'}" if count else "Mind"
        console.print(Panel(Text("\n").join(lines), title=title, title_align="left", border_style="red", box=box.ROUNDED))


def _head(console: Console, title: str, remark: str = "") -> None:
    console.print()
    console.print(Text.assemble((title.upper(), "bold"), (f"  {remark}" if remark else "", "dim")))


def _grid(*widths: int | None) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=False)
    for width in widths:
        grid.add_column(width=width, overflow="fold")
    return grid


def _sides(console: Console, title: str, rows: list[dict[str, Any]], more: str = "") -> None:
    if not rows:
        _head(console, title)
        console.print(Text("not asked, not measured", style="dim italic"))
        return
    console.print()
    grid = _grid(_LABEL, _SIDE, _SIDE)
    grid.add_row(Text(title.upper(), style="bold"), Text("asked", style="dim"), Text("measured", style="dim"))
    for row in rows:
        measured = _cell(row["measured"])
        if row["mark"]:
            measured = Text.assemble((measured.plain, "red"), (f" {MARK}", "bold red"))
        grid.add_row(Text(printable(row["label"])), _cell(row["asked"]), measured)
    console.print(grid)
    if more:
        console.print(Text(printable(more), style="dim"))


def _cell(each: dict[str, Any]) -> Text:
    letter = f" ({each['letter']})" if each["letter"] and not each["muted"] else ""
    return Text(printable(each["text"]) + letter, style="dim italic" if each["muted"] else "")


def _facts(console: Console, rows: list[dict[str, Any]]) -> None:
    grid = _grid(_LABEL, None)
    for each in rows:
        grid.add_row(Text(each["label"]), Text(printable(each["text"]), style="dim italic" if each["muted"] else ""))
    console.print(grid)


def _pains(console: Console, shown: dict[str, Any]) -> None:
    grid = _grid(2, _LABEL, 14, None)
    for pain in shown["pains"]:
        rank, words = str(pain["rank"] or "+"), Text(pain["words"], style=_SUPPORT.get(pain["support"], "dim"))
        grid.add_row(Text(rank, style="dim"), Text(printable(pain["label"])), words, Text(printable(pain["evidence"])))
    if shown["pains"]:
        console.print(grid)
    if shown["pains_line"]:
        console.print(Text(shown["pains_line"], style="dim"))
