"""The sheet has room for every answer, reads back as it was filled in, and tells what could not be read."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_merged_profile, a_profile
from intramural.domain.profile import FIELDS, Profile
from intramural.interview.answering import answer
from intramural.interview.sheet import choices_of, sheet_of
from intramural.interview.sheet_markdown import read, write

EMPTY = write(sheet_of(Profile()))


def filled(**lines):
    """The empty sheet with lines of one question replaced: `path__with__dots={old: new}`."""
    text = EMPTY
    for name, changes in lines.items():
        path = name.replace("__", ".")
        before, heading, rest = text.partition(f"`{path}` ·")
        block, hash_mark, after = rest.partition("\n#")
        for old, new in changes.items():
            assert old in block
            block = block.replace(old, new, 1)
        text = before + heading + block + hash_mark + after
    return text


def line_of(text, part):
    return next(number for number, line in enumerate(text.split("\n"), 1) if part in line)


def test_the_sheet_has_every_section_with_its_minutes_and_every_question_with_room():
    assert re.findall(r"^## (\d)\..* · (.+)$", EMPTY, re.MULTILINE) == [
        ("0", "5 min"),
        ("1", "15-25 min"),
        *[(each, "10-15 min") for each in "2345"],
    ]
    for each in FIELDS:
        assert f"### {each.question}" in EMPTY
        assert f"`{each.path}` ·" in EMPTY
        assert all(
            f"(`{choice.key}`)" in EMPTY or f"] {choice.key}" in EMPTY or choice.label in EMPTY
            for choice in choices_of(each.kind)
        )
    assert EMPTY.count("\nAnswer:") == len(FIELDS)


def test_an_empty_sheet_says_nothing():
    reading = read(EMPTY)

    assert (reading.profile, reading.taken, reading.unread, reading.questions) == (Profile(), 0, (), len(FIELDS))
    assert read(EMPTY, a_merged_profile()).profile == a_merged_profile()


@pytest.mark.parametrize(
    "profile", [a_profile(), a_profile(notes="One.\n\n## Two\n- [x] three"), a_profile(anatomy__success_rate="unknown")]
)
def test_a_profile_comes_back_from_its_sheet(profile):
    reading = read(write(sheet_of(profile)))

    assert reading.unread == ()
    assert reading.profile == profile


def test_what_was_measured_is_shown_and_stays():
    text = write(sheet_of(a_merged_profile()))

    assert "Measured: 61 % over 90 days, sacct" in text
    assert read(text, a_merged_profile()).profile == a_merged_profile()


def test_windows_line_ends_and_a_mark_at_the_start_are_read():
    text = "\ufeff" + write(sheet_of(a_profile())).replace("\n", "\r\n")

    assert read(text).profile == a_profile()


ANSWERS = {
    "context.organisation": ["solo", "=solo", "unknown"],
    "context.runs_jobs": ["devops, ml_engineer", "our own, team", '"a, b", devops', "=devops"],
    "context.success": ["cost > latency", "latency > our own > cost", "1. cost 2. latency"],
    "context.people": ["~12", "10-20", "=12", "<5"],
    "anatomy.job_mix": ["dev 10-20%; eval ~80%", "dev; eval", "dev 50%; our own 50%", "eval 5%; dev 95%"],
    "anatomy.run_time": ["dev 5 min / 1h; eval 2h", "eval ? / 2h", '"own 2" 1h / 2h'],
    "anatomy.gpu_count": ["1/2/4/8", "1 60%; 8 40%", "2-4 100%"],
    "stack.qlora": ["yes", "no", "?"],
    "stack.cuda": ["12.4 # or newer", "- [x] whatever", "Answer: 12", "`stack.qlora`"],
    "stack.internet": ["yes"],
    "stack.domains": ["huggingface.co, pypi.org"],
}


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({}, optional={path: st.sampled_from(each) for path, each in ANSWERS.items()}))
def test_any_answers_come_back_from_the_sheet(given):
    profile = Profile()
    for path, text in given.items():
        profile = answer(profile, path, text)

    reading = read(write(sheet_of(profile)))

    assert reading.unread == ()
    assert reading.profile == profile


def test_boxes_ranks_and_rows_are_read_as_people_fill_them_in():
    text = filled(
        context__organisation={"- [ ] Small ML team": "* [X] Small ML team"},
        context__runs_jobs={"- [ ] DevOps": "- [✓] DevOps", "Answer:": "**Answer:** contractors"},
        context__success={"- [ ] Cost": "- [2] Cost", "- [ ] Latency": "- [1.] Latency"},
        anatomy__job_mix={"(`dev`):": "(`dev`): ~20", "(`eval`):": "(`eval`): 30 %", "Answer:": "Answer: our own 50%"},
        anatomy__run_time={"(`dev`):": "(`dev`): 5min/1h", "(`eval`):": "(`eval`): ?"},
        stack__qlora={"- [ ] No": "- [x] No"},
        anatomy__success_rate={"Answer:": "answer: ?"},
    )

    reading = read(text)

    said = {
        path: reading.profile.answers(path).asked.value
        for path in ("context.organisation", "context.runs_jobs", "context.success")
    }
    assert reading.unread == ()
    assert reading.taken == 7
    assert said == {
        "context.organisation": "small_team",
        "context.runs_jobs": ("devops", "contractors"),
        "context.success": ("latency", "cost"),
    }
    assert list(reading.profile.answers("anatomy.job_mix").asked.value.parts) == ["dev", "eval", "our own"]
    assert reading.profile.answers("anatomy.run_time").asked.value.by["eval"].p50 is None
    assert reading.profile.answers("stack.qlora").asked.value is False
    assert reading.profile.answers("anatomy.success_rate").asked.value is None


@pytest.mark.parametrize(
    ("lines", "part", "words"),
    [
        ({"anatomy__success_rate": {"Answer:": "Answer: 130%"}}, "130%", "a share is between 0 and 100 %"),
        ({"anatomy__run_time": {"(`dev`):": "(`dev`): 5h / 1h"}}, "5h / 1h", "p90 is below p50"),
        (
            {"context__organisation": {"- [ ] One": "- [x] One", "- [ ] Small": "- [x] Small"}},
            "[x] Small",
            "more than one answer",
        ),
        ({"context__organisation": {"- [ ] One": "- [maybe] One"}}, "[maybe]", "a box takes an x"),
        ({"context__success": {"- [ ] Cost (`cost`)": "- [x] Fame"}}, "Fame", "no such choice"),
        ({"context__runs_jobs": {"Answer:": "Answer: a\nAnswer: b"}}, "Answer: b", "a second answer"),
        (
            {"context__runs_jobs": {"- [ ] DevOps": "- [x] DevOps", "Answer:": "Answer: unknown"}},
            "Answer: unknown",
            "unknown, and yet answered",
        ),
        ({"context__people": {"Answer:": "Answer: 12\nplus a few"}}, "plus a few", "not a line of the sheet"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line_and_the_rest_is_taken(lines, part, words):
    text = filled(**lines, stack__qlora={"- [ ] Yes": "- [x] Yes"})

    reading = read(text)

    assert [(each.line, words in each.words) for each in reading.unread] == [(line_of(text, part), True)]
    assert reading.profile.answers("stack.qlora").asked.value is True
    assert "plus a few" not in str(reading.unread)


def test_a_question_that_is_none_is_told_with_the_nearest():
    text = EMPTY.replace("`stack.qlora` ·", "`stack.qlorra` ·")

    reading = read(text)

    assert reading.unread[0].words == "no question `stack.qlorra`; did you mean `stack.qlora`?"
    assert reading.questions == len(FIELDS) - 1


def test_the_head_is_read_and_checked():
    text = (
        EMPTY.replace("- Name:", "- Name: Acme")
        .replace("- Date (YYYY-MM-DD):", "- Date (YYYY-MM-DD): soon")
        .replace("(days): 90", "(days): 30")
    )

    reading = read(text)

    assert (reading.profile.name, reading.profile.window_days) == ("Acme", 30)
    assert [each.words for each in reading.unread] == ["Date (YYYY-MM-DD): write the day as 2026-11-24"]
