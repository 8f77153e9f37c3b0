"""Every line of the guide is claimed by a question, and every claim is of a line; ours has every line of the original."""

import re
from pathlib import Path

import pytest

from intramural.domain.profile import FIELDS, SECTIONS
from intramural.interview.guide import guide

ORIGINAL = Path(__file__).parents[4] / "shared" / "interview-guide.md"


def test_every_line_is_claimed_by_a_question():
    claimed = {line for each in FIELDS for line in each.guide}

    assert [line for line in guide().to_answer() if line not in claimed] == []


def test_every_claim_is_of_a_line():
    known = set(guide().to_answer())

    assert [(each.path, line) for each in FIELDS for line in each.guide if line not in known] == []


def test_a_question_stands_in_the_section_of_its_lines():
    for each in FIELDS:
        assert {int(line[0]) for line in each.guide if line[0].isdigit()} <= {each.section}


def test_the_sections_are_those_of_the_profile_with_their_minutes():
    assert len(guide().sections) == len(SECTIONS)
    assert [each.time for each in guide().sections] == ["5 min", "15-25 min", *["10-15 min"] * 4]


def plain(line):
    """The words of a line without what Markdown adds."""
    return re.sub(r"\\|\*\*", "", line).strip().removeprefix("* ").strip()


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the original guide is not beside the repository")
def test_no_line_of_the_original_is_missing():
    lines = [each for each in ORIGINAL.read_text(encoding="utf-8").splitlines() if each.lstrip().startswith("* ")]

    assert [plain(each) for each in lines] == [
        *[text for number, section in enumerate(guide().sections) for text in of_section(number, section)],
        *guide().page.values(),
    ]


def of_section(number, section):
    """The lines of a section; the numbers to write down belong to the first."""
    yield from section.lines.values()
    if number == 1:
        yield from guide().hard_numbers.values()


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the original guide is not beside the repository")
def test_titles_and_minutes_are_the_originals():
    headings = re.findall(r"^### \*\*\d\\?\) (.+) \(([^ ]+) min\)\*\*$", ORIGINAL.read_text(encoding="utf-8"), re.MULTILINE)

    assert [(plain(title), minutes.replace("\u2013", "-")) for title, minutes in headings] == [
        (each.title, each.time.removesuffix(" min")) for each in guide().sections
    ]
