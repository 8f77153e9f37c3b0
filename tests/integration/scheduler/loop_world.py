"""A home, its clock, and schedulers over one executor without processes."""

import dataclasses
import json
from datetime import timedelta

from fake_executor import FakeExecutor
from world import NOON, furnish, runs_of, system

from intramural.scheduler.loop import Loop

STEP = {"type": "step", "total_steps": 9, "loss": 1.5, "grad_norm": 0.5, "learning_rate": 0.1, "tokens": 9, "seconds": 0.1}
STEP |= {"batch_digest": "b", "memory_bytes": 1}


class World:
    """A home, its clock, and schedulers over one fake executor."""

    def __init__(self, home):
        furnish(home)
        self.home = home
        self.seconds = 0.0
        self.executor = FakeExecutor(home, lambda: self.seconds)

    def loop(self, holder="one", executor=None, **options):
        ctx = dataclasses.replace(system(self.home), now=lambda: NOON + timedelta(seconds=self.seconds))
        return Loop(ctx, executor or self.executor, holder=holder, **{"clock": lambda: self.seconds, **options})

    def tell(self, run, *events, end="\n"):
        with (self.home / "runs" / run.id / "events.jsonl").open("a") as file:
            file.write("\n".join(json.dumps({"at": 1.0, **event}) for event in events) + end)

    def run(self, job, attempt=1):
        return runs_of(self.home, job)[attempt - 1]
