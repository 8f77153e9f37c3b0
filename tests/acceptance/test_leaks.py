"""Nothing of the data comes out where it has no business; and what does come out is seen."""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from intramural.walls.launch import python_view

ORDINARY = 54_323
"""A user without an account."""
TESTS = Path(__file__).parents[1]
LEAKY = """
import json, sys
from intramural.app.leak_test.running import leak_test
found = leak_test(acts=["adding a model and data", "a trainer that breaks"], entry="leaky_entry:main")
print(json.dumps(found.document()))
"""


@pytest.mark.timeout(1800)
def test_nothing_leaks():
    """The whole story through the command line: intake, training, evaluation, crashes, errors, refusals, shredding.

    As the administrator, where the tests are run so, and as an ordinary user: both at once.
    """
    users = ["ordinary", "root"] if os.getuid() == 0 else ["ordinary"]
    with tempfile.TemporaryDirectory(prefix="leaks-") as folder, ThreadPoolExecutor(len(users)) as threads:
        Path(folder).chmod(0o755)
        every = list(threads.map(lambda who: leak_test(who, Path(folder) / who), users))

    for found, code in every:
        assert (found["hits"], found["problems"]) == ([], [])
        assert (found["passed"], code) == (True, 0)
        assert len(found["canaries"]) >= 31
        assert all(found["seen"].values())
        assert len(found["seen"]) == 5
        called = " ".join(found["commands"])
        for verb in ("data redact", "data trace --rows", "data scan --sample", "quarantine", "lineage", "approvals request"):
            assert f"intramural {verb}" in called
        assert "intramural approve --request" in called or any("approve" in each for each in found["unread"])


def leak_test(who, folder):
    """The report of one story, and the exit code; *folder* is its TMPDIR."""
    folder.mkdir(mode=0o700)
    become = []
    if who == "ordinary" and os.getuid() == 0:
        os.chown(folder, ORDINARY, ORDINARY)
        shown = ",".join([*python_view(), str(TESTS.parent)])
        become = [sys.executable, str(TESTS / "redteam" / "as_user.py"), str(ORDINARY), shown]
    done = subprocess.run(
        [*become, sys.executable, "-m", "intramural.cli.main", "audit", "leak-test", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder)},
    )
    assert done.stdout, done.stderr[-2000:]
    return json.loads(done.stdout), done.returncode


def test_a_trainer_that_leaks_is_seen_in_every_place():
    """The proof that the test above can fail."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", LEAKY], capture_output=True, text=True, check=True, env=environment)

    hits = [(each["place"], each["inside"].partition(" ")[0]) for each in json.loads(done.stdout)["hits"]]
    for place, packing in (
        ("/log", ""),
        ("/rows.json", ""),
        ("/short-lived", ""),
        ("/cache.gz", "gzip"),
        ("(deleted)", ""),
        ("environment of", ""),
        ("command line of", ""),
        ("output of intramural logs", ""),
        ("home/vault/", "never"),
        ("home/intramural.db", "never"),
    ):
        assert any(place in where and packing == how for where, how in hits) == (packing != "never"), (place, hits)
