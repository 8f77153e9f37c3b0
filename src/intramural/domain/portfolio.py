"""
What many profiles say together: counts, rankings, mean shares and medians, each with its n.

A portfolio holds one summary of all its profiles and one for each segment, so that the same line
can be read side by side. *n* is how many profiles gave a known value; *unknown* is how many were
asked and did not know. Whoever was not asked is in neither, and nothing unknown counts as zero.
"""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.quantity import Dimension
from intramural.domain.value import Value


class Segment(StrEnum):
    """A group of profiles: by the size of the organisation, and by whether it is regulated."""

    SOLO = "solo"
    SMALL_TEAM = "small_team"
    ENTERPRISE = "enterprise"
    REGULATED = "regulated"
    NOT_REGULATED = "not_regulated"


SEGMENT_LABELS = {
    Segment.SOLO: "Solo",
    Segment.SMALL_TEAM: "Small team",
    Segment.ENTERPRISE: "Enterprise",
    Segment.REGULATED: "Regulated",
    Segment.NOT_REGULATED: "Not regulated",
}


class RankedLine(Value):
    """One of the things that were put in order of weight."""

    key: str
    label: str
    named_by: int
    first_for: int
    """How many put it first."""
    points: int
    """Its Borda count: of ten choices the first gets ten points, the second nine; not named, none."""


class Ranking(Value):
    """A question whose answers are in order of weight, such as the pains."""

    path: str
    label: str
    n: int
    unknown: int
    lines: tuple[RankedLine, ...]
    """Most points first."""


class ShareLine(Value):
    """One part of a whole."""

    key: str
    label: str
    percent: float | None
    """The mean of its share over the profiles that gave figures; one that does not name it has none of it."""
    named_by: int


class Mix(Value):
    """Shares of a whole, such as the job mix."""

    path: str
    label: str
    n: int
    """Profiles with a figure for every part they name."""
    without_figures: int
    """Profiles that name parts without a figure; they count in `named_by` alone."""
    uneven: int
    """Profiles of the n whose shares do not add up to 100 %; they count as they were given."""
    unknown: int
    lines: tuple[ShareLine, ...]


class Median(Value):
    """The middle of one number over the profiles; a range counts with its middle."""

    path: str
    label: str
    key: str | None = None
    """The job type or class, where there is a number for each."""
    end: str | None = None
    """`p50` or `p90`, where the number is one of a spread."""
    dimension: Dimension
    n: int
    measured: int
    """How many of the n come from records rather than from a person."""
    unknown: int
    median: float
    """In the base unit of *dimension*."""
    lower: float
    """The first quartile, by linear interpolation."""
    upper: float
    """The third quartile."""
    text: str
    """The median as a person says it."""
    spread_text: str
    """The two quartiles as a person says them."""


class MustHave(Value):
    """A constraint, and for how many it is a must."""

    key: str
    label: str
    required: int
    n: int
    unknown: int


class CountLine(Value):
    """One choice and how many named it."""

    key: str
    label: str
    named_by: int


class Tally(Value):
    """A question with choices, and how often each was named."""

    path: str
    label: str
    n: int
    unknown: int
    is_integration: bool
    """Whether it is about what the team works with already."""
    lines: tuple[CountLine, ...]


class Summary(Value):
    """What one group of profiles says."""

    segment: Segment | None
    """None: all of them."""
    profiles: int
    rankings: tuple[Ranking, ...]
    mixes: tuple[Mix, ...]
    medians: tuple[Median, ...]
    must_haves: tuple[MustHave, ...]
    tallies: tuple[Tally, ...]

    @property
    def label(self) -> str:
        """What to write above it."""
        return SEGMENT_LABELS[self.segment] if self.segment else "All"


class SkippedFile(Value):
    """A file that could not be read and was left out."""

    file: str
    reason: str


class Duplicate(Value):
    """A file that holds the same profile as another; it is counted once."""

    file: str
    same_as: str


class Portfolio(Value):
    """What many profiles say together."""

    profiles: int
    only: tuple[Segment, ...] = ()
    """Only profiles in all of these segments are counted."""
    anonymous: bool = False
    skipped_files: int = 0
    duplicate_files: int = 0
    skipped: tuple[SkippedFile, ...] = ()
    """Empty when anonymous: a file's name may be a customer's."""
    duplicates: tuple[Duplicate, ...] = ()
    """Empty when anonymous."""
    without_size: int
    """Profiles that do not say how large the organisation is."""
    without_regulation: int
    """Profiles that say nothing from which to tell whether they are regulated."""
    all: Summary
    segments: tuple[Summary, ...]

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """All of them first, then each segment that has profiles."""
        return (self.all, *self.segments)
