"""
Do one act on a home and die by SIGKILL at every step of it in turn: `python sealing_steps.py HOMES ROWS ACT`.

A step is whatever the interpreter tells its audit hooks about files and databases: an open, a rename, a
removal, a flush is felt through the next one. Each turn works on a home of its own, made by a fork of this process,
and then repeats the act. One line of JSON a turn: what was there after the kill, and after the retry.
"""

import json
import os
import signal
import sys
from pathlib import Path

from intramural.app.open import local_user, open_context
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, IntegrityFailure, IntramuralError
from intramural.intake import add as _loaded  # noqa: F401 - before the first fork
from intramural.service.datasets import add_dataset, list_datasets, sample_dataset
from intramural.service.keys import list_certificates, rotate_keys, shred_dataset
from intramural.settings import load_settings

STEPS = {
    "open",
    "os.rename",
    "os.remove",
    "os.link",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "os.truncate",
    "shutil.rmtree",
    "fcntl.flock",
}
CANARY = b"SECRETSENTENCE"

_left = -1


def hook(name, arguments):
    """Count a step down; die at the last."""
    global _left  # noqa: PLW0603 - a hook cannot be taken away again
    if _left < 0 or name not in STEPS:
        return
    if name == "open" and str(arguments[0]).endswith((".py", ".pyc", ".so")):
        return
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    _left -= 1


def context(home):
    return open_context(load_settings(home, {}), local_user())


def add(home, rows):
    return add_dataset(context(home), rows, "tickets", DatasetOptions(), lambda *_: None)


ACTS = {
    "add": (lambda home, rows: None, add),
    "shred": (add, lambda home, rows: shred_dataset(context(home), "tickets")),
    "rotate": (add, lambda home, rows: rotate_keys(context(home))),
}


def state(home):
    """What a person finds in *home*."""
    ctx = context(home)
    found = []
    for each in list_datasets(ctx):
        try:
            rows = len(sample_dataset(ctx, each.label, 1000, "train").rows)
            found.append("whole" if rows == each.train_examples else "half")
        except Conflict:
            found.append("shredded")
        except IntegrityFailure:
            found.append("broken")
    files = [path for path in home.rglob("*") if path.is_file()]
    return {
        "versions": found,
        "certificates": len(list_certificates(ctx, "tickets")),
        "in_clear": [path.name for path in files if CANARY in path.read_bytes()],
        "scratch": [
            path.name
            for path in (home / "work").rglob("*")
            if path.is_file() and path.suffix != ".lock" and path.name != ".lock"
        ],
    }


def turn(home, rows, act, step):
    """Do the act in a child that dies at *step*; tell whether it did."""
    child = os.fork()
    if child == 0:
        global _left  # noqa: PLW0603 - see `hook`
        sys.addaudithook(hook)
        _left = step
        act(home, rows)
        _left = -1
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(homes, rows, name):
    before, act = ACTS[name]
    step = 0
    killed = True
    while killed:
        home = homes / f"{name}-{step}"
        before(home, rows)
        killed = turn(home, rows, act, step)
        after_kill = state(home)
        try:
            act(home, rows)
            problem = None
        except IntramuralError as error:
            problem = error.message
        print(
            json.dumps({"step": step, "killed": killed, "then": after_kill, "retry": state(home), "problem": problem}),
            flush=True,
        )
        step += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
