"""Which question comes next, and what is left: forwards, backwards, over sections, and taken up again."""

import pytest

from factories import a_profile
from intramural.domain.answers import Provenance
from intramural.domain.profile import FIELDS, Profile, applies
from intramural.domain.quantity import exactly
from intramural.errors import InvalidInput
from intramural.interview.conversation import begin, is_opened, open_with


def walked(conversation, answer=lambda asked: "?"):
    """Answer every question and return the paths that were put."""
    paths = []
    while conversation.at:
        paths.append(conversation.at)
        conversation = conversation.answered(answer(conversation.asked))
    return conversation, paths


def said(asked):
    return {"anatomy.gpu_count": "1/2/4/8", "stack.container": "vm", "stack.internet": "yes"}.get(
        asked.path, "yes" if asked.kind.example == "yes" else "unknown"
    )


def test_every_question_that_applies_is_put_once_in_the_order_of_the_guide():
    end, paths = walked(begin(Profile()), said)

    assert paths == [each.path for each in FIELDS if applies(end.profile, each)]
    assert "anatomy.multi_node" in paths
    assert "stack.egress_rules" not in paths
    assert end.left().questions == 0
    assert begin(end.profile).at is None


def test_what_does_not_apply_is_not_put():
    _, paths = walked(begin(Profile()))

    assert not {"anatomy.multi_node", "stack.domains", "governance.regions", "stack.vm_reason"} & set(paths)


def test_an_answer_is_what_was_asked_and_leaves_what_was_measured():
    profile = a_profile(anatomy__success_rate={"measured": "61%"})

    after = begin(profile).answered("95%")

    answers = after.profile.answers("anatomy.success_rate")
    assert answers.by(Provenance.ASKED).value == exactly(95)
    assert answers.by(Provenance.MEASURED).value == exactly(61)


def test_a_question_stays_put_when_its_answer_cannot_be_read():
    conversation = begin(Profile()).skip()

    with pytest.raises(InvalidInput, match=r"context\.people"):
        conversation.answered("many")


def test_dont_know_is_an_answer_and_skip_is_none():
    start = begin(Profile())

    assert start.unknown().profile.answers(start.at).asked.value is None
    assert start.unknown().left().questions == start.left().questions - 1
    assert start.skip().profile == start.profile
    assert begin(start.skip().profile).at == start.at


def test_back_returns_to_the_question_before_and_stays_at_the_first():
    start = begin(Profile())

    assert start.skip().back() == start
    assert start.back() == start
    assert start.answered("solo").back().at == start.at


def test_back_at_the_end_returns_to_the_last_question():
    end, paths = walked(begin(Profile()))

    assert end.back().at == paths[-1]


def test_a_review_goes_on_in_order_and_a_hole_to_the_next_hole():
    profile = a_profile(context__people=None, anatomy__pains=None)

    assert begin(profile).answered("12").at == "anatomy.pains"
    assert begin(profile).to_section(2).skip().at == "stack.precision"


def test_a_section_begins_with_its_first_open_question():
    assert begin(Profile()).to_section(3).at == "governance.contents"
    assert begin(a_profile(governance__isolation=None)).to_section(3).at == "governance.isolation"
    assert begin(a_profile()).to_section(3).at == "governance.contents"


@pytest.mark.parametrize("number", [-1, 6, 99])
def test_there_are_six_sections(number):
    with pytest.raises(InvalidInput, match="no section"):
        begin(Profile()).to_section(number)


def test_the_open_questions_can_be_taken_up_from_the_end():
    end, _ = walked(begin(a_profile(context__people=None)).to_section(5).skip(), said)

    assert end.at is None
    assert end.to_open().at == "context.people"


def test_what_is_left_is_counted_and_timed_by_section():
    start = begin(Profile())

    assert (start.left(0).questions, start.left(0).of, start.left(0).minutes) == (4, 4, 5)
    assert start.left().minutes == 90
    assert start.answered("solo").left(0).minutes == 4
    assert begin(a_profile()).left().minutes == 0
    assert start.place() == (1, 4)


def test_shares_are_normalised_only_when_that_is_said():
    at_mix = begin(a_profile(anatomy__job_mix=None))

    kept = at_mix.answered("dev 60%; eval 60%").profile.answers("anatomy.job_mix").asked.value
    scaled = at_mix.answered("dev 60%; eval 60%", normalise=True).profile.answers("anatomy.job_mix").asked.value

    assert kept.total == 120
    assert scaled.total == 100


def test_the_opening_takes_a_name_a_role_and_days():
    profile = open_with(open_with(Profile(), "name", "  Acme  search "), "window_days", "60 days")

    assert (profile.name, profile.window_days) == ("Acme search", 60)
    assert open_with(profile, "name", "") == profile
    assert not is_opened(profile)
    assert is_opened(a_profile())


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("window_days", "0"),
        ("window_days", "1e3"),
        ("window_days", "soon"),
        ("name", "a" * 201),
        ("name", "bell\a"),
        ("respondent", "caf\udce9"),
    ],
)
def test_an_opening_answer_that_cannot_be_is_refused(key, text):
    with pytest.raises(InvalidInput, match=key):
        open_with(Profile(), key, text)
