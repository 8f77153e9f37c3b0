"""Nothing of the data comes out where it has no business; and what does come out is seen."""

import json
import os
import subprocess
import sys
import tempfile
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


@pytest.fixture
def folder():
    """A folder that an ordinary user may have as TMPDIR."""
    with tempfile.TemporaryDirectory(prefix="leaks-") as name:
        Path(name).chmod(0o777)
        yield name


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("who", ["as_root", "as_ordinary_user"])
def test_nothing_leaks(who, folder):
    """The whole story through the command line: intake, training, evaluation, crashes, errors, refusals, shredding."""
    if who == "as_root" and os.getuid() != 0:
        pytest.skip("not the administrator")
    become = []
    if who == "as_ordinary_user" and os.getuid() == 0:
        shown = ",".join([*python_view(), str(TESTS.parent)])
        become = [sys.executable, str(TESTS / "redteam" / "as_user.py"), str(ORDINARY), shown]
    done = subprocess.run(
        [*become, sys.executable, "-m", "intramural.cli.main", "audit", "leak-test", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": folder, "HOME": folder},
    )

    found = json.loads(done.stdout)
    assert (found["hits"], found["problems"]) == ([], [])
    assert (found["passed"], done.returncode) == (True, 0)
    assert len(found["canaries"]) >= 19
    assert all(found["seen"].values())
    assert len(found["seen"]) == 3


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
