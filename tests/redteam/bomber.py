"""
A trainer that sets off the bombs that an `asked.json` on Python's path names, and writes down what came of it.

So many processes as a run may have by default take a machine a minute to make. So a child
has `threads`, which count alike, and only the last of the limit are processes.
"""

import contextlib
import json
import os
import signal
import threading
from pathlib import Path

import probes

STACK_BYTES = 2**16


def main(run: Path) -> int:
    places = (Path(each) / "asked.json" for each in os.environ["PYTHONPATH"].split(os.pathsep))
    asked = json.loads(next(each for each in places if each.exists()).read_text())
    world = probes.World(asked["world"])
    said = {"found": {}, "ended_first": Path("/proc/self/oom_score_adj").read_text().strip()}
    for name in asked["names"]:
        try:
            with crowd(asked["threads"] if name == "fork_bomb" else 0):
                getattr(probes, name)(world)
        except (OSError, MemoryError, RuntimeError) as error:
            said["found"][name] = type(error).__name__
        else:
            said["found"][name] = "reached"
        (run / "found.json").write_text(json.dumps(said))
    return 0


@contextlib.contextmanager
def crowd(threads):
    """Have a child with so many threads. Raises RuntimeError where it may not have them."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            threading.stack_size(STACK_BYTES)
            waiting = threading.Lock()
            waiting.acquire()
            for _ in range(threads):
                threading.Thread(target=waiting.acquire, daemon=True).start()
            os.write(tell, b".")
            signal.pause()
        finally:
            os._exit(1)
    os.close(tell)
    try:
        if not os.read(told, 1):
            raise RuntimeError("too many threads")
        yield
    finally:
        os.close(told)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
