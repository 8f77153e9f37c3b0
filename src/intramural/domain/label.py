"""
How private something is, and what makes it so: the label of data, and of everything made from data.

Labels flow from data to jobs, runs, checkpoints, adapters and merged models. Where several
meet, `strictest` is the least label that is at least as strict as each: the highest
class, and every kind.
"""

from __future__ import annotations

from functools import reduce
from typing import Self

from pydantic import field_validator

from intramural.domain.dataset import Classification, RegulatedKind
from intramural.domain.value import Value


class Label(Value):
    """A class and the kinds."""

    classification: Classification = Classification.PUBLIC
    kinds: tuple[RegulatedKind, ...] = ()
    """In the order of `RegulatedKind`, each once."""

    @field_validator("kinds")
    @classmethod
    def _in_order(cls, kinds: tuple[RegulatedKind, ...]) -> tuple[RegulatedKind, ...]:
        return tuple(each for each in RegulatedKind if each in kinds)

    def joined(self, other: Label) -> Self:
        """Return the stricter of both in each respect."""
        order = list(Classification)
        highest = max(self.classification, other.classification, key=order.index)
        return type(self)(classification=highest, kinds=self.kinds + other.kinds)

    def at_least(self, other: Label) -> bool:
        """Tell whether this is as strict as *other* in each respect."""
        return self.joined(other) == self

    @property
    def words(self) -> str:
        """`confidential (pii, phi)`"""
        return f"{self.classification} ({', '.join(self.kinds)})" if self.kinds else str(self.classification)


def strictest(*labels: Label) -> Label:
    """Return the least label that is at least as strict as each of *labels*; of none, the laxest."""
    return reduce(Label.joined, labels, Label())
