"""
The run page: one job's report as a self-contained HTML file, or as Markdown.

The HTML needs no network, no script and no other file; its own content security
policy forbids all three. Every value is escaped by the template engine.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from intramural.domain.report import JobReport
from intramural.domain.verdict import interval, leading_score, percent, score_label, sentence_case, system_label
from intramural.pages import story, words
from intramural.pages.bars import Part, ScoreBar, length_bars, narrow_score_bars, part_bar, score_bars
from intramural.pages.charts import Line, Mark, Point, finite, line_chart, smoothed


def run_html(report: JobReport) -> str:
    """Draw *report* as one HTML document."""
    return _templates().get_template("run.html.j2").render(**_parts(report), charts=_charts(report))


def run_markdown(report: JobReport) -> str:
    """Write *report* as Markdown with the same story and the same tables, without the curves."""
    return _templates().get_template("run.md.j2").render(**_parts(report))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("intramural.pages"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment


def markdown_text(value: Any) -> str:
    """Escape *value* for a Markdown table or line: no pipe, line break, tag, link or emphasis of its own."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    return "".join(f"\\{char}" if char in "\\|`*[]#" else char for char in text)


def _tied(text: str) -> str:
    """Keep a number and its unit on one line."""
    return re.sub(r"(?<=\d) (?=%|s\b|min\b|h\b)", "\N{NO-BREAK SPACE}", text)


def _code(text: str) -> Markup:
    """Set what stands between back-ticks as code, after escaping everything."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just here


_FILTERS: dict[str, Callable[..., Any]] = {
    "duration": words.duration,
    "size": words.size,
    "count": words.count,
    "parameters": words.parameters,
    "short": words.short_digest,
    "moment": story.moment,
    "attempt": story.attempt_words,
    "reached": story.reached,
    "md": markdown_text,
    "tied": _tied,
    "code": _code,
}


def _parts(report: JobReport) -> dict[str, Any]:
    return {
        "report": report,
        "headline": story.headline(report),
        "lead": story.lead(report),
        "standing": story.standing(report),
        "result": story.result_table(report),
        "facts": story.facts(report),
        "settings": story.flattened(report.settings),
        "spec": yaml.safe_dump(report.spec.document(), sort_keys=False, allow_unicode=True),
        "phases": _phases(report),
        "adapter": next((each for each in report.artifacts if each.kind == "adapter"), None),
    }


def _charts(report: JobReport) -> dict[str, Markup]:
    loss = finite([(point.step, point.loss) for point in report.curve])
    marks = [Mark(each.step, f"checkpoint at step {each.step}") for each in report.checkpoints]
    marks += [
        Mark(each.resumed_from_step, f"attempt {each.attempt} resumed from step {each.resumed_from_step}", "mark resumed")
        for each in report.attempts
        if each.resumed_from_step
    ]
    return {
        "loss": line_chart(_calm("loss", loss), title="Training loss by step", x_label="step", show=words.decimal, marks=marks),
        "speed": _curve(report, "tokens_per_second", "tokens/s", words.rate, from_zero=True),
        "grad_norm": _curve(report, "grad_norm", "gradient norm", words.decimal, from_zero=True),
        "learning_rate": _curve(report, "learning_rate", "learning rate", words.decimal, from_zero=True),
        "scores": _score_chart(report, score_bars),
        "narrow_scores": _score_chart(report, narrow_score_bars),
        "phases": part_bar(_phases(report), title="Time by phase"),
        "lengths": _length_chart(report),
    }


def _calm(name: str, points: list[Point]) -> list[Line]:
    """Return the line as it is, and over a long one its moving mean, which is what a person reads."""
    if len(points) <= 20:
        return [Line(name, points)]
    return [Line(name, points, "faint"), Line(f"{name}, smoothed", smoothed(points, len(points) // 20))]


def _curve(report: JobReport, field: str, name: str, show: Any, *, from_zero: bool) -> Markup:
    points = finite([(float(point.step), float(getattr(point, field))) for point in report.curve])
    return line_chart(_calm(name, points), title=f"{name} by step", x_label="step", show=show, from_zero=from_zero)


def _score_chart(report: JobReport, draw: Callable[..., Markup]) -> Markup:
    measured = report.metrics
    systems = [each for each in (measured.before, measured.after, *measured.baselines) if each is not None]
    name = leading_score(measured.after or systems[0]) if systems else None
    bars = [
        ScoreBar(
            label=sentence_case(system_label(each.system)),
            value=score.value,
            low=score.low,
            high=score.high,
            text=f"{percent(score.value)} ({interval(score)})",
            style=each.system,
        )
        for each in systems
        if name is not None and (score := each.scores.get(name)) is not None
    ]
    return draw(bars, title=f"{sentence_case(score_label(name))} by system") if len(bars) > 1 and name else Markup("")


def _phases(report: JobReport) -> list[Part]:
    """Return the phases that took time; each keeps its colour on every page."""
    places = {name: place for place, name in enumerate(words.PHASES)}
    return [
        Part(words.PHASES.get(name, name), seconds, words.duration(seconds), places.get(name, len(places)))
        for name, seconds in report.phase_seconds.items()
        if name != "done"
    ]


def _length_chart(report: JobReport) -> Markup:
    tokens = report.data.tokens if report.data else ()
    own = next((each for each in tokens if each.model == report.spec.base), None)
    if own is None:
        return Markup("")
    return length_bars(own.histogram_edges, own.histogram, title="Length of the training examples in tokens")
