"""A machine finds out how firmly it confines, says so, and starts nothing below what is required; also for an ordinary user."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REACH = "import json; from intramural.walls.level import reach; r = reach(); print(json.dumps([r.level, r.reasons]))"
FORBIDDEN = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'


def test_this_machine_has_namespaces(attacker):
    done = attacker.run([sys.executable, "-c", REACH])

    assert (json.loads(done.stdout), done.returncode) == (["namespaces", []], 0)


def test_where_namespaces_are_forbidden_the_level_is_lower_and_the_reason_is_told():
    within = ["unshare", "--user", "--map-root-user", "sh", "-c", FORBIDDEN, "sh", sys.executable, "-c", REACH]
    done = subprocess.run(within, capture_output=True, text=True, check=False)
    if done.returncode and "max_user_namespaces" in done.stderr:
        pytest.skip("no user namespace to forbid it in")

    level, reasons = json.loads(done.stdout)

    assert level == "landlock"
    assert reasons[0].startswith("namespaces: The walls cannot be raised: bwrap:")


@pytest.mark.skipif(os.getuid() != 0, reason="the rest of this suite runs as an ordinary user anyway")
def test_gate_and_way_out_hold_for_an_ordinary_user_too(attacker):
    if attacker.uid == 0:
        pytest.skip("they run as the administrator beside this one")
    files = [str(HERE / f"test_redteam_{name}.py") for name in ("gate", "way_out")]
    same_for_all = "first_bytes or private_address or does_not_answer or both_be_listed or comes_back or so_many_bytes"
    base = f"{attacker.world['scratch']}/pytest"

    done = attacker.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={base}", "-k", f"not ({same_for_all})", *files]
    )

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
