"""
From answers to one `Evaluation`: the `structured` suite, with the `loss` suite's figure beside it.

References and answers come in, numbers go out. The caller generated the answers;
how, this room never learns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from intramural.domain.evaluation import Evaluation
from intramural.evaluation.comparison import differences
from intramural.evaluation.scorers import AnswerKind, SampleScores, answer_kind, sample_scores
from intramural.evaluation.statistics import mean_score


def is_structured(references: Sequence[str]) -> bool:
    """Tell whether the `structured` suite says something about these references: JSON, or short answers."""
    return answer_kind(references) is not AnswerKind.FREE


def score_answers(
    system: str,
    references: Sequence[str],
    answers: Sequence[str] | None,
    *,
    loss: float | None = None,
    against: SampleScores | None = None,
    seconds: float = 0.0,
    generated_tokens: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Return the figures of *system*: every score with its interval, loss and perplexity.

    *answers* is none where nothing was generated (only the loss was measured).
    *loss* is the mean cross-entropy per answer token in nats; perplexity is its
    exponential. *against* holds the `sample_scores` of another system on the same
    samples in the same order; the paired differences to it are added.
    *seconds* is what measuring took. Raises `ValueError` when the lengths differ.
    """
    samples = {} if answers is None else sample_scores(references, answers)
    return Evaluation(
        system=system,
        samples=len(references),
        loss=loss,
        perplexity=_perplexity(loss),
        scores={
            name: mean_score([v for v in values if v is not None], seed=seed) for name, values in samples.items() if values
        },
        changes=differences(against, samples, seed=seed) if against else {},
        seconds=seconds,
        generated_tokens=generated_tokens,
    )


def _perplexity(loss: float | None) -> float | None:
    if loss is None:
        return None
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
