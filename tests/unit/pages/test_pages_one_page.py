"""The one page as HTML and Markdown, and its small charts."""

import re
from importlib.resources import files
from xml.etree import ElementTree

import pytest

from factories import a_measured_profile, a_merged_profile, a_profile
from intramural.domain.profile import Profile
from intramural.interview.page import one_page
from intramural.pages.one_page import one_page_html, one_page_markdown
from intramural.pages.one_page_charts import (
    DARK,
    LIGHT,
    Share,
    axis_row,
    cause_bar,
    log_axis,
    mix_bar,
    range_row,
    standalone,
)
from intramural.pages.one_page_view import cut, view

HOSTILE = '<script>alert("x")</script>|*a*'


def test_the_contradiction_is_on_every_page():
    page = one_page(a_merged_profile())

    assert "Success rate: said 95\N{NO-BREAK SPACE}%, measured <em>61\N{NO-BREAK SPACE}%</em>" in one_page_html(page)
    assert "| **Success rate** | 95 % | 61 % \N{NOT EQUAL TO} |" in one_page_markdown(page)


def test_the_page_needs_nothing_but_itself():
    text = one_page_html(one_page(a_merged_profile()))

    assert "default-src 'none'" in text
    assert not re.search(r"<script|<link|<img|@import|url\(|src=|href=|https?://", text)


@pytest.mark.parametrize(("paper", "sheet"), [("a4", "size: A4;"), ("letter", "size: letter;")])
def test_it_prints_on_the_sheet_that_was_chosen(paper, sheet):
    assert sheet in one_page_html(one_page(a_profile()), paper)


@pytest.mark.parametrize("profile", [Profile(), a_profile(), a_measured_profile(), a_merged_profile()])
def test_every_line_of_the_output_template_has_its_heading(profile):
    page = one_page(profile)
    for heading in (
        "Top three job types", "p50 / p90 by job type", "GPU shape", "Data set and checkpoints",
        "Must-have constraints", "Integrations", "Top pain points, ranked",
    ):  # fmt: skip
        assert f"<h2>{heading}" in one_page_html(page)
        assert f"\n## {heading}\n" in one_page_markdown(page)


def test_what_people_wrote_is_text_and_nothing_else():
    page = one_page(a_profile(name=HOSTILE, stack__cuda=HOSTILE, anatomy__pains=[HOSTILE], anatomy__job_mix={HOSTILE: "100%"}))

    assert "<script" not in one_page_html(page)
    assert "<script" not in one_page_markdown(page)
    assert "\\|\\*a\\*" in one_page_markdown(page)


def test_an_empty_profile_reads_as_one():
    text = one_page_markdown(one_page(Profile()))

    assert "- Asked: nobody was asked" in text
    assert "- Measured: nothing is on record" in text
    assert "Nobody was asked what blocks them." in text
    assert "| Data set size | not asked | not measured |" in text


def test_what_does_not_fit_is_counted():
    many = {f"type {n}": f"{20 - n}%" for n in range(12)}
    shown = view(one_page(a_profile(anatomy__job_mix=many, anatomy__pains=[f"pain {n}" for n in range(9)])))

    assert (len(shown["types"]), len(shown["pains"])) == (3, 5)
    assert shown["more_types"] == "and type 3 17 %, type 4 16 % and 7 more"
    assert shown["pains_line"] == "and 4 more"


def test_a_guess_says_that_it_is_one():
    shown = view(one_page(a_profile(anatomy__success_rate={"estimated": {"value": "80%"}})))

    assert shown["success"]["asked"]["text"] == "80 % (estimated)"


def test_long_words_end_in_an_ellipsis():
    assert cut("a  b\nc", 5) == "a b c"
    assert cut("abcdef", 4) == "abc\N{HORIZONTAL ELLIPSIS}"


def test_the_axis_is_logarithmic_between_round_times():
    axis = log_axis([45.0, 7200.0])

    assert [label for _, label in axis.ticks] == ["10 s", "1 min", "10 min", "1 h", "10 h"]
    assert axis.at(600) - axis.at(60) == pytest.approx(axis.at(36000) - axis.at(3600))
    assert log_axis([]) is None
    assert log_axis([0.0]) is None
    assert log_axis([3600.0]).high > 3600


def test_what_was_said_is_hollow_and_what_was_measured_is_filled():
    drawn = str(range_row((60.0, 600.0), (None, 3600.0), log_axis([60.0, 3600.0])))

    assert drawn.count('<circle class="said"') == 2
    assert drawn.count('<circle class="measured"') == 1
    assert '<line class="measured"' not in drawn  # one end alone is no span


def test_a_mix_that_is_more_than_the_whole_stays_inside_its_bar():
    drawn = mix_bar([Share("a", 80, 0), Share("b", 50, 1)], style="measured", title="mix")
    rects = ElementTree.fromstring(drawn).findall("rect")  # noqa: S314 - our own drawing

    assert max(float(each.get("x")) + float(each.get("width")) for each in rects) <= 300
    assert mix_bar([], style="said", title="mix") == ""


@pytest.mark.parametrize("drawing", [cause_bar(60, None, 60.0), cause_bar(None, 40, None), axis_row(log_axis([1.0, 1e6]))])
def test_a_drawing_stands_alone_as_xml(drawing):
    root = ElementTree.fromstring(standalone(drawing))  # noqa: S314 - our own drawing

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in standalone(drawing)


def test_the_colours_are_those_of_the_run_page():
    blocks = re.findall(r":root \{(.*?)\}", files("intramural.pages").joinpath("templates/run.css").read_text(), re.DOTALL)
    light, dark = (dict(re.findall(r"--(\w+): (#\w+)", block)) for block in blocks[:2])

    assert {name: light[name] for name in LIGHT} == LIGHT
    assert {name: dark[name] for name in DARK} == DARK
