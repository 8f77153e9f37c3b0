"""
Run the probes as the user this is started as: outside the walls, or inside, several times with random delays.

    python drive.py WORLD.json LEVEL|outside REPEATS LIMITS.json NAME...

Prints one JSON list, what each repeat found, and a last item: the receipts' levels and limits.
"""

import ctypes
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from intramural.domain.confinement import Confinement, Level, Limits
from intramural.walls.launch import launch, python_view
from intramural.walls.receipts import read_receipt

PROBES = Path(__file__).with_name("probes.py")
LONGEST_DELAY = 0.02
SECONDS = 60
LIBC = ctypes.CDLL(None)
DELAYS = random.SystemRandom()


def main():
    world_file, level, repeats, limits, names = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:]
    world = json.loads(Path(world_file).read_text())
    segment = make_segment(world["segment"])
    victim = subprocess.Popen(["sleep", "600"], env={"SECRET": world["canary"]})
    left_open = socket.create_connection(("127.0.0.1", world["tcp"]))
    left_open.set_inheritable(True)
    try:
        with tempfile.TemporaryDirectory(dir=world["scratch"]) as folder:
            rounds = [
                one(Path(folder) / str(each), world | {"victim": victim.pid}, level, limits, names) for each in range(repeats)
            ]
    finally:
        LIBC.shmctl(segment, 0, None)
        victim.kill()
        victim.wait()
    print(json.dumps(rounds))


def make_segment(name):
    """Make a segment of shared memory, as a program of this user might."""
    segment = LIBC.shmget(name, 4096, 0o1600)
    assert segment >= 0
    return segment


def one(folder, world, level, limits, names):
    run = folder / "run"
    run.mkdir(parents=True)
    command = [sys.executable, "-I", "-S", str(PROBES), "world.json", str(LONGEST_DELAY), *names]
    wishes = json.loads(limits)
    in_memory = wishes.pop("in_memory", False)
    if level == "outside":
        (run / "world.json").write_text(json.dumps(world))
        done = subprocess.run(command, cwd=run, close_fds=False, capture_output=True, check=True, timeout=SECONDS)
        return {"found": json.loads(done.stdout)}
    with open(folder / "said", "w+b") as said:
        wish = Confinement(
            read_only=(*python_view(), str(PROBES)),
            run_directory=None if in_memory else str(run),
            run_bytes=8 * 2**20,
            limits=Limits(**wishes),
            required=Level(level),
        )
        confined = launch(command, wish, folder=folder, level=Level(level), output=said.fileno(), hold=True)
        try:
            (confined.run / "world.json").write_text(json.dumps(world))
            time.sleep(DELAYS.uniform(0, LONGEST_DELAY * 2))
            confined.release()
            assert confined.wait(SECONDS)
        finally:
            confined.close()
        said.seek(0)
        printed = said.read().decode()
    receipt = read_receipt(folder)
    try:
        found = json.loads(printed.splitlines()[-1])
    except (ValueError, IndexError):
        raise SystemExit(f"The probes ended with {receipt.exit_code}: {printed[-2000:]}") from None
    return {"found": found, "level": receipt.level, "limits": receipt.limits, "complete": receipt.complete, "by": os.getuid()}


if __name__ == "__main__":
    main()
