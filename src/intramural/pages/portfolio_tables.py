"""
A portfolio as tables whose columns are the segments, the same in a terminal and on a page.

A cell says of how many it is: `14 of 20` named it of the twenty who answered, `2 h (12)` is the
median of twelve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from intramural.domain.portfolio import Median, Mix, Portfolio, Ranking, Tally
from intramural.pages.words import UNKNOWN

Asked = TypeVar("Asked", Ranking, Mix, Tally)
MOST_LINES = 12
"""Of one question; what own words added beyond is in the JSON."""


@dataclass(frozen=True)
class Row:
    """One line, read across the segments."""

    label: str
    cells: tuple[str, ...]
    share: float | None = None
    """Of all profiles that answered, between 0 and 1, for a bar; none where there is no share."""


@dataclass(frozen=True)
class SideBySide:
    """One table; its columns are those of `headings`."""

    title: str
    note: str
    """How to read a cell."""
    remark: str
    """Who is not counted, or counted with a warning; often empty."""
    rows: tuple[Row, ...]


def headings(portfolio: Portfolio) -> list[str]:
    """Return what stands above the columns: the segment and how many profiles it has."""
    return [f"{each.label} ({each.profiles})" for each in portfolio.summaries]


def ranking_table(portfolio: Portfolio, path: str) -> SideBySide:
    """Return a ranked question: by points, and how many named each line."""
    rankings = [_find(each.rankings, path) for each in portfolio.summaries]
    rows = [
        Row(line.label, tuple(_ranked_cell(each, line.key) for each in rankings), _share(line.named_by, rankings[0].n))
        for line in rankings[0].lines[:MOST_LINES]
    ]
    note = "Place by points, then how many named it of those who answered."
    return SideBySide(rankings[0].label, note, _did_not_know(rankings[0].unknown), tuple(rows))


def mix_table(portfolio: Portfolio, path: str) -> SideBySide:
    """Return shares of a whole: the mean share of each part."""
    mixes = [_find(each.mixes, path) for each in portfolio.summaries]
    first = mixes[0]
    rows = [
        Row(line.label, tuple(_mix_cell(each, line.key) for each in mixes), (line.percent or 0.0) / 100)
        for line in first.lines[:MOST_LINES]
    ]
    remarks = [_did_not_know(first.unknown)]
    if first.without_figures:
        remarks.append(f"{first.without_figures} named parts without figures and are not in the mean.")
    if first.uneven:
        remarks.append(f"{first.uneven} gave shares that do not add up to 100 %; they count as they were given.")
    note = "Mean share over the profiles that gave figures (how many)."
    return SideBySide(first.label, note, " ".join(each for each in remarks if each), tuple(rows))


def median_table(portfolio: Portfolio) -> SideBySide:
    """Return the median of every number."""
    by_place = [{(each.path, each.key, each.end): each for each in summary.medians} for summary in portfolio.summaries]
    rows = [
        Row(each.label, tuple(_median_cell(found.get((each.path, each.key, each.end))) for found in by_place))
        for each in portfolio.all.medians
    ]
    note = "Median (how many gave it); a range counts with its middle, an unknown number not at all."
    return SideBySide("Numbers", note, "", tuple(rows))


def must_have_table(portfolio: Portfolio) -> SideBySide:
    """Return the constraints, most required first."""
    by_key = [{each.key: each for each in summary.must_haves} for summary in portfolio.summaries]
    ordered = sorted(portfolio.all.must_haves, key=lambda each: -(_share(each.required, each.n) or 0.0))
    rows = [
        Row(
            f"{each.label} ({each.unknown} unknown)" if each.unknown else each.label,
            tuple(_of(found[each.key].required, found[each.key].n) for found in by_key),
            _share(each.required, each.n),
        )
        for each in ordered
    ]
    return SideBySide("Must-haves", "How many require it, of those who answered.", "", tuple(rows))


def tally_tables(portfolio: Portfolio, *, integrations: bool) -> list[SideBySide]:
    """Return the questions with choices, of which some are about integrations."""
    wanted = [each for each in portfolio.all.tallies if each.is_integration is integrations and each.lines]
    return [_tally_table(portfolio, each) for each in wanted]


def _tally_table(portfolio: Portfolio, first: Tally) -> SideBySide:
    tallies = [_find(each.tallies, first.path) for each in portfolio.summaries]
    rows = [
        Row(line.label, tuple(_count_cell(each, line.key) for each in tallies), _share(line.named_by, first.n))
        for line in first.lines[:MOST_LINES]
    ]
    note = "How many named it, of those who answered."
    return SideBySide(first.label, note, _did_not_know(first.unknown), tuple(rows))


def _find(values: Sequence[Asked], path: str) -> Asked:
    return next(each for each in values if each.path == path)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _did_not_know(unknown: int) -> str:
    return f"{unknown} did not know." if unknown else ""


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else UNKNOWN


def _ranked_cell(ranking: Ranking, key: str) -> str:
    keys = [each.key for each in ranking.lines]
    if key not in keys:
        return _of(0, ranking.n)
    place = keys.index(key)
    return f"{place + 1}. {_of(ranking.lines[place].named_by, ranking.n)}"


def _mix_cell(mix: Mix, key: str) -> str:
    percent = next((each.percent for each in mix.lines if each.key == key), 0.0)
    return f"{percent or 0.0:.0f} % ({mix.n})" if mix.n else UNKNOWN


def _median_cell(median: Median | None) -> str:
    return f"{median.text} ({median.n})" if median else UNKNOWN


def _count_cell(tally: Tally, key: str) -> str:
    return _of(next((each.named_by for each in tally.lines if each.key == key), 0), tally.n)
