"""A vault in a bucket whose server is killed under a job, and comes back: the job waits, says why, and nothing is lost."""

import sys
from pathlib import Path

import pytest
from run_world import holder, until
from world import events_of, furnish, job_of, member, runs_of, submit

from intramural.app.scheduler import ensure_scheduler
from intramural.cli.main import run as intramural
from intramural.domain.artifact import ArtifactKind
from intramural.domain.job import JobState
from intramural.service.artifacts import list_artifacts
from intramural.service.jobs import explain_job, show_job
from living import files_of

pytest.importorskip("obstore", reason="the extra s3 is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "vault"))

from provider_world import a_seaweed, seaweed_ports

SECRET = "secret-of-the-tests"  # noqa: S105 - of a server on loopback, for minutes


@pytest.fixture
def server(tmp_path):
    """Start the bucket's server, or start it again with all that it had."""
    folder, ports = tmp_path / "weed", seaweed_ports()
    folder.mkdir()
    return lambda: a_seaweed(folder, ports)


@pytest.fixture
def bucket_home(home, server, monkeypatch):
    """A home with its vault in a bucket, whose server is gone again."""
    import boto3  # noqa: PLC0415 - makes the bucket, nothing else

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("INTRAMURAL_HOME", str(home))
    with server() as (address, _):
        boto3.session.Session().client("s3", endpoint_url=address, region_name="us-east-1").create_bucket(Bucket="vault")
        (home / "intramural.toml").write_text(f'[vault]\nurl = "s3://vault/home"\nendpoint = "{address}"\n')
        furnish(home)
    return home


def waits(home, job):
    """What the platform says of a job that waits for something; nothing until it does."""
    told = explain_job(member(home), job)
    return told if told.waiting_since is not None else None


def is_told(home, job, capsys):
    """See that a waiting job says what is away, since when, and what happens next, and no secret."""
    told, shown = waits(home, job), show_job(member(home), job).waiting
    assert "The vault's bucket vault does not answer" in told.summary
    assert f"since {told.waiting_since:%Y-%m-%d %H:%M:%S} UTC" in told.summary
    assert "goes on by itself" in told.next_step
    assert shown.since == told.waiting_since
    assert intramural(["why", job]) == 0
    printed = capsys.readouterr().out
    assert "bucket vault does not answer" in printed
    assert ".." not in printed
    assert [path for path, content in files_of(home) if SECRET.encode() in content] == []


def succeeds(home, job):
    ended = until(lambda: (found := job_of(home, job)).state.is_final and found)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1), ended.failure
    assert runs_of(home, job)[-1].waiting is None


def test_a_job_that_cannot_be_given_its_inputs_waits_with_the_reason_and_starts_when_they_are_back(bucket_home, server, capsys):
    job = submit(bucket_home, "work-20")
    ensure_scheduler(bucket_home, ["--entry", "entries:main"])
    until(lambda: waits(bucket_home, job))
    is_told(bucket_home, job, capsys)
    assert not list((bucket_home / "runs").glob("*/begun"))

    with server():
        succeeds(bucket_home, job)

    assert [event.step for _, event in events_of(bucket_home, job, "step")] == list(range(1, 21))


def test_a_job_whose_result_cannot_be_kept_waits_with_the_reason_and_loses_nothing_of_it(bucket_home, server, capsys):
    with server():
        job = submit(bucket_home, "held-40")
        ensure_scheduler(bucket_home, ["--entry", "entries:main"])
        until(lambda: events_of(bucket_home, job, "step"))
    (bucket_home / "runs" / runs_of(bucket_home, job)[0].id / "go").touch()
    until(lambda: waits(bucket_home, job))
    is_told(bucket_home, job, capsys)
    assert job_of(bucket_home, job).state is JobState.RUNNING
    assert list_artifacts(member(bucket_home), job) == []

    with server():
        succeeds(bucket_home, job)
        kept = {each.kind: each for each in list_artifacts(member(bucket_home), job)}
        assert {ArtifactKind.LOGS, ArtifactKind.METRICS} <= kept.keys()
        assert all(member(bucket_home).vault.verify_tree(each.digest) for each in kept.values())
    assert [event.step for _, event in events_of(bucket_home, job, "step")] == list(range(1, 41))
    assert holder(bucket_home).is_alive()
