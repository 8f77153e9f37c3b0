"""What to measure and by which rules: the question that a `Measurement` answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from intramural.domain.value import Value

OWN = "own"
"""The source that is the platform itself."""


class MeasureOptions(Value):
    """Sources, window and rules of one measurement; paths are those of the machine that answers."""

    sources: tuple[str, ...] = (OWN,)
    """Files, folders and addresses of tracking servers; `own` for the platform's own jobs."""
    days: Annotated[float, Field(gt=0, le=36_600)] = 90
    rules: str | None = None
    """A file of rules that tell job types; none for the built-in ones."""
    causes: str | None = None
    """A file of rules that tell failure causes; none for the built-in ones."""
    mapping: str | None = None
    """A file that names the columns of a table."""
