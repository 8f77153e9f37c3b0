"""
Where the time goes from a submission to the first forward pass, cold and warm.

    python bench/bench_start.py [--rounds N]

In a home of its own, with the `tiny-random` model and made rows: the first job starts the
scheduler and a process that imports the libraries (cold); the second comes right after the
first has ended (at once); the others find a spare that has imported them (warm).
Every figure is in seconds after the submission was committed, taken from what the run
left: the store, the times of its files, its events. The last line is the processor time
of the scheduler while a run was under way.
"""

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from intramural.app.open import open_client
from intramural.app.scheduler import LOCK, ensure_scheduler
from intramural.domain.spec import Evaluate, JobClass, JobSpec, Train
from intramural.domain.views import DatasetOptions, ModelSource
from intramural.intake.made_tickets import write_tickets
from intramural.walls.confined import adopt

PLACES = ("scheduler is there", "run claimed", "inputs staged", "process forked", "main entered", "first forward pass")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        client = open_client(home)
        client.add_model("tiny", ModelSource(starter="tiny-random"))
        write_tickets(Path(folder) / "rows.jsonl", 200, seed=1)
        client.add_dataset(Path(folder) / "rows.jsonl", "rows", DatasetOptions())
        try:
            cold = one(client, home)
            at_once = one(client, home)
            warm = [one(client, home) for _ in range(rounds) if spare_waits(home)]
            load = pace(client, home)
        finally:
            os.kill(int((home / LOCK).read_text().split(":")[1]), signal.SIGTERM)
            for waiting in home.glob("walls/*/walls.json"):
                adopt(waiting.parent).close()
    print(f"{'seconds after the submission':<30}{'cold':>8}{'at once':>9}{'warm p50':>10}{'worst':>8}   ({rounds} warm rounds)")
    for place in PLACES:
        found = [each[place] for each in warm]
        print(f"{place:<30}{cold[place]:>8.3f}{at_once[place]:>9.3f}{statistics.median(found):>10.3f}{max(found):>8.3f}")
    print(f"scheduler while a run is under way: {load:.1%} of one core")


def spare_waits(home):
    """Wait until a spare has taken in its libraries: it is idle then; return True."""
    used = -1.0
    while True:
        spares = [adopt(home / "walls" / each.parent.name) for each in home.glob("spares/*/idle")]
        now = sum(sum(psutil.Process(each.pid).cpu_times()[:2]) for each in spares if each.is_alive())
        if spares and now > 1 and now == used:
            return True
        used = now
        time.sleep(2)


def spec(**options):
    evaluate = Evaluate(before=False, suites=("loss",))
    return JobSpec(name="start", base="tiny", data="rows", job_class=JobClass.DEV, train=Train(**options), evaluate=evaluate)


def one(client, home):
    job = client.submit_job(spec(steps=2))
    submitted = job.submitted_at.timestamp()
    ensure_scheduler(home)
    there = time.time()
    report = finished(client, job.id)
    [folder] = [each.parent for each in home.glob("runs/*/spec.json") if submitted_at(each) == submitted]
    events = {(each.event.type, getattr(each.event, "phase", "")): each.event.at for each in client.job_events(job.id)}
    times = (
        there,
        report.started_at.timestamp(),
        (folder / "spec.json").stat().st_mtime,
        (folder / "pid.json").stat().st_mtime,
        events[("phase", "load")],
        events[("first_pass", "")],
    )
    return dict(zip(PLACES, (each - submitted for each in times), strict=True))


def submitted_at(path):
    return json.loads(path.read_text())["submitted_at"]


def pace(client, home):
    """Return the share of a core the scheduler takes while a run trains."""
    job = client.submit_job(spec(steps=100_000))
    ensure_scheduler(home)
    while not client.show_job(job.id).step:
        time.sleep(0.1)
    scheduler = psutil.Process(int((home / LOCK).read_text().split(":")[1]))
    before, began = sum(scheduler.cpu_times()[:2]), time.monotonic()
    time.sleep(5)
    share = (sum(scheduler.cpu_times()[:2]) - before) / (time.monotonic() - began)
    client.cancel_job(job.id)
    ensure_scheduler(home)
    finished(client, job.id)
    return share


def finished(client, job):
    while not (report := client.show_job(job)).state.is_final:
        time.sleep(0.02)
    return report


if __name__ == "__main__":
    main()
