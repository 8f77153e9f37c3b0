"""Killed at every step of sealing, shredding, removing, rotating, checkpointing: all or nothing, and a retry completes."""

import json
import os
import sys
from pathlib import Path

import pytest

from chance import seeded
from ordinary import EVERYBODY, PATIENCE_SECONDS, own_folder, run_as, uid_of

COSTLY = {"add": 5}
"""As the second user, every so manieth step of an act that takes long, beginning at random; of the others every step."""


def turns(who, act):
    """What each turn of an act found, the last of which was not killed."""
    uid = uid_of(who)
    every = COSTLY.get(act, 1) if uid != os.getuid() else 1
    first = seeded().randrange(every)
    with own_folder(uid) as folder:
        rows = folder / "rows.jsonl"
        turn = '{"messages": [{"role": "user", "content": "SECRETSENTENCE %d"}, {"role": "assistant", "content": "yes"}]}\n'
        rows.write_text("".join(turn % n for n in range(30)))
        os.chown(rows, uid, uid)
        steps = Path(__file__).with_name("sealing_steps.py")
        done = run_as(uid, folder, [sys.executable, steps, folder / "homes", rows, act, first, every])
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["killed"] for each in found] == [True] * (len(found) - 1) + [False]
    return found, every


@pytest.mark.timeout(PATIENCE_SECONDS)
@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize(
    ("act", "least_steps", "before", "after"),
    [
        ("add", 12, ([], ["whole"]), ["whole"]),
        ("shred", 6, (["whole"], ["shredded"]), ["shredded"]),
        ("rotate", 6, (["whole"],), ["whole"]),
        ("remove", 6, (["whole"], []), []),
        ("checkpoint", 12, ([2, 3], [2, 3, 4], [3, 4]), [3, 4]),
        # The new one takes the place of the old: between the two the one before is the newest.
        ("checkpoint-again", 12, ([3, 4], [3]), [3, 4]),
    ],
)
def test_a_kill_at_any_step_leaves_all_or_nothing(who, act, least_steps, before, after):
    found, every = turns(who, act)

    assert len(found) * every > least_steps
    for each in found:
        assert each["then"]["versions"] in before, each
        assert each["then"]["in_clear"] == each["retry"]["in_clear"] == [], each
        assert {each[when]["trail"] for when in ("then", "retry", "swept")} == {"whole"}, each
        assert (each["problem"], each["retry"]["versions"]) == (None, after), each
        assert each["retry"]["scratch"] == [], each
        assert each["left"] == {"blobs": [], "keys": [], "again": False}, each
        assert each["swept"]["versions"] == after, each
        assert each["retry"]["certificates"] >= (act == "shred"), each
        for when in ("then", "retry", "swept") if "newest" in each["then"] else ():
            assert each[when]["newest"] == [max(each[when]["versions"])], each
        is_told = each["then"]["versions"] == ["shredded"] and not each["then"]["certificates"]
        assert any(each["then"]["half"]) == is_told, each
        assert not any(each["retry"]["half"]), each
    if act == "shred":
        assert any(any(each["then"]["half"]) for each in found)
