"""
The one page of an interview, and its hard numbers, before they are drawn.

Every figure has its text and its number, where it comes from and for which days; what is not
known says so. What was said and what is on record stand side by side and neither is changed.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from intramural.domain.answers import Confidence, Provenance, Window
from intramural.domain.value import Value


class Standing(StrEnum):
    """Whether a figure is known, and if not, why."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    """The person who was asked does not know."""
    NOT_ASKED = "not_asked"
    NOT_MEASURED = "not_measured"
    DOES_NOT_APPLY = "does_not_apply"
    """An earlier answer rules the question out."""


class Figure(Value):
    """One answer as the page shows it."""

    standing: Standing
    text: str
    low: float | None = None
    """In *unit*; equal to *high* for one number, none at an open end."""
    high: float | None = None
    unit: str | None = None
    approximate: bool = False
    provenance: Provenance | None = None
    confidence: Confidence | None = None
    window: Window | None = None
    source: str | None = None
    record: str = ""
    """The letter of its `Record`, where the page has more than one."""

    @property
    def known(self) -> bool:
        """Whether there is a figure."""
        return self.standing is Standing.KNOWN

    @property
    def number(self) -> float | None:
        """The number, the middle of a range, or the known end of an open one."""
        ends = [each for each in (self.low, self.high) if each is not None]
        return sum(ends) / len(ends) if ends else None


class Row(Value):
    """One line of the page: what was said beside what is on record."""

    path: str
    """`section.field` of the profile."""
    key: str | None = None
    """The part of the answer: a job type, a cause; none for the whole."""
    label: str
    asked: Figure
    measured: Figure
    contradiction: str | None = None
    """What contradicts what: `said 95 %, measured 61 %`."""

    @property
    def best(self) -> Figure:
        """The figure to rely on: measured before asked, a known one before an unknown."""
        return self.measured if self.measured.known or not self.asked.known else self.asked


class Spread(Value):
    """How long the runs of one job type take, or the jobs of one class wait."""

    key: str
    label: str
    p50: Row
    p90: Row


class Fact(Value):
    """A line that only people can answer, made of one or more answers."""

    label: str
    text: str
    standing: Standing
    answers: dict[str, Figure]
    """By `section.field`."""


class Contradiction(Value):
    """Something said that the records do not bear out."""

    path: str
    key: str | None = None
    label: str
    said: str
    measured: str

    @property
    def text(self) -> str:
        """The two beside each other."""
        return f"said {self.said}, measured {self.measured}"


class Support(StrEnum):
    """What the records say of a pain point."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    """There is a measurement, but it decides neither way."""
    NO_MEASUREMENT = "no_measurement"


class Pain(Value):
    """One pain point with its evidence."""

    key: str
    label: str
    rank: int | None
    """As it was named, worst first; none for one that the records show and nobody named."""
    support: Support
    evidence: str
    """The figures, in words."""


class Record(Value):
    """A source of figures and the days it covers."""

    letter: str
    provenance: Provenance
    source: str | None
    window: Window


class OnePage(Value):
    """The output template of the interview guide, filled in."""

    name: str
    respondent: str
    interviewed: date | None
    window_days: int
    records: tuple[Record, ...]
    persona: tuple[Fact, ...]
    job_mix: tuple[Row, ...]
    """Every job type, largest share first."""
    run_time: tuple[Spread, ...]
    """In the order of the job mix."""
    queue_time: tuple[Spread, ...]
    gpu_shape: tuple[Row, ...]
    data_and_checkpoints: tuple[Row, ...]
    success: Row
    failure_causes: tuple[Row, ...]
    """Most frequent first."""
    constraints: tuple[Fact, ...]
    integrations: tuple[Fact, ...]
    pains: tuple[Pain, ...]
    pains_standing: Standing
    """Whether people were asked what blocks them."""
    also: tuple[Fact, ...]
    """The rest of the interview: what the guide asks and its output template leaves out."""
    contradictions: tuple[Contradiction, ...]
    warnings: tuple[str, ...]
    """What a reader must know, such as shares that do not add up."""


class HardNumber(Value):
    """One of the guide's hard numbers; *by* holds its parts where it has them."""

    standing: Standing
    value: float | None = None
    """The number; the middle of a range."""
    low: float | None = None
    high: float | None = None
    unit: str
    approximate: bool = False
    provenance: Provenance | None = None
    confidence: Confidence | None = None
    window: Window | None = None
    source: str | None = None
    by: dict[str, HardNumber] = {}
    """By job type, by cause, or the share of the jobs by their number of GPUs."""


class HardNumbers(Value):
    """The guide's list of hard numbers under its own names, each from its best answer: measured before asked."""

    dataset_size_gb: HardNumber
    tokens_estimate: HardNumber
    seq_len: HardNumber
    gpu_count: HardNumber
    gpu_vram_needed: HardNumber
    run_time_p50: HardNumber
    run_time_p90: HardNumber
    checkpoint_interval_min: HardNumber
    checkpoint_size_gb: HardNumber
    success_rate: HardNumber
    failure_causes: HardNumber
