"""
The small charts of the one page as inline SVG: job mix, run times on a log axis, failures.

What was said is hollow, what was measured is filled. In a page the style sheet colours them by
class; `standalone` gives a drawing its own colours, for the typesetter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

LIGHT = {
    "paper": "#fbfaf7", "ink": "#1f1e1b", "soft": "#6f6b63", "rule": "#e5e1d8", "panel": "#f3f0e9",
    "accent": "#1e6b52", "grey": "#b9b2a5", "other": "#8f9bb3", "bad": "#a23b2c", "good": "#1e6b52",
}  # fmt: skip
DARK = {
    "paper": "#171613", "ink": "#ece8df", "soft": "#a09a8e", "rule": "#34312b", "panel": "#211f1b",
    "accent": "#71c7a5", "grey": "#6a655b", "other": "#7f8cab", "bad": "#e58a78", "good": "#71c7a5",
}  # fmt: skip
"""The colours of the run page, by the names of its style sheet."""

SHADES = (1.0, 0.62, 0.4, 0.26, 0.18, 0.12)
"""How strong the parts of a bar are, largest first; the last stands for all that follow."""

MIX_WIDTH, MIX_HEIGHT = 300, 11
RANGE_WIDTH, RANGE_HEIGHT = 300, 18
CAUSE_WIDTH, CAUSE_HEIGHT = 200, 11

_TICKS = (
    (1.0, "1 s"), (10.0, "10 s"), (60.0, "1 min"), (600.0, "10 min"), (3600.0, "1 h"), (36000.0, "10 h"),
    (4 * 86400.0, "4 d"), (30 * 86400.0, "30 d"), (365 * 86400.0, "1 year"),
)  # fmt: skip
_MARGIN = 12


@dataclass(frozen=True)
class Share:
    """One part of a whole."""

    label: str
    percent: float
    rank: int
    """Its place among the parts, from 0; the same part has the same shade in every bar."""


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis over seconds."""

    low: float
    high: float

    def at(self, seconds: float) -> float:
        """Return where *seconds* stand."""
        share = math.log(max(seconds, self.low) / self.low) / math.log(self.high / self.low)
        return _MARGIN + min(share, 1.0) * (RANGE_WIDTH - 2 * _MARGIN)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The round times on it."""
        return [each for each in _TICKS if self.low <= each[0] <= self.high]


def log_axis(times: Sequence[float]) -> LogAxis | None:
    """Return the axis between the round times around *times*; none without any."""
    positive = [each for each in times if each > 0 and math.isfinite(each)]
    if not positive:
        return None
    rounds = [seconds for seconds, _ in _TICKS]
    low = max((each for each in rounds if each <= min(positive)), default=min(positive))
    high = min((each for each in rounds if each >= max(positive)), default=max(positive))
    return LogAxis(low, high if high > low else low * 10)


def mix_bar(shares: Sequence[Share], *, style: str, title: str) -> Markup:
    """Draw one bar divided by *shares* of 100 %, or of their sum where it is more; empty without any."""
    whole = max(100.0, sum(each.percent for each in shares))
    opening = _opening(MIX_WIDTH, MIX_HEIGHT, title).replace("<svg ", Markup('<svg preserveAspectRatio="none" '), 1)
    out, x = [opening], 0.5
    shape = Markup(
        '<rect class="{}" fill-opacity="{:.2f}" x="{:.1f}" y="0.5" width="{:.1f}" height="{}"><title>{}</title></rect>'
    )
    for each in shares:
        width = each.percent / whole * (MIX_WIDTH - 1)
        opacity = SHADES[min(each.rank, len(SHADES) - 1)] * (0.16 if style == "said" else 1.0)
        told = f"{each.label}: {each.percent:g} %"
        out.append(shape.format(style, opacity, x, max(width - 1.5, 0.4), MIX_HEIGHT - 1, told))
        x += width
    return Markup("").join([*out, Markup("</svg>")]) if shares else Markup("")


def range_row(said: tuple[float | None, float | None], measured: tuple[float | None, float | None], axis: LogAxis) -> Markup:
    """Draw p50 to p90 of one row on *axis*: said above, measured below."""
    grid = Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"/>')
    out = [_opening(RANGE_WIDTH, RANGE_HEIGHT, "p50 and p90, said above measured")]
    out += [grid.format(axis.at(seconds), RANGE_HEIGHT) for seconds, _ in axis.ticks]
    out += [_span(said, "said", 5.5, axis), _span(measured, "measured", 12.5, axis)]
    return Markup("").join([*out, Markup("</svg>")])


def axis_row(axis: LogAxis) -> Markup:
    """Draw the labels of *axis*, those that have room."""
    tag, out, free = Markup('<text class="tick" x="{:.1f}" y="9" text-anchor="middle">{}</text>'), [], -math.inf
    for seconds, label in axis.ticks:
        if axis.at(seconds) >= free:
            out.append(tag.format(axis.at(seconds), label))
            free = axis.at(seconds) + 30
    return Markup("").join([_opening(RANGE_WIDTH, 13, "time, logarithmic"), *out, Markup("</svg>")])


def cause_bar(said: float | None, measured: float | None, so_far: float | None) -> Markup:
    """Draw one row of a Pareto chart: a cause's share, and a tick where it and those above it together reach."""
    span = CAUSE_WIDTH - 2
    bar = Markup('<rect class="{}" x="1" y="{}" width="{:.1f}" height="{}"/>')
    out = [_opening(CAUSE_WIDTH, CAUSE_HEIGHT, "share of the failures")]
    out.append(Markup('<line class="grid" x1="1" x2="{0}" y1="{1}" y2="{1}"/>').format(CAUSE_WIDTH - 1, CAUSE_HEIGHT - 0.5))
    if measured is not None:
        out.append(bar.format("measured", 3, max(min(measured, 100.0) / 100 * span, 0.6), CAUSE_HEIGHT - 6))
    if said is not None:
        out.append(bar.format("said outline", 1, max(min(said, 100.0) / 100 * span, 0.6), CAUSE_HEIGHT - 2))
    if so_far is not None:
        line = Markup('<line class="reach" x1="{0:.1f}" x2="{0:.1f}" y1="1" y2="{1}"/>')
        out.append(line.format(1 + min(so_far, 100.0) / 100 * span, CAUSE_HEIGHT - 1))
    return Markup("").join([*out, Markup("</svg>")])


