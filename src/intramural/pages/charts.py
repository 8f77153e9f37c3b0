"""
Line charts as inline SVG: axes, ticks, and a reading under the pointer without any script.

Colours come from the page's style sheet by class, so that a chart follows the
light and dark scheme and the printer. Every text is escaped by `Markup.format`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from intramural.pages.words import count

Point = tuple[float, float]

WIDTH, HEIGHT = 720, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 12, 26
_BUCKETS = 500
_READINGS = 100


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    name: str
    points: Sequence[Point]
    """In order of x; points that are not finite are left out."""
    style: str = "line"
    """The class that the style sheet colours: `line`, `faint`."""


@dataclass(frozen=True)
class Mark:
    """A vertical mark at *x* with its words, such as a checkpoint."""

    x: float
    text: str
    style: str = "mark"


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        span = self.high - self.low
        return self.start + (value - self.low) / span * (self.end - self.start) if span else (self.start + self.end) / 2


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    show: Callable[[float], str],
    marks: Sequence[Mark] = (),
    from_zero: bool = False,
) -> Markup:
    """Draw *lines* over a common x; *show* writes a y value. Empty where no line has a finite point."""
    drawn = [Line(each.name, finite(each.points), each.style) for each in lines]
    drawn = [each for each in drawn if each.points]
    if not drawn:
        return Markup("")
    xs = [x for each in drawn for x, _ in (each.points[0], each.points[-1])]
    ys = [y for each in drawn for y in _extremes(each.points)]
    y_ticks = ticks(0.0 if from_zero else min(ys), max(ys), 4)
    x_axis = _Axis(min(xs), max(xs), _LEFT, WIDTH - _RIGHT)
    y_axis = _Axis(y_ticks[0], y_ticks[-1], HEIGHT - _BOTTOM, _TOP)
    parts = [_frame(x_axis, y_axis, y_ticks, x_label)]
    parts += [_mark(each, x_axis) for each in marks if x_axis.low <= each.x <= x_axis.high]
    parts += [_path(each, x_axis, y_axis) for each in drawn]
    parts.append(_readings(drawn[-1], x_axis, y_axis, x_label, show))
    opening = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, title)
    return opening + Markup("").join(parts) + Markup("</svg>")


def finite(points: Sequence[Point]) -> list[Point]:
    """Return the points that can be drawn."""
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def thinned(points: Sequence[Point], buckets: int = _BUCKETS) -> list[Point]:
    """Return at most `4 * buckets` points that look the same: first, lowest, highest and last of each bucket, in order."""
    if len(points) <= 4 * buckets:
        return list(points)
    out: list[Point] = []
    for n in range(buckets):
        part = points[n * len(points) // buckets : (n + 1) * len(points) // buckets]
        by_height = sorted(range(len(part)), key=lambda i: part[i][1])
        out += [part[i] for i in sorted({0, by_height[0], by_height[-1], len(part) - 1})]
    return out


def smoothed(points: Sequence[Point], span: int) -> list[Point]:
    """Return the centred moving mean of y over *span* points, narrower at both ends; the line a person reads."""
    half = max(span // 2, 0)
    total = [0.0]
    for _, y in points:
        total.append(total[-1] + y)
    out = []
    for n, (x, _) in enumerate(points):
        reach = min(half, n, len(points) - 1 - n)
        out.append((x, (total[n + reach + 1] - total[n - reach]) / (2 * reach + 1)))
    return out


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return about *wanted* round numbers, evenly spaced, that enclose *low* and *high*; none below zero unless *low* is."""
    if not high > low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad if low else 0.0, high + pad
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999), 10 * power)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _extremes(points: Sequence[Point]) -> tuple[float, float]:
    heights = [y for _, y in points]
    return min(heights), max(heights)


def _frame(x_axis: _Axis, y_axis: _Axis, y_ticks: Sequence[float], x_label: str) -> Markup:
    step = y_ticks[1] - y_ticks[0]
    line = Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
    )
    rows = [
        line.format(_LEFT, WIDTH - _RIGHT, y, y, _LEFT - 8, y + 4, _tick_text(tick, step))
        for tick in y_ticks
        for y in [y_axis.at(tick)]
    ]
    tag = Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
    inside = [tick for tick in ticks(x_axis.low, x_axis.high, 6) if x_axis.low <= tick <= x_axis.high and tick == int(tick)]
    columns = [tag.format(x_axis.at(tick), HEIGHT - _BOTTOM + 16, count(tick)) for tick in inside]
    label = Markup('<text class="tick axis" x="{}" y="{}" text-anchor="end">{}</text>').format(
        _LEFT - 8, HEIGHT - _BOTTOM + 16, x_label
    )
    return Markup("").join([*rows, *columns, label])


def _tick_text(tick: float, step: float) -> str:
    """Write a tick with the decimals its step needs."""
    if step < 1e-4:
        return f"{tick:.3g}"
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    exact = abs(step * 10**places - round(step * 10**places)) < 1e-6
    return f"{tick:,.{places if exact else places + 1}f}"


def _mark(mark: Mark, x_axis: _Axis) -> Markup:
    shape = Markup('<g class="{}"><line x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/><title>{}</title></g>')
    x = x_axis.at(mark.x)
    return shape.format(mark.style, x, x, _TOP, HEIGHT - _BOTTOM, mark.text)


def _path(line: Line, x_axis: _Axis, y_axis: _Axis) -> Markup:
    spots = [f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in thinned(line.points)]
    if len(spots) == 1:
        x, y = spots[0].split(",")
        return Markup('<circle class="{} dot" cx="{}" cy="{}" r="3"/>').format(line.style, x, y)
    return Markup('<polyline class="{}" points="{}"/>').format(line.style, " ".join(spots))


def _readings(line: Line, x_axis: _Axis, y_axis: _Axis, x_label: str, show: Callable[[float], str]) -> Markup:
    """Lay transparent strips over the chart; the style sheet shows a strip's rule and dot under the pointer."""
    strip = Markup(
        '<g class="reading"><rect x="{:.1f}" y="{}" width="{:.1f}" height="{}"/><line x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
        '<circle cx="{:.1f}" cy="{:.1f}" r="3.5"/><title>{} {}: {}</title></g>'
    )
    every = max(1, math.ceil(len(line.points) / _READINGS))
    width = (WIDTH - _LEFT - _RIGHT) / max(1, math.ceil(len(line.points) / every))
    base, out = HEIGHT - _BOTTOM, []
    for x, y in line.points[::every]:
        at, height = x_axis.at(x), y_axis.at(y)
        words = (x_label, count(x), f"{line.name} {show(y)}")
        out.append(strip.format(at - width / 2, _TOP, width, base - _TOP, at, at, _TOP, base, at, height, *words))
    return Markup("").join(out)
