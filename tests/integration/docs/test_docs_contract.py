"""The trainer that `docs/develop/workload-contract.md` prints is run: what the page promises of it holds."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from factories import a_model
from intramural.app.open import local_user, open_context, scheduler_actor
from intramural.client.transport import silent
from intramural.domain.artifact import ArtifactKind
from intramural.domain.job import JobState
from intramural.domain.spec import JobSpec
from intramural.domain.views import DatasetOptions
from intramural.intake.made_tickets import write_tickets
from intramural.scheduler.executors.local import LocalExecutor
from intramural.scheduler.loop import Loop
from intramural.service import artifacts, datasets, jobs
from intramural.settings import load_settings
from intramural.walls.processes import Process
from intramural.workloads.environment import workload_environment

PAGE = Path(__file__).parents[3] / "docs" / "develop" / "workload-contract.md"
LONG = 2_000
"""Steps that are interrupted after the first 500 of them."""
PACED = """
import time
import length_trainer

plain = length_trainer.tell

def tell(run, kind, **fields):
    plain(run, kind, **fields)
    if kind == "step" and fields["step"] > 500 and not (run / "inputs" / "checkpoints").exists():
        time.sleep(0.1)

length_trainer.tell = tell
main = length_trainer.main
"""
"""The page's trainer, but that a first start goes on slowly after 500 steps: it does not end before it is interrupted."""


def printed_trainer():
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return text


class Home:
    """A home with rows in it, whose jobs are done by the page's trainer."""

    def __init__(self, folder):
        self.path = folder / "home"
        code = folder / "code"  # a run sees all of it, so the home must not lie below
        code.mkdir()
        (code / "length_trainer.py").write_text(printed_trainer())
        (code / "paced_trainer.py").write_text(PACED)
        settings = load_settings(self.path, {})
        self.member = open_context(settings, local_user())
        self.system = open_context(settings, scheduler_actor())
        environment = {**workload_environment(inherited={"PATH": os.environ["PATH"]}), "PYTHONPATH": str(code)}
        self.executor = LocalExecutor(self.path, environment, warm=False, entry="paced_trainer:main")
        self.loop = Loop(self.system, self.executor, holder="one")
        self._furnish(folder)

    def _furnish(self, folder):
        (folder / "model").mkdir()
        (folder / "model" / "config.json").write_text("{}")
        digest, _ = self.member.vault.put_tree(folder / "model")
        with self.member.store.writing() as tx:
            tx.models.add(self.member.project, a_model(digest=digest))
        write_tickets(folder / "rows.jsonl", 50, seed=1)
        datasets.add_dataset(self.member, folder / "rows.jsonl", "rows", DatasetOptions(), silent)

    def submit(self, steps):
        spec = JobSpec.model_validate({"name": "lengths", "base": "tiny", "data": "rows", "train": {"steps": steps}})
        return jobs.submit_job(self.member, spec).id

    def tick_until(self, holds):
        deadline = time.monotonic() + 240
        while not (found := holds()):
            assert time.monotonic() < deadline, "it did not happen in time"
            self.loop.tick()
            time.sleep(0.005)
        return found

    def report(self, job):
        return jobs.show_job(self.member, job)

    def wait_for(self, job, state):
        self.tick_until(lambda: jobs.explain_job(self.member, job).state is state)
        return self.report(job)

    def checkpoints(self):
        return sorted(self.path.glob("runs/*/checkpoints/step-*"))

    def steps(self, job):
        """Every step event, as (attempt, what a drill compares)."""
        events = []
        while batch := jobs.job_events(self.member, job, after=events[-1].seq if events else 0, limit=100_000):
            events += batch
        told = [(each.attempt, each.event) for each in events if each.event.type == "step"]
        return [(attempt, (event.step, event.loss, event.grad_norm, event.batch_digest)) for attempt, event in told]

    def process(self):
        found = [Process.read(path) for path in self.path.glob("runs/*/pid.json")]
        return next((each for each in found if each and each.is_alive()), None)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    yield home
    home.loop.close()
    if process := home.process():
        process.kill()


def test_it_runs_to_its_end_and_leaves_an_artifact(home):
    job = home.submit(30)

    report = home.wait_for(job, JobState.SUCCEEDED)

    assert [step for _, (step, *_) in home.steps(job)] == list(range(1, 31))
    assert report.curve[-1].loss < report.curve[0].loss
    assert ArtifactKind.ADAPTER in {each.kind for each in artifacts.list_artifacts(home.member, job)}


def test_a_pause_is_a_checkpoint_and_a_rest_and_costs_no_step(home):
    job = home.submit(LONG)
    home.tick_until(lambda: home.steps(job))
    jobs.pause_job(home.member, job)

    paused = home.wait_for(job, JobState.PAUSED)
    jobs.resume_job(home.member, job)
    ended = home.wait_for(job, JobState.SUCCEEDED)

    assert 0 < paused.step < LONG
    assert [each.step for each in paused.checkpoints][-1] == paused.step
    assert [each.resumed_from_step for each in ended.attempts] == [None, paused.step]
    assert [step for _, (step, *_) in home.steps(job)] == list(range(1, LONG + 1))


def test_a_kill_costs_steps_that_are_taken_again_exactly(home):
    job = home.submit(LONG)
    home.tick_until(home.checkpoints)
    assert home.process().send(signal.SIGKILL)

    ended = home.wait_for(job, JobState.SUCCEEDED)

    assert len(ended.attempts) == 2
    assert ended.attempts[1].resumed_from_step >= 200
    told = home.steps(job)
    killed = {step[0]: step for attempt, step in told if attempt == 1}
    again = {step[0]: step for attempt, step in told if attempt == 2}
    repeated = killed.keys() & again.keys()
    assert {number: again[number] for number in repeated} == {number: killed[number] for number in repeated}
    assert killed.keys() | again.keys() == set(range(1, LONG + 1))


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(home):
    job = home.submit(LONG)
    home.tick_until(lambda: len(home.checkpoints()) > 1)
    jobs.pause_job(home.member, job)
    home.wait_for(job, JobState.PAUSED)
    *_, before, newest = home.checkpoints()
    (newest / "state.json").write_bytes(b"[1")
    jobs.resume_job(home.member, job)

    ended = home.wait_for(job, JobState.SUCCEEDED)

    assert ended.attempts[1].resumed_from_step == int(before.name.removeprefix("step-"))
