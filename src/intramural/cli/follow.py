"""
Following a job to its end: its events in order, over every attempt.

Leaving early changes nothing: the job belongs to the scheduler, not to this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from intramural.cli.interrupts import interruptible
from intramural.cli.session import wake_scheduler
from intramural.cli.tally import sentence

if TYPE_CHECKING:
    from intramural.client.client import Client
    from intramural.domain.job import JobState
    from intramural.domain.views import JobEvent

_BATCH = 1000
_PAUSE_SECONDS = 0.2
_LOOK_SECONDS = 1.0
_WAKE_SECONDS = 5.0
"""How long a scheduler that died may stay dead while somebody watches."""
_LOOK_SHARE = 20
"""A look at the job's state costs at most one part in this many of the time."""


def follow(client: Client, job_id: str, *, show: Callable[[JobEvent], None], idle: Callable[[str], None]) -> JobState:
    """Call *show* for every event of a job until it rests or ends, and return its state then.

    *idle* is told why nothing happens while the job waits. Raises `KeyboardInterrupt`.
    """
    with interruptible() as pause:
        return _follow(client, job_id, show, idle, pause)


def _follow(
    client: Client,
    job_id: str,
    show: Callable[[JobEvent], None],
    idle: Callable[[str], None],
    pause: Callable[[float], None],
) -> JobState:
    after, next_look, ended = 0, 0.0, False
    next_wake = time.monotonic() + _WAKE_SECONDS
    while True:
        if time.monotonic() >= next_wake:
            wake_scheduler()
            next_wake = time.monotonic() + _WAKE_SECONDS
        batch = client.job_events(job_id, after=after, limit=_BATCH)
        for each in batch:
            show(each)
            after, ended = each.seq, each.event.type == "outcome"
        if len(batch) == _BATCH:
            pause(0)
            continue
        if ended or time.monotonic() >= next_look:
            began = time.monotonic()
            standing = client.explain_job(job_id)
            if rests(standing.state) and not client.job_events(job_id, after=after, limit=1):
                return standing.state
            is_queued = standing.state.value == "queued"
            ended = ended and not is_queued
            if is_queued or standing.waiting_since is not None:
                idle(sentence(standing.summary) + ".")
            cost = time.monotonic() - began
            next_look = began + max(_LOOK_SECONDS, _LOOK_SHARE * cost)
        pause(_PAUSE_SECONDS)


def rests(state: JobState) -> bool:
    """Tell whether nothing happens until a person asks."""
    return state.is_final or state.value == "paused"
