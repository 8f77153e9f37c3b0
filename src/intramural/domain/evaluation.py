"""What was measured on a hold-out: one evaluation, its scores and their intervals."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from intramural.domain.value import Value


class Score(Value):
    """A mean over samples with its bootstrap interval."""

    value: float
    low: float
    high: float
    samples: int
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95


class Difference(Value):
    """The mean of `after - before` over the samples both scored, with its paired bootstrap interval."""

    value: float
    low: float
    high: float
    samples: int
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95


class Evaluation(Value):
    """The figures of one system on one hold-out."""

    system: str
    """`base`, `tuned`, or a baseline: `majority`, `tfidf_logistic_regression`."""
    samples: int
    loss: float | None = None
    """Mean cross-entropy per answer token, in nats."""
    perplexity: float | None = None
    scores: dict[str, Score] = {}
    """`exact_match`, `valid_json`, `field_accuracy`, and `field_accuracy.NAME` per top-level field."""
    changes: dict[str, Difference] = {}
    """Paired differences to `base` on the same samples, by the name of the score."""
    seconds: float = 0.0
    generated_tokens: int = 0
