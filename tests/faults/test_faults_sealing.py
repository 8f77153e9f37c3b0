"""Killed at every step of sealing, shredding, removing, rotating: nothing in clear or half visible; a retry completes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def turns(tmp_path, act):
    rows = tmp_path / "rows.jsonl"
    turn = '{"messages": [{"role": "user", "content": "SECRETSENTENCE %d"}, {"role": "assistant", "content": "yes"}]}\n'
    rows.write_text("".join(turn % n for n in range(30)))
    command = [sys.executable, Path(__file__).with_name("sealing_steps.py"), tmp_path / "homes", rows, act]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["killed"] for each in found] == [True] * (len(found) - 1) + [False]
    return found


@pytest.mark.parametrize(
    ("act", "least_steps", "before", "after"),
    [
        ("add", 12, ([], ["whole"]), ["whole"]),
        ("shred", 6, (["whole"], ["shredded"]), ["shredded"]),
        ("rotate", 6, (["whole"],), ["whole"]),
        ("remove", 6, (["whole"], []), []),
    ],
)
def test_a_kill_at_any_step_leaves_all_or_nothing(tmp_path, act, least_steps, before, after):
    found = turns(tmp_path, act)

    assert len(found) > least_steps
    for each in found:
        assert each["then"]["versions"] in before, each
        assert each["then"]["in_clear"] == each["retry"]["in_clear"] == [], each
        assert (each["problem"], each["retry"]["versions"]) == (None, after), each
        assert each["retry"]["scratch"] == [], each
        assert each["left"] == {"blobs": [], "keys": [], "again": False}, each
        assert each["swept"]["versions"] == after, each
        assert each["retry"]["certificates"] >= (act == "shred"), each
