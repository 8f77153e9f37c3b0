"""
Following a job to its end: its events in order, over every attempt.

Leaving early changes nothing: the job belongs to the scheduler, not to this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intramural.client.client import Client
    from intramural.domain.job import JobState
    from intramural.domain.views import JobEvent

_BATCH = 1000
_PAUSE_SECONDS = 0.2
_LOOK_SECONDS = 1.0


def follow(client: Client, job_id: str, *, show: Callable[[JobEvent], None], idle: Callable[[str], None]) -> JobState:
    """Call *show* for every event of a job until it rests or ends, and return its state then.

    *idle* is told why nothing happens while the job waits.
    """
    after, looked = 0, 0.0
    while True:
        batch = client.job_events(job_id, after=after, limit=_BATCH)
        for each in batch:
            show(each)
            after = each.seq
        if len(batch) == _BATCH:
            continue
        ended = any(each.event.type == "outcome" for each in batch)
        if ended or time.monotonic() - looked >= _LOOK_SECONDS:
            looked = time.monotonic()
            standing = client.explain_job(job_id)
            if standing.state.is_final or standing.state.value == "paused":
                if not client.job_events(job_id, after=after, limit=1):
                    return standing.state
                continue
            if standing.state.value == "queued":
                idle(standing.summary)
        time.sleep(_PAUSE_SECONDS)
