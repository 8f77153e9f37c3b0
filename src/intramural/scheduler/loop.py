"""
The scheduler's loop: which job next, and what became of the ones that run.

One `tick` does, in this order:

    succeed   the first time only: end what a dead predecessor held and left half done
    adopt     take over runs whose scheduler died, and keep the leases of our own
    attend    for each run: read its events, carry out what a person wishes, notice its end
    claim     take the next queued jobs, prepare their directories, hand them to the executor

Everything that is known stands in the store and in the run directories, so a scheduler
may be killed between any two lines here: the next one repeats what was not recorded.
Every act proves its right with the lease's fence; a run that another scheduler took
over is dropped. What goes wrong with one run never holds up another.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress

from intramural.domain.cause import Failure
from intramural.domain.job import Outcome, Wish
from intramural.domain.value import RunId
from intramural.domain.views import Claim
from intramural.domain.workload import OUTPUTS
from intramural.errors import DoesNotFit, IntegrityFailure, IntramuralError, NotFound, Refused, StaleFence, Unavailable
from intramural.scheduler import ending
from intramural.scheduler.attempt import Attempt
from intramural.scheduler.events import log_tail
from intramural.scheduler.executor import Executor, Phase, Status
from intramural.service import runs
from intramural.service.context import Context
from intramural.service.policies import grant_of

STOP_GRACE_SECONDS = 30.0
"""Between the request to stop and the kill."""
OVERTIME_SECONDS = 10.0
"""A workload ends itself at its time limit; this much later it is stopped."""
LONGEST_REST_SECONDS = 30.0
MOST_TROUBLES = 5
"""Errors of ours in a row, with growing rests between them, before a run is given up."""
HOPELESS = (IntegrityFailure, DoesNotFit, Refused)
"""What the next try would meet again: damaged bytes, a full disk, a level that is too loose."""

log = logging.getLogger(__name__)


class Loop:
    """
    Carries the runs of one home from claim to end.

    *predecessor* is a holder that is known to be dead: its leases end now, not when they would.
    """

    def __init__(
        self,
        ctx: Context,
        executor: Executor,
        *,
        holder: str,
        predecessor: str | None = None,
        lease_seconds: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ctx = ctx
        self._executor = executor
        self._holder = holder
        self._predecessor = predecessor
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._attempts: dict[RunId, Attempt] = {}
        self._is_new = True
        self._adopt_at = clock()

    def tick(self) -> bool:
        """Do one round; tell whether a run is held. Raises `Unavailable` when the store is away."""
        if self._is_new:
            self._succeed()
            self._is_new = False
        if self._clock() >= self._adopt_at:
            self._adopt()
            self._adopt_at = self._clock() + self._lease_seconds / 3
        self._attend()
        self._claim()
        return bool(self._attempts)

    def close(self) -> None:
        """Let go of the executor's connections; the runs go on."""
        self._executor.close()

    def _succeed(self) -> None:
        """End the leases of a dead predecessor, and finish what it was killed over."""
        if self._predecessor is not None:
            runs.adopt_runs(self._ctx, self._predecessor, 0)
        runs.sweep_runs(self._ctx)

    def _adopt(self) -> None:
        """Keep our leases, and take over the runs whose lease is over."""
        for attempt in list(self._attempts.values()):
            try:
                attempt.run = runs.renew_lease(self._ctx, attempt.id, self._holder, self._lease_seconds)
            except (StaleFence, NotFound) as error:
                self._drop(attempt, error)
        for claim in runs.adopt_runs(self._ctx, self._holder, self._lease_seconds):
            if claim.run.id not in self._attempts:
                log.info("run %s: taken over", claim.run.id)
                known = runs.last_event(self._ctx, claim.run.id)
                self._attempts[claim.run.id] = Attempt(claim, self._ctx.runs / claim.run.id, known)

    def _attend(self) -> None:
        """Look at every run we hold, unless it rests after an error."""
        held = list(self._attempts.values())
        if not held:
            return
        wishes = runs.wishes(self._ctx, [attempt.id for attempt in held])
        statuses = self._executor.poll([attempt.id for attempt in held])
        for attempt in held:
            if self._clock() >= attempt.rests_until:
                self._serve(attempt, statuses[attempt.id], wishes.get(attempt.id, Wish.RUN))

    def _claim(self) -> None:
        """Begin as many queued jobs as there are places."""
        while (claim := runs.claim_run(self._ctx, self._holder, self._lease_seconds)) is not None:
            log.info("run %s: attempt %d of job %s", claim.run.id, claim.run.attempt, claim.job.id)
            attempt = Attempt(claim, self._ctx.runs / claim.run.id)
            self._attempts[attempt.id] = attempt
            self._serve(attempt, Status(phase=Phase.ABSENT), Wish.RUN)

    def _serve(self, attempt: Attempt, status: Status, wish: Wish) -> None:
        """Do what one run needs now; whatever goes wrong stays with it."""
        try:
            match status.phase:
                case Phase.ABSENT:
                    self._begin(attempt, status, wish)
                case Phase.RUNNING:
                    self._record(attempt)
                    self._carry_out(attempt, wish)
                case Phase.ENDED:
                    self._end(attempt, status, wish)
                case Phase.STARTING:
                    pass
            attempt.troubles = 0
            self._goes_on(attempt)
        except (StaleFence, NotFound) as error:
            self._drop(attempt, error)
        except Unavailable as error:
            self._rest(attempt, error)  # the store or the machine comes back, and with it the run
            self._waits(attempt, error)
        except Exception as error:
            self._rest(attempt, error)
            if isinstance(error, HOPELESS) or attempt.troubles >= MOST_TROUBLES:
                self._give_up(attempt, error)

    def _begin(self, attempt: Attempt, status: Status, wish: Wish) -> None:
        """Prepare the directory and start the run; repeated from the start until the executor knows it."""
        if wish is not Wish.RUN:
            self._close(attempt, Outcome.STOPPED, None)
            return
        attempt.problems += status.problem is not None
        if attempt.problems >= MOST_TROUBLES:
            self._close(attempt, Outcome.FAILED, ending.not_started(status.problem))
            return
        self._executor.prepare()
        keys = runs.prepare_run(self._ctx, Claim(job=attempt.job, run=attempt.run), attempt.folder)
        grant = grant_of(self._ctx, attempt.job)
        self._executor.submit(attempt.id, attempt.folder, attempt.job.spec, keys.encode(), grant=grant)

    def _record(self, attempt: Attempt) -> None:
        """Store what the run told since the last time."""
        first, events = attempt.tail.peek()
        attempt.hear(events)
        known = max(attempt.recorded - first + 1, 0)
        if events[known:]:
            runs.record_events(self._ctx, attempt.id, attempt.fence, first + known, events[known:])
        attempt.tail.advance()

    def _carry_out(self, attempt: Attempt, wish: Wish) -> None:
        """Stop a run that a person or its time limit wants stopped."""
        if wish is Wish.PAUSE:
            self._executor.stop(attempt.id, None)
        elif wish is Wish.CANCEL or self._is_over_time(attempt):
            self._executor.stop(attempt.id, STOP_GRACE_SECONDS)

    def _end(self, attempt: Attempt, status: Status, wish: Wish) -> None:
        """Record the rest, find out what the end means, keep what the run made, and close it."""
        self._record(attempt)
        while not attempt.tail.at_end:
            self._record(attempt)
        outcome, failure = ending.classify(status, attempt.told, log_tail(self._executor.log_path(attempt.id)))
        if wish is Wish.RUN and self._is_over_time(attempt) and (outcome is Outcome.STOPPED or status.signal is not None):
            outcome, failure = Outcome.FAILED, ending.over_time(attempt.job.spec.resources.time_limit_minutes)
        if outcome is not Outcome.SUCCEEDED:
            shutil.rmtree(attempt.folder / OUTPUTS, ignore_errors=True)  # half of what a later attempt will make
        runs.collect_artifacts(self._ctx, attempt.id, attempt.fence, attempt.folder)
        self._close(attempt, outcome, failure)

    def _close(self, attempt: Attempt, outcome: Outcome, failure: Failure | None) -> None:
        job = runs.end_run(self._ctx, attempt.id, attempt.fence, outcome, failure, attempt.checkpoint_step)
        del self._attempts[attempt.id]
        cause = f", {failure.cause}: {failure.evidence}" if failure else ""
        log.info("run %s: %s%s; job %s is %s", attempt.id, outcome, cause, job.id, job.state)

    def _is_over_time(self, attempt: Attempt) -> bool:
        """Tell whether the run outlived its limit, and the moment in which it should have noticed that itself."""
        limit = attempt.job.spec.resources.time_limit_minutes
        if limit is None:
            return False
        return (self._ctx.now() - attempt.run.started_at).total_seconds() > limit * 60 + OVERTIME_SECONDS

    def _drop(self, attempt: Attempt, error: StaleFence | NotFound) -> None:
        """Leave a run to the scheduler that took it over; end one that the store does not know any more."""
        log.warning("run %s: left alone: %s", attempt.id, error.message)
        if isinstance(error, NotFound):
            self._executor.stop(attempt.id, 0)
        del self._attempts[attempt.id]

    def _rest(self, attempt: Attempt, error: Exception) -> None:
        """Let a run wait after an error of ours, longer each time."""
        attempt.troubles += 1
        attempt.rests_until = self._clock() + min(2.0 ** (attempt.troubles - 2), LONGEST_REST_SECONDS)
        log.error("run %s: %s", attempt.id, ending.by_error(error, "serving it").evidence)

    def _waits(self, attempt: Attempt, error: Unavailable) -> None:
        """Keep what a run waits for where members can read it; that the database is away, they see for themselves."""
        known = attempt.run.waiting
        if known is None or known.reason != error.message:
            with suppress(IntramuralError):
                attempt.run = runs.note_waiting(self._ctx, attempt.id, attempt.fence, error.message)

    def _goes_on(self, attempt: Attempt) -> None:
        """Note that what a run waited for is back."""
        if attempt.run.waiting is not None and attempt.id in self._attempts:
            attempt.run = runs.note_waiting(self._ctx, attempt.id, attempt.fence, None)

    def _give_up(self, attempt: Attempt, error: Exception) -> None:
        """End a run that we cannot serve; it is tried again, after a rest, if even that cannot be recorded."""
        self._executor.stop(attempt.id, 0)
        try:
            self._close(attempt, Outcome.FAILED, ending.by_error(error, "it could not be served"))
        except (StaleFence, NotFound) as gone:
            self._drop(attempt, gone)
        except IntramuralError as worse:
            self._rest(attempt, worse)
