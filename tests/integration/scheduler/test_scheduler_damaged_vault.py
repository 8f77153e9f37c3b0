"""Damaged bytes under a job end the command that follows it as they end one that reads them itself."""

import json

import pytest
from world import job_of, member

from intramural.cli.main import run
from intramural.domain.cause import Cause

TUNE = "name: router\nbase: small\ndata: rows\n"


@pytest.fixture
def damaged(furnished, monkeypatch):
    """A home whose training rows are not what they were."""
    monkeypatch.setenv("INTRAMURAL_HOME", str(furnished))
    monkeypatch.setenv("INTRAMURAL_WARM", "false")
    ctx = member(furnished)
    with ctx.read() as tx:
        [dataset] = tx.datasets.all(ctx.project)
    blob = furnished / "vault" / dataset.train_sealed[7:9] / dataset.train_sealed[9:]
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    return furnished


def test_a_run_that_meets_damaged_bytes_ends_with_the_code_of_integrity(damaged, tmp_path, capsys):
    (tmp_path / "tune.yaml").write_text(TUNE)

    waited = run(["run", str(tmp_path / "tune.yaml"), "--wait", "--json"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert job_of(damaged, report["job_id"]).failure.cause is Cause.INTEGRITY
    assert waited == run(["data", "sample", "rows"]) == run(["watch", report["job_id"]]) == 6
