"""
What simple methods reach on the same hold-out, so that a tuned model's figure means something.

`majority` always gives the most frequent training answer.
`tfidf_logistic_regression` reads word 1-2-grams and character 3-5-grams of the
prompt and chooses one of the training answers (scikit-learn, imported only here
and only when called). Both make sense only where answers are a small closed set.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from intramural.domain.evaluation import Evaluation
from intramural.evaluation.suite import score_answers

MAJORITY = "majority"
TFIDF = "tfidf_logistic_regression"
MOST_ANSWERS = 200
MOST_EXAMPLES = 20_000
"""More training examples than this are thinned evenly; the fit grows with them, the accuracy hardly."""

Pair = tuple[str, str]
"""A prompt and its answer."""


def is_closed_set(answers: Sequence[str]) -> bool:
    """Tell whether *answers* are few and recur: at most 200 distinct ones, each seen twice on average."""
    distinct = len({each.strip() for each in answers})
    return 0 < distinct <= MOST_ANSWERS and len(answers) >= 2 * distinct


def baseline_evaluations(train: Sequence[Pair], holdout: Sequence[Pair], *, seed: int = 0) -> list[Evaluation]:
    """Fit the baselines on *train* and score them on *holdout*; none where the answers are no closed set."""
    if not holdout or not is_closed_set([answer for _, answer in train]):
        return []
    kept = train[:: -(-len(train) // MOST_EXAMPLES)]
    prompts, answers = [prompt for prompt, _ in kept], [answer.strip() for _, answer in kept]
    references = [answer for _, answer in holdout]
    most_frequent = min(Counter(answers).items(), key=lambda item: (-item[1], item[0]))[0]
    out = [score_answers(MAJORITY, references, [most_frequent] * len(references), seed=seed)]
    if len(set(answers)) > 1:
        began = time.perf_counter()
        predicted = _tfidf(prompts, answers, [prompt for prompt, _ in holdout])
        out.append(score_answers(TFIDF, references, predicted, seconds=time.perf_counter() - began, seed=seed))
    return out


def _tfidf(prompts: list[str], answers: list[str], questions: list[str]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline, make_union  # noqa: PLC0415

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")  # noqa: S106 - no password
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, max_features=50_000)
    classifier = make_pipeline(make_union(words, characters), LogisticRegression(C=10.0, max_iter=300, tol=1e-3))
    classifier.fit(prompts, answers)
    return [str(each) for each in classifier.predict(questions)]
