"""
A portfolio as one self-contained HTML file, or as a PDF set by typst.

Both are drawn from the same story: bars for all profiles, then every line across the segments.
Nothing is fetched: no script, no font, no picture from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from intramural.domain.portfolio import SEGMENT_LABELS, Portfolio, Segment
from intramural.pages import portfolio_tables as tables
from intramural.pages.portfolio_tables import Row, SideBySide

_WIDTH, _LABEL, _VALUE, _ROW = 720, 230, 96, 27
_MIXES = ("anatomy.job_mix", "anatomy.gpu_count", "anatomy.model_sizes", "anatomy.failure_causes")
_FACTS = (
    "anatomy.success_rate",
    "anatomy.resume_rate",
    "anatomy.checkpoint_interval",
    "anatomy.gpu_count",
    "anatomy.gpu_vram",
    "anatomy.dataset_size",
)
METHOD = (
    "14 of 20 is fourteen of the twenty who answered; 2 h (12) is the median of twelve; behind a segment stands its size.",
    "n is the number of profiles that gave a known value; who did not know, or was not asked, is not in it and is no zero.",
    "Of several answers to one question the measured one counts, then what was imported, asked, estimated.",
    "A range counts with its middle.",
    "Pains are placed by Borda points: of ten choices the first gets ten, the second nine; not named, none.",
    "Regulated: health or financial data, data that must stay in a region, or keys that the customer holds.",
)


def portfolio_html(portfolio: Portfolio) -> str:
    """Draw *portfolio* as one HTML document."""
    return _templates().get_template("portfolio.html.j2").render(story(portfolio))


def portfolio_pdf(portfolio: Portfolio, *, paper: str = "a4") -> bytes:
    """Set *portfolio* as a PDF on `a4` or `us-letter`."""
    import typst  # noqa: PLC0415 - a compiler of 40 MB that no other page needs

    source = files("intramural.pages").joinpath("templates", "portfolio.typ").read_bytes()
    inputs = {"story": json.dumps(printed(portfolio)), "paper": paper}
    content = typst.Compiler(input=source, ignore_system_fonts=True, sys_inputs=inputs).compile(format="pdf")
    return content if isinstance(content, bytes) else b""


def story(portfolio: Portfolio) -> dict[str, Any]:
    """Return what the page says, as plain values and pictures."""
    bars = drawn(portfolio)
    return {
        "headline": headline(portfolio),
        "lead": lead(portfolio),
        "profiles": portfolio.profiles,
        "anonymous": portfolio.anonymous,
        "facts": facts(portfolio),
        "bars": [{**_words(each), "chart": share_bars(each.rows, title=each.title)} for each in bars],
        "headings": tables.headings(portfolio),
        "tables": [tables.median_table(portfolio), *bars, *tables.tally_tables(portfolio, integrations=False)],
        "skipped": portfolio.skipped,
        "method": METHOD,
    }


def _words(table: SideBySide) -> dict[str, Any]:
    return {"title": table.title, "note": f"{table.note} {table.remark}".strip()}


def printed(portfolio: Portfolio) -> dict[str, Any]:
    """Return what the PDF says, as plain JSON types; typst draws its own bars."""
    told = story(portfolio)
    told["bars"] = [{**asdict(each), **_words(each)} for each in drawn(portfolio)]
    told["tables"] = [asdict(each) for each in told["tables"]]
    told["skipped"] = [each.document() for each in portfolio.skipped]
    return told


def drawn(portfolio: Portfolio) -> list[SideBySide]:
    """Return what has bars, in the order of the page."""
    rankings = [tables.ranking_table(portfolio, each.path) for each in portfolio.all.rankings]
    mixes = [tables.mix_table(portfolio, path) for path in _MIXES]
    found = [
        rankings[0],
        mixes[0],
        tables.must_have_table(portfolio),
        *tables.tally_tables(portfolio, integrations=True),
        *mixes[1:],
        *rankings[1:],
    ]
    return [each for each in found if each.rows]


def headline(portfolio: Portfolio) -> str:
    """Return the one sentence a person came for."""
    pains = portfolio.all.rankings[0]
    if not pains.lines:
        return "Nobody names a pain."
    top = pains.lines[0]
    return f"{top.label} is the worst pain: {top.named_by} of {pains.n} name it, {top.first_for} put it first."


def facts(portfolio: Portfolio) -> list[dict[str, str]]:
    """Return the few medians that a person asks for first."""
    found = [each for path in _FACTS for each in portfolio.all.medians if each.path == path and each.n]
    return [{"label": each.label, "value": each.text, "note": f"median of {each.n}"} for each in found]


def lead(portfolio: Portfolio) -> list[str]:
    """Return who was counted, and who was not."""
    counted = ", ".join(f"{each.profiles} {each.label.lower()}" for each in portfolio.segments)
    only = " and ".join(SEGMENT_LABELS[each].lower() for each in portfolio.only)
    said = [f"{_profiles(portfolio.profiles)}{f' ({only} only)' if only else ''}{f': {counted}' if counted else ''}."]
    sizes = {Segment.SOLO, Segment.SMALL_TEAM, Segment.ENTERPRISE}
    if portfolio.without_size and not sizes & set(portfolio.only):
        said.append(f"{portfolio.without_size} do not say how large the organisation is.")
    if portfolio.without_regulation:
        said.append(f"Of {portfolio.without_regulation} it is not known whether they are regulated.")
    if portfolio.duplicate_files:
        said.append(f"{portfolio.duplicate_files} files hold the same profile as another and count once.")
    if portfolio.skipped_files:
        said.append(f"{portfolio.skipped_files} files could not be read and are left out.")
    return said


def _profiles(number: int) -> str:
    return "1 profile" if number == 1 else f"{number:,} profiles"


def share_bars(rows: Sequence[Row], *, title: str) -> Markup:
    """Draw one horizontal bar for each row on a scale from none to all, with how many that is."""
    span, height = _WIDTH - _LABEL - _VALUE, len(rows) * _ROW
    out = [Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, height, title)]
    row = Markup(
        '<g class="share"><text class="name" x="{left}" y="{text_y}" text-anchor="end">{label}</text>'
        '<rect class="whole" x="{x}" y="{y}" width="{span}" height="13" rx="2"/>'
        '<rect class="part" x="{x}" y="{y}" width="{width:.1f}" height="13" rx="2"/>'
        '<text class="value" x="{right}" y="{text_y}" text-anchor="end">{text}</text><title>{label}: {text}</title></g>'
    )
    for n, each in enumerate(rows):
        y = n * _ROW + 6
        out.append(
            row.format(
                left=_LABEL - 12, text_y=y + 11, label=_cut(each.label), x=_LABEL, y=y, span=span,
                width=max(min(each.share or 0.0, 1.0) * span, 1.0), right=_WIDTH, text=each.cells[0],
            )
        )  # fmt: skip
    return Markup("").join([*out, Markup("</svg>")])


def _cut(label: str, most: int = 34) -> str:
    return label if len(label) <= most else f"{label[: most - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("intramural.pages"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
