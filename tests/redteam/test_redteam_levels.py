"""A machine finds out how firmly it confines, says so, and starts nothing below what is required; also for an ordinary user."""

import json
import subprocess
import sys

import pytest

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
