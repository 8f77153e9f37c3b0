"""The portfolio's pages: n everywhere, nothing fetched, nothing read as markup."""

import json
import re

import pytest

from factories import a_merged_profile, a_profile
from intramural.domain.profile import Profile
from intramural.interview.portfolio import summarise
from intramural.pages import portfolio_tables as tables
from intramural.pages.portfolio_page import headline, lead, portfolio_html, portfolio_pdf, printed


def a_portfolio(*profiles):
    few = [a_profile(), a_merged_profile(), a_profile(context__organisation="solo", anatomy__pains=["setup"])]
    return summarise(profiles or few)


def test_the_headline_says_of_how_many():
    assert headline(a_portfolio()) == "Queue time is the worst pain: 2 of 3 name it, 2 put it first."
    assert headline(a_portfolio(Profile())) == "Nobody names a pain."


def test_the_lead_says_who_was_counted_and_who_was_not():
    told = " ".join(lead(a_portfolio(Profile(), a_profile()).model_copy(update={"skipped_files": 2, "duplicate_files": 1})))

    assert "2 profiles" in told
    assert "1 small team" in told
    assert "1 do not say how large the organisation is." in told
    assert "2 files could not be read" in told


def test_columns_are_the_segments_with_their_sizes():
    portfolio = a_portfolio()

    assert tables.headings(portfolio) == ["All (3)", "Solo (1)", "Small team (2)", "Regulated (3)"]
    first = tables.ranking_table(portfolio, "anatomy.pains").rows[0]
    assert first.cells == ("1. 2 of 3", "0 of 1", "1. 2 of 2", "1. 2 of 3")


def test_every_cell_has_its_n_or_says_that_there_is_none():
    portfolio = a_portfolio(*[Profile(), a_profile(), a_merged_profile(), a_profile(context__organisation="enterprise")])
    drawn = [
        tables.median_table(portfolio),
        tables.must_have_table(portfolio),
        tables.mix_table(portfolio, "anatomy.job_mix"),
        *tables.tally_tables(portfolio, integrations=True),
    ]

    cells = [cell for table in drawn for row in table.rows for cell in row.cells]

    assert cells
    assert all(re.search(r"\(\d+\)$|\d+ of \d+$|^—$", each) for each in cells)


def test_the_html_fetches_nothing_and_escapes_everything():
    page = portfolio_html(a_portfolio(a_profile(anatomy__pains=["<script>alert(1)</script>", "cost"])))

    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=|url\(|@import", page)


@pytest.mark.parametrize("paper", ["a4", "us-letter"])
def test_the_pdf_is_set_on_both_papers(paper):
    content = portfolio_pdf(a_portfolio(), paper=paper)

    assert content.startswith(b"%PDF-")
    width = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+)", content)
    assert width is None or round(float(width.group(1))) == {"a4": 595, "us-letter": 612}[paper]


def test_text_in_the_pdf_is_no_markup():
    """What typst would run or refuse is set as it stands."""
    hostile = ['#panic("x")', "$ x", "*a* _b_ @c <d>", '#import "x"']

    assert portfolio_pdf(a_portfolio(a_profile(anatomy__pains=hostile, name=hostile[0]))).startswith(b"%PDF-")


def test_an_empty_portfolio_is_a_page_too():
    portfolio = a_portfolio(Profile())

    assert portfolio_pdf(portfolio).startswith(b"%PDF-")
    assert "Nobody names a pain." in portfolio_html(portfolio)


def test_what_the_pdf_says_is_plain_json():
    assert json.loads(json.dumps(printed(a_portfolio())))["headline"] == headline(a_portfolio())