CHART_CSS = (
    ".said {{ fill: {accent}; stroke: {accent}; stroke-width: 1; }} .measured {{ fill: {accent}; }}"
    " .outline {{ fill: none; }} .grid {{ stroke: {rule}; stroke-width: 1; }} .reach {{ stroke: {soft}; stroke-width: 1; }}"
    " line.said, line.measured {{ stroke: {accent}; stroke-width: 1.3; }} circle.said {{ fill: {paper}; stroke-width: 1.2; }}"
    " .tick {{ fill: {soft}; font-size: 9.5px; }}"
)
"""How the classes look, with a place for each colour."""


def standalone(drawing: Markup) -> str:
    """Return *drawing* as a file of its own, in the colours of paper."""
    style = CHART_CSS.format(**{**LIGHT, "paper": "#ffffff"})
    head, _, rest = str(drawing).partition(">")
    named = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="Libertinus Serif" ', 1)
    return f"{named}><style>{style}</style>{rest}" if rest else ""


def _opening(width: int, height: int, title: str) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, title)


def _span(ends: tuple[float | None, float | None], style: str, y: float, axis: LogAxis) -> Markup:
    known = [axis.at(each) for each in ends if each is not None]
    line = Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>')
    dot = Markup('<circle class="{}" cx="{:.1f}" cy="{}" r="2.4"/>')
    lines = [line.format(style, min(known), max(known), y, y)] if len(known) > 1 else []
    return Markup("").join([*lines, *(dot.format(style, x, y) for x in known)])
