"""Bars as inline SVG: scores with their intervals, lengths, and the parts of a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH = 720
_LABEL, _VALUE = 200, 120
_ROW = 34
_NARROW, _NARROW_ROW = 360, 46
"""About the points of a telephone's screen, so that letters keep their size there."""


@dataclass(frozen=True)
class ScoreBar:
    """One system's share with its interval; all between 0 and 1."""

    label: str
    value: float
    low: float
    high: float
    text: str
    style: str = "other"


@dataclass(frozen=True)
class Part:
    """One part of a whole, such as the seconds of a phase."""

    label: str
    amount: float
    text: str
    colour: int = 0
    """The number of its class in the style sheet, modulo six."""


def score_bars(bars: Sequence[ScoreBar], *, title: str) -> Markup:
    """Draw one horizontal bar per system on a scale from 0 to 100 %, with a whisker over its interval."""
    height, span = len(bars) * _ROW + 22, _WIDTH - _LABEL - _VALUE
    bottom = len(bars) * _ROW + 2
    out = [Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, height, title)]
    grid = Markup(
        '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="2" y2="{1}"/>'
        '<text class="tick" x="{0:.1f}" y="{2}" text-anchor="middle">{3}</text>'
    )
    out += [grid.format(_LABEL + span * n / 4, bottom, bottom + 16, f"{25 * n} %") for n in range(5)]
    row = Markup(
        '<g class="bar {style}"><text class="name" x="{left}" y="{text_y}" text-anchor="end">{label}</text>'
        '<rect x="{x}" y="{y}" width="{width:.1f}" height="14" rx="2"/>'
        '<path class="whisker" d="M{low:.1f} {top}V{foot}M{low:.1f} {middle}H{high:.1f}M{high:.1f} {top}V{foot}"/>'
        '<text class="value" x="{right}" y="{text_y}" text-anchor="end">{text}</text><title>{label}: {text}</title></g>'
    )
    for n, bar in enumerate(bars):
        y = n * _ROW + 10
        out.append(
            row.format(
                style=bar.style, left=_LABEL - 12, text_y=y + 11, label=bar.label, text=bar.text, x=_LABEL, y=y,
                width=max(bar.value * span, 1.5), low=_LABEL + bar.low * span, high=_LABEL + bar.high * span,
                top=y + 3, middle=y + 7, foot=y + 11, right=_WIDTH,
            )
        )  # fmt: skip
    return Markup("").join([*out, Markup("</svg>")])


def narrow_score_bars(bars: Sequence[ScoreBar], *, title: str) -> Markup:
    """Draw the same for a narrow page: each bar across all of it, below its name and its value."""
    opening = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    out = [opening.format(_NARROW, len(bars) * _NARROW_ROW, title)]
    row = Markup(
        '<g class="bar {style}"><text class="name" x="0" y="{text_y}">{label}</text>'
        '<text class="value" x="{right}" y="{text_y}" text-anchor="end">{text}</text>'
        '<line class="grid" x1="0" x2="{right}" y1="{foot}" y2="{foot}"/>'
        '<rect x="0" y="{y}" width="{width:.1f}" height="12" rx="2"/>'
        '<path class="whisker" d="M{low:.1f} {top}v8M{low:.1f} {middle}H{high:.1f}M{high:.1f} {top}v8"/></g>'
    )
    for n, bar in enumerate(bars):
        y = n * _NARROW_ROW + 20
        out.append(
            row.format(
                style=bar.style, label=bar.label, text=bar.text, text_y=y - 7, right=_NARROW, y=y, foot=y + 12,
                width=max(bar.value * _NARROW, 1.5), low=bar.low * _NARROW, high=bar.high * _NARROW, top=y + 2, middle=y + 6,
            )
        )  # fmt: skip
    return Markup("").join([*out, Markup("</svg>")])


def part_bar(parts: Sequence[Part], *, title: str) -> Markup:
    """Draw one bar divided in proportion; the labels stand in a list beside it, each with its colour."""
    total = sum(max(part.amount, 0) for part in parts)
    if total <= 0:
        return Markup("")
    out = [Markup('<svg class="chart" viewBox="0 0 {} 18" role="img" aria-label="{}">').format(_WIDTH, title)]
    x = 0.0
    shape = Markup('<rect class="part part-{}" x="{:.1f}" y="0" width="{:.1f}" height="18"><title>{}: {}</title></rect>')
    for part in parts:
        width = max(part.amount, 0) / total * _WIDTH
        out.append(shape.format(part.colour % 6, x, max(width - 1.5, 0.5), part.label, part.text))
        x += width
    return Markup("").join([*out, Markup("</svg>")])


def length_bars(edges: Sequence[int], counts: Sequence[int], *, title: str) -> Markup:
    """Draw a histogram: one column per upper edge, labelled at every few."""
    if not edges or len(edges) != len(counts) or not max(counts):
        return Markup("")
    height, base = 110, 90
    width = _WIDTH / len(edges)
    out = [Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, height, title)]
    column = Markup(
        '<rect class="column" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
        "<title>up to {:,} tokens: {:,} examples</title></rect>"
    )
    for n, (edge, number) in enumerate(zip(edges, counts, strict=True)):
        tall = number / max(counts) * (base - 8)
        out.append(column.format(n * width + 1, base - tall, max(width - 2, 1), tall, edge, number))
    every = max(1, len(edges) // 8)
    tag = Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="end">{:,}</text>')
    out += [tag.format((n + 1) * width - 1, base + 15, edge) for n, edge in enumerate(edges) if (n + 1) % every == 0]
    line = Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(_WIDTH, base, base)
    return Markup("").join([*out, line, Markup("</svg>")])
