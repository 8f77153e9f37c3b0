"""What a hostile trainer tries in a real run (job, scheduler, executor, walls), whoever runs the platform, at both levels."""

import json
import os
import sys
from pathlib import Path

import pytest

from chance import seeded
from living import files_of
from redteam import probes
from redteam.conftest import HERE

QUICK = [name for name in probes.ALL if name not in probes.TOO_MUCH]
ROUNDS = 5
NO_NAMESPACES = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps -all --inh-caps -all "$@"'
LIST = """
every_class:
  egress:
    - {host: localhost, port: PORT, private: true, up_bytes: 100000}
"""
WAYS = [
    ["localhost", "PORT", "localhost"],
    ["localhost", "PORT", "localhost"],
    ["localhost", "PORT", "other.example"],
    ["canary-in-a-name.example", 443, "x"],
    ["127.0.0.1", "PORT", "localhost"],
]


def run(attacker, tmp_name, level, **asked):
    """Run the hostile trainer as *attacker* on a home of its own; return what it printed."""
    place = Path(attacker.world["scratch"]) / f"{tmp_name}-{level}"
    place.mkdir()
    file = place / "asked.json"
    common = {"rounds": 1, "delay": 0.004, "seed": seeded().random(), "policy": "", "ways": [], "job": {}, "names": QUICK}
    file.write_text(json.dumps({**common, **asked}))
    for each in (place, file):
        os.chown(each, attacker.uid, attacker.uid)
    command = [
        sys.executable,
        str(HERE / "drive_run.py"),
        str(place),
        str(Path(attacker.world["home"]) / "world.json"),
        str(file),
    ]
    if level == "landlock":
        command = ["/usr/bin/unshare", "--map-current-user", "--keep-caps", "/bin/sh", "-c", NO_NAMESPACES, "sh", *command]
    done = attacker.run(command)
    if level == "landlock" and "max_user_namespaces" in done.stderr:
        pytest.skip("no user namespace to forbid them in")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["report"]["state"] == "succeeded", (said["report"]["evidence"], said["logs"])
    return said, json.loads(said["adapter"])


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_a_hostile_trainer_reaches_nothing_in_a_real_run(attacker, level):
    said, own = run(attacker, "probes", level, rounds=ROUNDS)

    assert [{name: each for name, each in found.items() if each == "reached"} for found in own["found"]] == [{}] * ROUNDS
    assert all(len(found) == len(QUICK) for found in own["found"])
    assert said["level"] == level
    assert own["processes"] is None if level == "landlock" else own["processes"] < 8
    assert said["others_stayed"]
    [attempt] = said["report"]["attempts"]
    assert attempt["walls"]["complete"]


@pytest.fixture(scope="module")
def went_out(attacker):
    """A run that tried several ways out, under a policy that lists one."""
    return run(attacker, "ways", "namespaces", names=[], policy=LIST, ways=WAYS)


def test_what_a_run_tries_to_reach_is_in_its_sealed_receipt_and_on_its_page(went_out):
    said, own = went_out

    statuses = [status for status, _ in own["ways"]]
    first, second, other, unlisted, address = own["ways"]
    assert (statuses, own["around"]) == ([200, 200, 200, 403, 403], "OSError")
    assert first[1] > 0
    assert first == second
    assert (other[1], unlisted[1], address[1]) == (0, 0, 0)

    lines = [json.loads(line) for line in said["receipt"].splitlines()]
    tried = [(line["host"], line["refusal"]) for line in lines if "attempt" in line]
    assert tried == [
        ("localhost", None), ("localhost", None), ("localhost", None),
        ("canary-in-a-name.example", "not_listed"), ("127.0.0.1", "address"),
    ]  # fmt: skip
    assert [(line["down_bytes"], line["refusal"]) for line in lines if "closed" in line] == [
        (first[1], None), (first[1], None), (0, "other_name"),
    ]  # fmt: skip
    assert "ended_at" in lines[-1]

    [attempt] = said["report"]["attempts"]
    walls = attempt["walls"]
    [reached] = walls["reached"]
    assert (reached["host"], reached["connections"], reached["cut"]) == ("localhost", 3, {"other_name": 1})
    assert (reached["up_bytes"], reached["down_bytes"]) == (first[1] // 10 * 2, first[1] * 2)
    assert walls["refusals"] == {"not_listed": 1, "address": 1}
    assert walls["around_proxy"] == 1
    assert all(f"localhost:{reached['port']}" in page for page in (said["html"], said["shown"]))
    assert "2 attempts to connect refused (1 address, 1 not listed)" in said["html"]


def test_a_name_that_a_run_chose_is_nowhere_but_in_its_sealed_receipt(attacker, went_out):
    said, _ = went_out

    home = Path(attacker.world["scratch"]) / "ways-namespaces" / "home"
    told = json.dumps({name: each for name, each in said.items() if name != "receipt"})
    assert "canary-in-a-name" not in told
    assert said["in_clear"] == []
    assert [path for path, content in files_of(home) if b"canary-in-a-name" in content] == []


def test_a_run_that_fills_memory_or_its_scratch_is_stopped_there(attacker):
    said, own = run(
        attacker, "bombs", "namespaces", names=["memory_bomb", "fill_scratch"],
        job={"resources": {"memory_gb": 0.6}}, bombs={"bomb_bytes": 2**30 + 2**26},
    )  # fmt: skip

    [found] = own["found"]
    assert "reached" not in found.values()
    [attempt] = said["report"]["attempts"]
    assert attempt["walls"]["limits"]["memory"] in {"cgroup", "rlimit"}
