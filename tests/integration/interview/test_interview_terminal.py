"""The conversation driven through a pseudo-terminal, as a person has it: back, jump, killed, taken up again, left."""

import os
import signal
import sys
from pathlib import Path

import pexpect
import psutil
import pytest

from factories import a_profile
from intramural.domain.quantity import exactly
from intramural.interview.profile_file import load, save

COMMAND = Path(sys.executable).parent / "intramural"
UP, CTRL_C, CTRL_D = "\x1b[A", "\x03", "\x04"
LONGEST_START_S = 5.0
"""A start takes half a second of processor time; on a loaded machine it takes more."""


class Person:
    """Someone at a terminal."""

    def __init__(self, folder, *arguments):
        environment = {**os.environ, "TERM": "xterm", "INTRAMURAL_HOME": str(folder / "home")}
        self.child = pexpect.spawn(
            str(COMMAND),
            ["interview", *arguments],
            cwd=str(folder),
            env=environment,
            encoding="utf-8",
            timeout=120,
            dimensions=(40, 110),
        )
        self.child.delaybeforesend = None

    def sees(self, *words):
        for each in words:
            self.child.expect_exact(each)
        return self

    def says(self, text, then):
        """Type a line once the prompt is there, and wait for *then*."""
        self.child.expect_exact("> ")
        self.child.send(text + "\r")
        return self.sees(then)

    def ends(self):
        """Return the exit code and the last words."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus, self.child.before


@pytest.fixture
def sits(tmp_path):
    people = []

    def sit(*arguments):
        people.append(Person(tmp_path, *arguments))
        return people[-1]

    yield sit
    for each in people:
        each.child.close(force=True)


@pytest.fixture
def profile(tmp_path):
    """The profile in the file as it stands now."""
    return lambda: load(tmp_path / "profile.yaml")


def test_a_new_interview_opens_and_saves_every_answer_at_once(sits, profile):
    person = sits().sees("Which organisation")
    spent = psutil.Process(person.child.pid).cpu_times()
    assert spent.user + spent.system < LONGEST_START_S

    person.says("Acme", "Who answers").says("ML lead", "How many days").says("60", "Context + persona")
    person.sees("5 min", "4 questions left", "What is the organisation", "small_team")
    person.says("2", "How many people").says("~12", "Who runs the jobs")

    found = profile()
    assert (found.name, found.respondent, found.window_days, found.interviewed is None) == ("Acme", "ML lead", 60, False)
    assert found.context.organisation.asked.value == "small_team"
    assert found.context.people.asked.value.approximate


def test_a_killed_interview_goes_on_with_the_answer_that_was_being_typed(sits, profile, tmp_path):
    person = sits().says("Acme", "Who answers").says("", "How many days").says("", "What is the organisation")
    person.says("solo", "How many people")
    person.child.expect_exact("> ")
    person.child.send("1")
    person.child.kill(signal.SIGKILL)
    person.child.wait()

    assert profile().context.organisation.asked.value == "solo"
    sits().sees("Acme", "How many people").says("1", "Who runs").says(":quit", "Saved in profile.yaml")
    assert profile().context.people.asked.value == exactly(1)
    assert [each.name for each in tmp_path.iterdir() if each.name != "home"] == ["profile.yaml"]


def test_back_shows_the_present_answer_to_be_kept_or_edited(sits, profile, tmp_path):
    save(tmp_path / "profile.yaml", a_profile(context__people=None, context__runs_jobs=None))

    person = sits().sees("How many people").says("12", "Who runs").says(":back", "How many people")
    person.sees("12", "Enter keeps it").child.send(UP)
    person.sees("12").child.send("0\r")
    person.sees("Who runs")

    assert profile().context.people.asked.value == exactly(120)


def test_a_section_is_jumped_to_and_what_is_no_answer_is_asked_again(sits, profile):
    person = sits("--set", "name=Acme")
    assert person.ends()[0] == 0

    person = sits().sees("What is the organisation").says(":section 3", "Data governance").sees("10-15 min", "inside the data")
    person.says(":section 9", "The sections are 0 to 5").says(":nonsense", "type one of :back").says(
        ":help", "the question before"
    )
    person.says(":why", "guide 3.1").says("?", "Must data stay").says("perhaps", "answer yes or no").says("y", "Which regions")
    person.says("eu-central", "dedicated node").says(":clear", "").says(":skip", "encrypted at rest").says(":q", "Saved in")

    assert person.ends()[0] == 0
    governance = profile().governance
    assert governance.contents.asked.value is None
    assert governance.regions.asked.value == ("eu-central",)
    assert governance.isolation.asked is None


def test_shares_that_do_not_add_up_are_settled_by_the_person(sits, profile, tmp_path):
    save(tmp_path / "profile.yaml", a_profile(anatomy__job_mix=None, anatomy__model_sizes=None, anatomy__gpu_count=None))

    person = sits().sees("of which type").says("1 60%; lora 60%", "120 %. n: scale").says("r", "")
    person.says("1 60%; lora 60%", "120 %. n: scale").says("n", "Which model sizes")
    person.says("7B 60%; 70B 60%", "120 %. n: scale").says("k", "How many GPUs")

    found = profile()
    assert {key: each.middle for key, each in found.anatomy.job_mix.asked.value.parts.items()} == {"dev": 50, "sft_lora": 50}
    assert found.anatomy.model_sizes.asked.value.total == 120


def test_the_measured_value_stands_beside_the_question(sits, tmp_path):
    measured = {"value": "61%", "confidence": "exact", "window": {"days": 90}, "source": "sacct"}
    save(tmp_path / "profile.yaml", a_profile(anatomy__success_rate={"measured": measured}))

    sits().sees("What share of the runs succeeds", "measured: 61 % over 90 days, sacct")


@pytest.mark.parametrize(("key", "code"), [(CTRL_C, 130), (CTRL_D, 0)])
def test_leaving_by_the_keyboard_says_where_it_is_saved_and_how_to_go_on(sits, key, code, profile):
    person = sits().says("Acme", "Who answers")
    person.child.expect_exact("> ")
    person.child.send(key)

    ended, words = person.ends()

    assert ended == code
    assert "Saved in profile.yaml" in words
    assert "intramural interview profile.yaml" in words
    assert "Traceback" not in words
    assert profile().name == "Acme"


def test_the_end_says_what_is_next(sits, tmp_path):
    save(tmp_path / "profile.yaml", a_profile(workflow__sso_later=None))

    person = sits().sees("single sign-on").says("no", "Every question is answered").says("", "")
    code, words = person.ends()

    assert code == 0
    assert "intramural report --profile profile.yaml" in words


def test_a_word_is_completed_from_the_choices(sits, tmp_path, profile):
    save(tmp_path / "profile.yaml", a_profile(context__organisation=None))

    person = sits().sees("What is the organisation")
    person.child.expect_exact("> ")
    person.child.send("ent")
    person.sees("Enterprise ML platform").child.send("\t\r")
    person.sees("Every question is answered")

    assert profile().context.organisation.asked.value == "enterprise"
