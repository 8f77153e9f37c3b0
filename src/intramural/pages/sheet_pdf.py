"""The interview's sheet as a PDF, set by typst with the fonts it brings along."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

_PAPERS = {"a4": "a4", "letter": "us-letter"}


def sheet_pdf(sheet: dict[str, Any], *, paper: str = "a4") -> bytes:
    """Return the PDF of a sheet, given as plain JSON types, on paper `a4` or `letter`."""
    import typst  # noqa: PLC0415 - loads a compiler

    template = resources.files("intramural.pages").joinpath("templates/sheet.typ").read_bytes()
    compiler = typst.Compiler(template, ignore_system_fonts=True)
    pdf = compiler.compile(format="pdf", sys_inputs={"sheet": json.dumps(sheet), "paper": _PAPERS[paper]}, timestamp=0)
    if not isinstance(pdf, bytes):
        raise TypeError("the typesetter returned no document")
    return pdf
