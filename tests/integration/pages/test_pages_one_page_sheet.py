"""The PDF is one sheet whatever a profile holds, on A4 and on US Letter."""

import json
import re

import pytest
import typst

from factories import a_measured_profile, a_merged_profile, a_profile
from intramural.domain.profile import Profile
from intramural.interview.page import one_page
from intramural.pages.one_page import one_page_pdf, one_page_png, typst_inputs, typst_template

LONG = "Lorem ipsum dolor sit amet " * 30
BROAD = "W" * 300


def an_overfull_profile(words=LONG):
    """Everything there is, in as many and as long words as a profile takes."""
    shares = {f"{n} {words}": "12%" for n in range(15)}
    spreads = {f"{n} {words}": {"p50": "123-125 min", "p90": "1000-1500 h"} for n in range(15)}
    slow = {key: {"p50": "1 s", "p90": "61-70 d"} for key in spreads}
    several = [f"{n} {words}" for n in range(9)]
    open_lists = {
        "context": ["success", "runs_jobs"],
        "anatomy": ["artifacts"],
        "stack": ["frameworks", "precision", "domains", "vm_reason"],
        "governance": ["contents", "regions", "ingress", "egress"],
        "operations": ["slo", "support"],
        "workflow": ["launch", "tracking", "registry", "auth"],
    }
    return a_merged_profile(
        name=words[:200],
        respondent=words[:200],
        anatomy__job_mix={"asked": {"value": shares}, "measured": {"value": shares, "source": words}},
        anatomy__run_time={"asked": {"value": spreads}, "measured": {"value": slow, "source": "b"}},
        anatomy__queue_time={"estimated": {"value": spreads}, "imported": {"value": slow, "source": words}},
        anatomy__failure_causes={"asked": {"value": shares}, "measured": {"value": shares, "source": "d"}},
        anatomy__gpu_count={"asked": {str(n): "20%" for n in range(1, 30)}},
        anatomy__pains=[f"{n} {words}" for n in range(30)],
        stack__cuda=words,
        operations__spot_conditions=words,
        **{f"{section}__{name}": several for section, names in open_lists.items() for name in names},
    )


PROFILES = {
    "empty": Profile,
    "asked": a_profile,
    "measured": a_measured_profile,
    "merged": a_merged_profile,
    "overfull": an_overfull_profile,
    "broad": lambda: an_overfull_profile(BROAD),
}


def sheets(pdf):
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("name", PROFILES)
def test_the_pdf_is_one_sheet(name, paper):
    page = one_page(PROFILES[name]())

    assert sheets(one_page_pdf(page, paper)) == 1


@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("name", ["merged", "overfull"])
def test_nothing_is_cut_off_at_the_end_of_the_sheet(name, paper):
    inputs = typst_inputs(one_page(PROFILES[name]()), paper)

    (told,) = json.loads(typst.query(typst_template(), "<set>", ignore_system_fonts=True, sys_inputs=inputs))

    assert told["value"]["fits"] is True
    assert told["value"]["points"] > (6 if name == "overfull" else 8.5)


@pytest.mark.parametrize(("paper", "size"), [("a4", (595, 842)), ("letter", (612, 792))])
def test_the_sheet_has_the_size_of_its_paper(paper, size):
    box = re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", one_page_pdf(one_page(a_profile()), paper))

    assert tuple(round(float(each)) for each in box.groups()) == size


def test_names_in_other_scripts_do_not_stop_it():
    page = one_page(a_profile(name="\u5317\u98a8\u4fdd\u967a \u05e9\u05dc\u05d5\u05dd #strong[*x*] $y$"))

    assert sheets(one_page_pdf(page)) == 1


def test_the_image_is_of_the_same_sheet():
    assert one_page_png(one_page(a_profile()))[:8] == b"\x89PNG\r\n\x1a\n"
