"""What was measured on a hold-out: one evaluation, its scores and their intervals."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from intramural.domain.value import Value

MEMBERSHIP = "membership_auc"
"""The score of the suite `memorisation`."""
MEMBERSHIP_RULE = (
    "The chance that a row the model was trained on has a lower loss per answer token than a row it was not trained on, over "
    "as many of either: 50 % tells nothing, 100 % tells every row (the area under the curve of the loss attack). The base "
    "model was trained on neither, so what it has above 50 % comes from the rows themselves. It bounds no other attack, and "
    "says nothing of what can be drawn out word for word."
)


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
    """`exact_match`, `valid_json`, `field_accuracy`, `field_accuracy.NAME` per top-level field, and `membership_auc`."""
    changes: dict[str, Difference] = {}
    """Paired differences to `base` on the same samples, by the name of the score."""
    seconds: float = 0.0
    generated_tokens: int = 0
