"""
A run that writes a sealed checkpoint and drops the oldest one; `sealing_steps.py` kills it at every step.

The key is the run's own, taken as a run gets it: in memory, before the first step.
"""

import torch

from intramural.domain.value import JobId
from intramural.errors import IntegrityFailure
from intramural.service.scope_keys import job_files
from intramural.workloads.checkpoint import CheckpointWriter, Snapshot, load, newest_verified

KEEP = 2
JOB = JobId("job_1")


def folder_of(home):
    return home / "runs" / "run_1" / "checkpoints"


def snapshot(step, canary):
    """A state that holds the *canary* in its tensors and in the rest."""
    weights = torch.frombuffer(bytearray(canary), dtype=torch.uint8)
    return Snapshot(step, {"parameter.a": weights, "exp_avg.a": torch.full((64,), float(step))}, {"carried": canary.decode()})


class Checkpoints:
    """The checkpoints of a run on homes that are copies of one another, and so have the same key."""

    def __init__(self, context, canary):
        self._context, self._canary, self._files = context, canary, None

    def begin(self, home, *steps):
        """Make the run, and write its checkpoints of *steps*."""
        ctx = self._context(home)
        own = job_files(ctx, ctx.project, JOB)
        with ctx.store.writing() as tx:
            own.write_down(tx, ctx.project)
        self._files = own.files
        folder_of(home).parent.mkdir(parents=True, mode=0o700)
        for step in steps:
            self.write(home, step)

    def write(self, home, step):
        """Write the checkpoint of *step* as the training loop does."""
        writer = CheckpointWriter(folder_of(home), KEEP, lambda *_: None, self._files)
        writer.write(lambda: snapshot(step, self._canary))
        writer.wait()

    def state(self, home):
        """Return the step of each checkpoint that is seen and whole, the next attempt's, and what is not seen."""
        ctx = self._context(home)
        files = job_files(ctx, ctx.project, JOB).files
        every = sorted(folder_of(home).iterdir())
        newest, skipped = newest_verified([folder_of(home)])
        return {
            "versions": [self._judged(path, files) for path in every if not path.name.startswith(".")],
            "newest": [load(newest, files).step if newest else None, *skipped],
            "scratch": [path.name for path in every if path.name.startswith(".")],
            "certificates": 0,
            "half": [],
        }

    def _judged(self, path, files):
        try:
            found = load(path, files)
        except IntegrityFailure as error:
            return error.message
        meant = snapshot(found.step, self._canary)
        same = found.state == meant.state and all(
            torch.equal(found.tensors[name], each) for name, each in meant.tensors.items()
        )
        return found.step if same else f"{path.name} is not what was written"
