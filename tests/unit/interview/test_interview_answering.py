"""Answers from files, settings and lists of choices: all of them or none, and every mistake with its place."""

import pytest

from factories import a_merged_profile, a_profile
from intramural.domain.answers import Answer, Confidence, Window
from intramural.domain.profile import Profile, field_of
from intramural.domain.quantity import exactly
from intramural.errors import InvalidInput
from intramural.interview.answering import answer, check_together, normalised, read_answer, shares_that_do_not_add_up, written
from intramural.interview.given import take_file, take_settings, with_numbers
from intramural.interview.profile_file import write


def test_an_exact_answer_is_said_to_be_and_reads_back():
    asked = field_of("anatomy.dataset_size")

    for text in ("=1.5 TB", "exactly 1.5 TB"):
        said = read_answer(asked, text)
        assert (said.value, said.confidence) == (exactly(1.5e12), Confidence.EXACT)
        assert read_answer(asked, written(asked, said)) == said
    assert read_answer(asked, "1.5 TB").confidence is Confidence.ROUGH


def test_the_same_answer_again_keeps_its_window_and_source():
    known = Answer(value=exactly(95), window=Window(days=30), source="the team lead")
    profile = a_profile().with_answers(
        "anatomy.success_rate", a_profile().answers("anatomy.success_rate").model_copy(update={"asked": known})
    )

    assert answer(profile, "anatomy.success_rate", "95 %") == profile
    assert answer(profile, "anatomy.success_rate", "90 %").answers("anatomy.success_rate").asked.source is None


@pytest.mark.parametrize(
    ("present", "path", "given", "words"),
    [
        ({"anatomy__gpu_count": "0/1"}, "anatomy.multi_node", "~5%", "one GPU cannot span nodes"),
        ({"anatomy__multi_node": "~5%"}, "anatomy.gpu_count", "1", "one GPU cannot span nodes"),
        ({"anatomy__dataset_tokens": "1k"}, "anatomy.sequence_length", "4096", "longer than the whole"),
        ({"anatomy__dataset_tokens": "1k"}, "anatomy.samples", "2k", "more samples than tokens"),
    ],
)
def test_answers_that_contradict_each_other_are_refused(present, path, given, words):
    profile = a_profile(**{"anatomy__multi_node": None, "anatomy__samples": None, "anatomy__sequence_length": None, **present})

    with pytest.raises(InvalidInput, match=words) as caught:
        answer(profile, path, given)

    assert path in caught.value.message
    assert "Change `" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "given"), [("anatomy.multi_node", "0%"), ("anatomy.multi_node", "unknown"), ("anatomy.samples", "<5k")]
)
def test_answers_that_may_both_be_true_are_taken(path, given):
    profile = a_profile(
        anatomy__gpu_count="1",
        anatomy__multi_node=None,
        anatomy__dataset_tokens="1k",
        anatomy__samples=None,
        anatomy__sequence_length="512",
    )

    check_together(answer(profile, path, given))


def test_shares_that_do_not_add_up_are_told_and_scaled_on_request():
    profile = answer(Profile(), "anatomy.job_mix", "dev 60%; eval 60%")

    assert shares_that_do_not_add_up(profile) == {"anatomy.job_mix": 120}
    assert shares_that_do_not_add_up(normalised(profile, "anatomy.job_mix")) == {}
    assert normalised(profile, "anatomy.gpu_vram") == profile


def test_a_flat_file_and_a_profile_are_both_answers():
    flat = (
        "name: Acme\nanatomy.success_rate: 95%\ngovernance.store_prompts: no\ncontext.success: [cost, latency]\nstack.cuda:\n"
    )

    profile = take_file(a_merged_profile(), flat, where="answers.yaml")

    assert profile.name == "Acme"
    assert profile.answers("anatomy.success_rate").measured is not None
    assert profile.answers("governance.store_prompts").asked.value == "no"
    assert profile.answers("context.success").asked.value == ("cost", "latency")
    assert profile.answers("stack.cuda") == a_merged_profile().answers("stack.cuda")
    assert take_file(Profile(), write(a_merged_profile()), where="other.yaml") == a_merged_profile()


def test_all_mistakes_of_a_flat_file_are_told_with_their_lines():
    flat = "anatomy.sucess_rate: 95%\nanatomy.success_rate: 130%\nmood: good\nwindow_days: 0\n"

    with pytest.raises(InvalidInput) as caught:
        take_file(Profile(), flat, where="answers.yaml")

    lines = caught.value.message.splitlines()
    assert lines[0] == "answers.yaml, line 1: no question `anatomy.sucess_rate`; did you mean `anatomy.success_rate`?"
    assert lines[1] == "answers.yaml, line 2: `anatomy.success_rate`: a share is between 0 and 100 %."
    assert lines[2].startswith("answers.yaml, line 3: no question `mood`")
    assert lines[3].startswith("answers.yaml, line 4: `window_days`: ")


def test_settings_answer_one_question_each_and_an_empty_one_takes_it_away():
    profile = take_settings(
        a_profile(), ["anatomy.success_rate=90 %", "stack.cuda=", "name=Acme", "interviewed=2026-11-24", "notes=a = b"]
    )

    assert profile.answers("anatomy.success_rate").asked.value == exactly(90)
    assert profile.answers("stack.cuda").asked is None
    assert (profile.name, profile.interviewed.isoformat(), profile.notes) == ("Acme", "2026-11-24", "a = b")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("anatomy.success_rate", "takes `section.field=answer`"),
        ("success_rate=95%", "did you mean `anatomy.success_rate`"),
        ("anatomy.success_rate=130%", "--set anatomy.success_rate: `anatomy.success_rate`: a share"),
        ("interviewed=soon", "`interviewed`"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting, words):
    with pytest.raises(InvalidInput) as caught:
        take_settings(Profile(), [setting])

    assert words in caught.value.message
    assert caught.value.hint


def test_a_number_beyond_the_choices_is_not_taken_for_words_of_ones_own():
    with pytest.raises(InvalidInput, match="the choices are 1 to 5"):
        with_numbers(field_of("context.success").kind, "9")


@pytest.mark.parametrize(
    ("path", "typed", "meant"),
    [
        ("context.organisation", "2", "small_team"),
        ("context.runs_jobs", "1, 4", "ml_engineer, devops"),
        ("context.success", "4 > 5", "cost > latency"),
        ("stack.qlora", "2", "no"),
        ("anatomy.job_mix", "2 60%; 6: 40%", "sft_lora 60%; eval: 40%"),
        ("anatomy.job_mix", "60 % dev; 40 % eval", "60 % dev; 40 % eval"),
        ("anatomy.run_time", "2 10 min / 1h; 6 p50 2h, p90 5h", "sft_lora 10 min / 1h; eval p50 2h, p90 5h"),
        ("anatomy.model_sizes", "7 80%; 70B 20%", "7 80%; 70B 20%"),
        ("context.people", "2", "2"),
    ],
)
def test_the_number_of_a_choice_is_the_choice(path, typed, meant):
    assert with_numbers(field_of(path).kind, typed) == meant
