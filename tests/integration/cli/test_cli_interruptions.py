"""What is left when the person, the scheduler or the machine goes away in the middle."""

import os
import signal
import subprocess
import sys

import pytest
from cli_world import scheduler_of, until

from intramural.app.open import open_client
from intramural.cli.main import run
from intramural.cli.run import read_spec


@pytest.fixture
def waiting(home):
    """Start `run --wait` on a job that never ends by itself; hand it out once it trains."""
    started = []

    def start(name):
        command = [sys.executable, "-m", "intramural.cli.main", "run", str(home / "tune.yaml"), "--wait"]
        process = subprocess.Popen(
            [*command, "--set", f"name={name}", "--set", "train.steps=100000"],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        started.append(process)
        assert any(line.startswith("Training") for line in process.stderr)
        return process

    yield start
    for each in started:
        each.kill()
        each.communicate()
    client = open_client()
    for job in client.list_jobs():
        if not job.state.is_final:
            client.cancel_job(job.id)  # a test that failed must not keep the one place from the next


def test_interrupting_leaves_the_job_running_and_says_how_to_go_on(waiting, document):
    process = waiting("kept")
    job_id = document("show", "kept")["job_id"]

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)

    assert (process.returncode, out) == (130, "")
    assert f"intramural watch {job_id}" in err
    assert f"intramural cancel {job_id}" in err
    assert document("show", "kept")["state"] == "running"
    assert "kept" in document("model", "remove", "tiny", code=2)["error"]["message"]
    document("pause", "kept")
    until(lambda: document("show", "kept")["state"] != "running")
    paused = document("show", "kept")
    assert paused["state"] == "paused"
    assert document("resume", "kept")["checkpoint_step"] == paused["step"]
    document("cancel", "kept")
    assert run(["watch", "kept"]) == 1


def test_a_scheduler_killed_while_somebody_waits_is_replaced_and_the_job_goes_on(home, waiting, document):
    process = waiting("revived")
    killed = scheduler_of(home / "home")

    assert killed.kill()
    until(lambda: scheduler_of(home / "home") not in {None, killed})

    document("cancel", "revived")
    _, err = process.communicate(timeout=300)
    report = document("show", "revived")
    assert (process.returncode, report["state"], len(report["attempts"])) == (1, "cancelled", 1)
    assert "revived cancelled" in err


@pytest.mark.parametrize(("verb", "state"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_queued_job_is_steered_though_no_scheduler_lives(quiet_home, platform, document, verb, state):
    job = open_client(quiet_home).submit_job(read_spec(platform / "tune.yaml", ("name=alone",)))
    assert not (quiet_home / "scheduler.lock").exists()
    assert f"`intramural watch {job.id}` starts a scheduler" in document("why", "alone")["next_step"]

    assert document(verb, "alone")["state"] == state

    report = document("show", "alone")
    assert (report["state"], report["attempts"]) == (state, [])
