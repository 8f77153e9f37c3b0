"""Approvals on the command line: exit code 4 for what waits, a yes signed without a home, documents for scripts."""

import shutil
import subprocess

import pytest
from cli_world import TUNE

from intramural.cli.main import run

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="approvers sign with OpenSSH's ssh-keygen")


@pytest.fixture
def key(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "bob"], check=True, timeout=60)
    return str(tmp_path / "bob")


@pytest.fixture
def waiting(quiet_home, tmp_path, document, monkeypatch):
    """A job that waits for another person's yes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tune.yaml").write_text(TUNE)
    (tmp_path / "policy.yaml").write_text("every_class: {start_approvals: 1, approvals: 1}\n")
    assert run(["policy", "set", "policy.yaml"]) == 0
    return document("run", "tune.yaml", code=4)["id"]


def test_what_waits_for_a_yes_ends_with_code_4_and_says_so(waiting, document, capsys, tmp_path):
    assert run(["run", "tune.yaml", "--wait"]) == 4
    assert "waits until another person approved it" in capsys.readouterr().err
    assert document("why", waiting)["summary"] == "waiting for approval: it needs 1 approval and has none"
    adapter = next(each["id"] for each in document("artifact", "list") if each["kind"] == "adapter")
    error = document("artifact", "export", adapter, "-o", str(tmp_path / "out"), code=4)["error"]
    assert (error["code"], error["about"]["rule"]) == ("needs_approval", "approvals")


def test_a_request_is_signed_without_a_home_and_counts_only_for_who_is_listed(waiting, document, key, monkeypatch, tmp_path):
    assert run(["approvals", "request", waiting, "-o", "ask.json"]) == 0
    home = tmp_path / "home"
    monkeypatch.setenv("INTRAMURAL_HOME", str(tmp_path / "elsewhere"))

    assert run(["approve", "--request", "ask.json", "--key", key]) == 0

    assert (tmp_path / "ask.json.sig").read_text().startswith("-----BEGIN SSH SIGNATURE-----")
    assert not (tmp_path / "elsewhere").exists()
    monkeypatch.setenv("INTRAMURAL_HOME", str(home))
    refused = document("approvals", "add", "ask.json", code=5)["error"]  # no list on this machine names the key made here
    assert refused["about"]["rule"] == "approvers"
    assert document("approvals", "list") == []
    assert document("audit", "search", "--action", "object:approve")[0]["decision"] == "refused"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("approve",), 2),
        (("approve", "router", "--request", "ask.json"), 2),
        (("approve", "--request", "missing.json"), 2),
        (("approve", "--request", "policy.yaml"), 2),
        (("approve", "nothing"), 2),
        (("approve", "router", "--key", "missing"), 2),
        (("approvals", "add", "policy.yaml"), 2),
        (("approvals", "request", "nothing"), 2),
        (("approvals", "withdraw", "abc"), 2),
    ],
)
def test_a_mistake_is_one_of_usage(waiting, document, arguments, code):
    assert document(*arguments, code=code)["error"]["hint"]
