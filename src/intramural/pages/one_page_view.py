"""
What fits on the one page: the rows that are shown, and their texts cut to the room there is.

Whatever a profile holds, the page keeps its size: long words end in an ellipsis and what is left
out is counted. Every form of the page shows this view; only JSON holds everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from intramural.domain.answers import Provenance, Window
from intramural.domain.one_page import Fact, Figure, OnePage, Pain, Record, Row, Spread, Standing, Support
from intramural.pages.one_page_charts import Share, axis_row, cause_bar, log_axis, mix_bar, range_row

View = dict[str, Any]

MARK = "\N{NOT EQUAL TO}"
_TYPES, _SPREADS, _QUEUES, _CAUSES, _PAINS, _UNNAMED, _CONTRADICTIONS, _WARNINGS, _RECORDS = 3, 6, 3, 5, 5, 3, 4, 2, 3
_ROOM = {"name": 64, "person": 60, "cell": 34, "label": 22, "fact": 84, "short": 66, "pain": 34, "evidence": 120, "source": 24}
_UNIT = re.compile(r"(?<=\d) (?=(?:%|s|min|h|d|B|KB|MB|GB|TB|years?|days?)(?!\w))|(?<=\w) (?=\(\d+ %\))")
_SUPPORT = {
    Support.SUPPORTED: "supported",
    Support.CONTRADICTED: "contradicted",
    Support.UNDECIDED: "undecided",
    Support.NO_MEASUREMENT: "no measurement",
}


def view(page: OnePage) -> View:
    """Return what is shown of *page*, as plain values and drawings."""
    mix, causes = list(page.job_mix), list(page.failure_causes)
    spreads, queues = page.run_time[:_SPREADS], page.queue_time[:_QUEUES]
    shown: View = {
        "name": cut(page.name, _ROOM["name"]) or "A workload in numbers",
        "persona": [_fact(each, "fact") for each in page.persona],
        "asked_line": _asked_line(page),
        "measured_line": _measured_line(page.records),
        "contradictions": _contradictions(page),
        "warnings": [*page.warnings[:_WARNINGS], *_more(page.warnings, _WARNINGS, "warning")],
        "types": [{**_row(each), "rank": n, "percent": each.best.number} for n, each in enumerate(mix[:_TYPES], start=1)],
        "more_types": _left_out(mix, _TYPES),
        "mix": {"asked": _mix_bar(mix, "said"), "measured": _mix_bar(mix, "measured")},
        "durations": _durations([*spreads, *queues], len(spreads)),
        "more_durations": _count(len(page.run_time) - len(spreads) + len(page.queue_time) - len(queues)),
        "shape": [_row(each) for each in page.gpu_shape],
        "held": [_row(each) for each in page.data_and_checkpoints],
        "success": _row(page.success),
        "causes": _causes(causes[:_CAUSES]),
        "more_causes": _left_out(causes, _CAUSES),
        "constraints": [_fact(each, "fact") for each in page.constraints],
        "integrations": [_fact(each, "short") for each in page.integrations],
        "pains": _pains(page),
        "pains_line": _pains_line(page),
        "also": [_fact(each, "short") for each in page.also],
    }
    return {**shown, "print_points": _print_points(shown)}


def _print_points(shown: View) -> float:
    """Return the size of type in which a browser prints the page on one sheet: smaller for more lines."""
    told = [each["text"] for part in ("constraints", "integrations", "also") for each in shown[part]]
    wrapped = sum(_width(each) // 46 for each in told) / 2
    wrapped += sum(_width(each) // 95 for each in (shown["name"] * 2, shown["asked_line"] + shown["measured_line"]))
    wrapped += sum(1 + _width(each["text"]) // 95 for each in shown["persona"] if not each["muted"]) - 2
    wrapped += sum(_width(each["label"] + each["said"] + each["measured"]) // 70 for each in shown["contradictions"]["shown"])
    lines = len(shown["durations"]["rows"]) + len(shown["causes"]) + len(shown["pains"]) + len(shown["warnings"])
    return round(max(5.6, min(8.8, 8.8 - 0.095 * (lines + wrapped - 11))), 1)


def _width(text: str) -> int:
    """Return about how many letters of common width the text is long; capitals are wider."""
    return len(text) + sum(char.isupper() for char in text) // 2


def cut(text: str, room: int) -> str:
    """Return *text* on one line, ended by an ellipsis where it is longer than *room*."""
    line = "".join(each for each in " ".join(text.split()) if each.isprintable() or each == " ")
    return line if len(line) <= room else line[: room - 1].rstrip(" ,;:") + "\N{HORIZONTAL ELLIPSIS}"


def tied(part: Any) -> Any:
    """Return *part* with each number and its unit kept on one line, drawings as they are."""
    if isinstance(part, Markup):
        return part
    if isinstance(part, str):
        return _UNIT.sub("\N{NO-BREAK SPACE}", part)
    if isinstance(part, dict):
        return {key: tied(each) for key, each in part.items()}
    return [tied(each) for each in part] if isinstance(part, list) else part


def cell(figure: Figure) -> View:
    """Return one figure: its text, whether it is known, and the letter of its record."""
    text = cut(figure.text, _ROOM["cell"])
    return {"text": text + _guess(figure), "muted": not figure.known or text == "not named", "letter": figure.record}


def _guess(*figures: Figure) -> str:
    return " (estimated)" if any(each.provenance is Provenance.ESTIMATED and each.known for each in figures) else ""


def _row(row: Row) -> View:
    mark = cut(row.contradiction, 60) if row.contradiction else ""
    label = cut(row.label, _ROOM["label"])
    return {"label": label, "asked": cell(row.asked), "measured": cell(row.measured), "mark": mark}


def _fact(fact: Fact, room: str) -> View:
    muted = fact.standing is not Standing.KNOWN
    return {"label": fact.label, "text": cut(fact.text, _ROOM[room]), "muted": muted}


def _durations(spreads: Sequence[Spread], first_queue: int) -> View:
    figures = [each for spread in spreads for row in (spread.p50, spread.p90) for each in (row.asked, row.measured)]
    axis = log_axis([each.number for each in figures if each.number is not None])
    rows = []
    for n, spread in enumerate(spreads):
        asked = (spread.p50.asked, spread.p90.asked)
        measured = (spread.p50.measured, spread.p90.measured)
        mark = "; ".join(
            f"{end} {row.contradiction}" for end, row in (("p50", spread.p50), ("p90", spread.p90)) if row.contradiction
        )
        rows.append(
            {
                "label": cut(spread.label, _ROOM["label"]),
                "waits": n >= first_queue,
                "asked": _ends(asked),
                "measured": _ends(measured),
                "mark": mark,
                "chart": range_row(_numbers(asked), _numbers(measured), axis) if axis else Markup(""),
            }
        )
    return {"rows": rows, "axis": axis_row(axis) if axis else Markup("")}


def _numbers(ends: tuple[Figure, Figure]) -> tuple[float | None, float | None]:
    return ends[0].number, ends[1].number


def _ends(ends: tuple[Figure, Figure]) -> View:
    """Return p50 and p90 in one cell; said once where neither is known."""
    if not any(each.number is not None for each in ends):
        return cell(ends[0])
    text = " / ".join(each.text if each.number is not None else "?" for each in ends)
    return {"text": cut(text, _ROOM["cell"]) + _guess(*ends), "muted": False, "letter": ends[0].record or ends[1].record}


def _mix_bar(rows: Sequence[Row], style: str) -> Markup:
    figures = [(row, row.asked if style == "said" else row.measured, n) for n, row in enumerate(rows)]
    shares = [Share(row.label, figure.number, n) for row, figure, n in figures if figure.number]
    return mix_bar(shares, style=style, title=f"Job mix, {style}")


def _causes(rows: Sequence[Row]) -> list[View]:
    found, so_far = [], 0.0
    for row in rows:
        so_far += row.best.number or 0.0
        bar = cause_bar(row.asked.number, row.measured.number, so_far if row.best.number is not None else None)
        found.append({**_row(row), "chart": bar, "so_far": round(so_far)})
    return found


def _pains(page: OnePage) -> list[View]:
    named = [each for each in page.pains if each.rank is not None]
    unnamed = [each for each in page.pains if each.rank is None]
    return [_pain(each) for each in (*named[:_PAINS], *unnamed[:_UNNAMED])]


def _pain(pain: Pain) -> View:
    label, evidence = cut(pain.label, _ROOM["pain"]), cut(pain.evidence, _ROOM["evidence"])
    words = "on record only" if pain.rank is None else _SUPPORT[pain.support]
    return {"rank": pain.rank, "label": label, "support": pain.support.value, "words": words, "evidence": evidence}


def _pains_line(page: OnePage) -> str:
    """Say what is not in the list, or why it is empty."""
    if page.pains_standing is not Standing.KNOWN:
        asked = "Asked, and not known" if page.pains_standing is Standing.UNKNOWN else "Nobody was asked what blocks them"
        return f"{asked}; this is what the records show." if page.pains else f"{asked}."
    left = sum(each.rank is not None for each in page.pains) - _PAINS
    return f"and {left} more" if left > 0 else ""


def _contradictions(page: OnePage) -> View:
    """Return those of whole figures first, then those of their parts."""
    ordered = sorted(page.contradictions, key=lambda each: each.key is not None)
    shown = [
        {"label": cut(each.label, 28), "said": cut(each.said, 24), "measured": cut(each.measured, 24)}
        for each in ordered[:_CONTRADICTIONS]
    ]
    return {"count": len(ordered), "shown": shown, "more": _count(len(ordered) - len(shown))}


def _left_out(rows: Sequence[Row], shown: int) -> str:
    rest = rows[shown:]
    named = ", ".join(f"{row.label} {row.best.text}" for row in rest[:2])
    more = len(rest) - 2
    return cut(f"and {named}", 58) + (f" and {more} more" if more > 0 else "") if rest else ""


def _more(items: Sequence[Any], shown: int, noun: str) -> list[str]:
    left = len(items) - shown
    return [f"And {left} more {noun}{'s' if left > 1 else ''}."] if left > 0 else []


def _count(left: int) -> str:
    return f"and {left} more" if left > 0 else ""


def _asked_line(page: OnePage) -> str:
    if not _any_asked(page):
        return "nobody was asked"
    about = [cut(page.respondent, _ROOM["person"])] if page.respondent.strip() else []
    about += [_day(page.interviewed)] if page.interviewed else []
    return ", ".join([*about, f"about the last {page.window_days} days"])


def _measured_line(records: Sequence[Record]) -> str:
    if not records:
        return "nothing is on record"
    told = [_record(each, len(records) > 1) for each in records[:_RECORDS]]
    return "; ".join(told) + (f" and {len(records) - _RECORDS} more" if len(records) > _RECORDS else "")


def _record(record: Record, lettered: bool) -> str:
    letter = f"({record.letter}) " if lettered else ""
    how = " (imported)" if record.provenance is Provenance.IMPORTED else ""
    return f"{letter}{cut(record.source or 'source not named', _ROOM['source'])}{how}, {_window(record.window)}"


def _window(window: Window) -> str:
    days = f"{window.days:g} days" if window.days != 1 else "1 day"
    return f"{days} to {_day(window.last)}" if window.last else days


def _day(day: Any) -> str:
    return f"{day.day} {day:%b %Y}"


def _any_asked(page: OnePage) -> bool:
    rows: Iterable[Row] = (
        *page.job_mix, *page.gpu_shape, *page.data_and_checkpoints, page.success, *page.failure_causes,
        *(row for spread in (*page.run_time, *page.queue_time) for row in (spread.p50, spread.p90)),
    )  # fmt: skip
    facts = (*page.persona, *page.constraints, *page.integrations, *page.also)
    answers = [each for fact in facts for each in fact.answers.values()] + [each.asked for each in rows]
    named = any(each.rank is not None for each in page.pains)
    return named or any(each.known and each.provenance in {Provenance.ASKED, Provenance.ESTIMATED} for each in answers)
