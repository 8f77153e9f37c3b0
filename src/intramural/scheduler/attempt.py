"""A run that this scheduler holds, with what it has read of it and how often it stumbled over it."""

from __future__ import annotations

from pathlib import Path

from intramural.domain.value import RunId
from intramural.domain.views import Claim
from intramural.domain.workload import EVENTS_FILE, CheckpointEvent, Event, OutcomeEvent, ResumeEvent
from intramural.scheduler.events import EventTail


class Attempt:
    """What the loop remembers of one run; all of it can be found again after a restart."""

    def __init__(self, claim: Claim, folder: Path, recorded: int = 0) -> None:
        self.id: RunId = claim.run.id
        self.job = claim.job
        self.run = claim.run
        self.folder = folder
        self.tail = EventTail(folder / EVENTS_FILE)
        self.recorded = recorded
        """The newest event that is stored already."""
        self.told: OutcomeEvent | None = None
        """How the run itself says that it ended."""
        self.checkpoint_step = claim.run.checkpoint_step
        self.problems = 0
        """Starts that came to nothing."""
        self.troubles = 0
        """Errors of ours in a row."""
        self.rests_until = 0.0

    @property
    def fence(self) -> int:
        """What proves our right to act on it."""
        return self.run.lease.fence

    def hear(self, events: list[Event]) -> None:
        """Keep what the end will need."""
        for event in events:
            match event:
                case CheckpointEvent() | ResumeEvent():
                    self.checkpoint_step = max(self.checkpoint_step, event.step)
                case OutcomeEvent():
                    self.told = event
