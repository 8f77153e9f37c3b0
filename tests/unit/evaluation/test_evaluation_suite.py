"""From answers to an evaluation, and the baselines beside it."""

import math
import random
import subprocess
import sys

import pytest

from intramural.evaluation.baselines import baseline_evaluations, is_closed_set
from intramural.evaluation.scorers import sample_scores
from intramural.evaluation.suite import is_structured, score_answers

REFERENCES = ['{"queue": "cards"}', '{"queue": "cash"}']


def tickets(count, seed):
    """Make prompts whose one telling word decides the answer."""
    pick = random.Random(seed)  # noqa: S311 - made rows, no secret
    words = {"cards": ["card", "chip"], "cash": ["withdraw", "notes"], "loans": ["mortgage", "lend"]}
    rows = []
    for _ in range(count):
        queue = pick.choice([*words, "cards"])
        rows.append((f"please help me {pick.choice(words[queue])} number {pick.randint(0, 999)}", f'{{"queue": "{queue}"}}'))
    return rows


def test_an_evaluation_has_every_score_with_its_interval():
    after = score_answers("tuned", REFERENCES, REFERENCES, loss=math.log(2), seconds=1.5, generated_tokens=12)

    assert after.system == "tuned"
    assert after.samples == 2
    assert after.perplexity == pytest.approx(2)
    assert {name: score.value for name, score in after.scores.items()} == {
        "exact_match": 1,
        "valid_json": 1,
        "field_accuracy": 1,
        "field_accuracy.queue": 1,
    }
    assert (after.seconds, after.generated_tokens) == (1.5, 12)


def test_the_change_against_the_base_is_paired():
    base = ["Sure!", REFERENCES[1]]

    after = score_answers("tuned", REFERENCES, REFERENCES, against=sample_scores(REFERENCES, base))

    assert after.changes["field_accuracy.queue"].value == 0.5
    assert after.changes["valid_json"].samples == 2


def test_without_answers_only_the_loss_is_told():
    before = score_answers("base", ["A long letter."], None, loss=0.0)

    assert (before.samples, before.perplexity, before.scores) == (1, 1.0, {})


def test_a_diverged_loss_has_no_finite_perplexity():
    assert score_answers("base", ["a"], None, loss=1e6).perplexity == math.inf


def test_nothing_of_the_text_is_in_the_result():
    references = ['{"queue": "SECRET-ONE"}', '{"queue": "SECRET-TWO"}']

    document = score_answers("base", references, ["SECRET-THREE", references[1]]).model_dump_json()

    assert "SECRET" not in document


def test_the_suite_applies_to_json_and_short_answers_only():
    assert is_structured(REFERENCES)
    assert is_structured(["yes", "no"])
    assert not is_structured(["Dear customer,\nwe are sorry."] * 3)


def test_baselines_learn_what_decides_the_answer():
    majority, tfidf = baseline_evaluations(tickets(300, seed=1), tickets(100, seed=2))

    assert (majority.system, tfidf.system) == ("majority", "tfidf_logistic_regression")
    assert 0.3 < majority.scores["exact_match"].value < 0.7
    assert majority.scores["valid_json"].value == 1
    assert tfidf.scores["exact_match"].value > 0.95


def test_baselines_repeat_exactly():
    first, second = (baseline_evaluations(tickets(80, seed=1), tickets(40, seed=2)) for _ in range(2))

    assert [each.scores for each in first] == [each.scores for each in second]


def test_open_answers_have_no_baselines():
    letters = [(f"question {n}", f"A letter about {n}.") for n in range(50)]

    assert not is_closed_set([answer for _, answer in letters])
    assert baseline_evaluations(letters, letters[:5]) == []
    assert baseline_evaluations(tickets(20, seed=1), []) == []


def test_one_answer_only_leaves_the_majority():
    assert [each.system for each in baseline_evaluations([("a", "yes")] * 4, [("b", "yes")])] == ["majority"]


def test_a_thousand_answers_are_no_closed_set():
    assert not is_closed_set([str(n % 201) for n in range(1000)])
    assert is_closed_set([str(n % 200) for n in range(1000)])


def test_the_room_opens_without_scikit_learn():
    """The control plane installs without it; only a fit may import it."""
    program = "import sys, intramural.evaluation.baselines; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
