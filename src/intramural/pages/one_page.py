"""
The one page, drawn: as HTML, as Markdown, and as a PDF of exactly one sheet.

The HTML is one file without a script, a network or another file. The PDF is set by Typst with
the fonts that come with it; a full page is set smaller until it fits.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from intramural.domain.one_page import OnePage
from intramural.pages.one_page_charts import CHART_CSS, DARK, LIGHT, SHADES, standalone
from intramural.pages.one_page_view import MARK, tied, view
from intramural.pages.run_page import markdown_text

Paper = Literal["a4", "letter"]

_SHEET = {"a4": ("A4", 277, "a4"), "letter": ("letter", 259, "us-letter")}
"""A paper's name in CSS, the millimetres between the margins there, and its name in Typst."""
_EMBEDDED_UNTIL = 0x2E80
"""The fonts that come with Typst hold Latin, Greek and Cyrillic; from here on, the system's are looked at too."""


def one_page_html(page: OnePage, paper: Paper = "a4") -> str:
    """Draw *page* as one HTML document that prints on one sheet."""
    variables = CHART_CSS.format(**{name: f"var(--{name})" for name in LIGHT})
    style: dict[str, Any] = {"light": LIGHT, "dark": DARK, "shades": SHADES, "charts": variables, "sheet": _SHEET[paper][0]}
    style["tall"] = _SHEET[paper][1] - 0.5  # a hair less, for rounding
    return _templates().get_template("one_page.html.j2").render(page=tied(view(page)), mark=MARK, **style)


def one_page_markdown(page: OnePage) -> str:
    """Write *page* as Markdown: the same lines without the charts."""
    return _templates().get_template("one_page.md.j2").render(page=view(page), mark=MARK)


def one_page_pdf(page: OnePage, paper: Paper = "a4") -> bytes:
    """Set *page* as a PDF of one sheet."""
    return _typeset(page, paper, "pdf")


def one_page_png(page: OnePage, paper: Paper = "a4") -> bytes:
    """Set *page* as an image of the sheet, to look at."""
    return _typeset(page, paper, "png")


def typst_template() -> bytes:
    """Return the template that Typst sets."""
    return files("intramural.pages").joinpath("templates/one_page.typ").read_bytes()


def typst_inputs(page: OnePage, paper: Paper) -> dict[str, str]:
    """Return what the template is filled with."""
    given = {"page": _with_files(tied(view(page))), "colours": LIGHT, "shades": SHADES}
    return {"page": json.dumps(given, ensure_ascii=False), "paper": _SHEET[paper][2]}


def _typeset(page: OnePage, paper: Paper, form: Literal["pdf", "png"]) -> bytes:
    import typst  # noqa: PLC0415 - tens of megabytes, only where a sheet is set

    inputs = typst_inputs(page, paper)
    own_fonts = max(map(ord, inputs["page"])) < _EMBEDDED_UNTIL
    sheet = typst.compile(typst_template(), format=form, ppi=144, ignore_system_fonts=own_fonts, sys_inputs=inputs)
    if not isinstance(sheet, bytes):
        raise TypeError("the page does not fit on one sheet")  # a fault of ours: the template sets it smaller until it does
    return sheet


def _with_files(part: Any) -> Any:
    """Return *part* with its drawings as files of their own, which is what Typst embeds."""
    if isinstance(part, Markup):
        return standalone(part) if part else ""
    if isinstance(part, dict):
        return {key: _with_files(each) for key, each in part.items()}
    return [_with_files(each) for each in part] if isinstance(part, list) else part


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("intramural.pages"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = markdown_text
    return environment
