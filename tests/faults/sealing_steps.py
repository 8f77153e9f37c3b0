"""
Do one act on a home and die by SIGKILL at its steps in turn: `python sealing_steps.py HOMES ROWS ACT [FIRST EVERY]`.

A step is whatever the interpreter tells its audit hooks about files and databases: an open, a rename, a
removal, a flush is felt through the next one. Each turn works on a copy of the home before the act, in a fork of this process,
and then repeats the act. One line of JSON a turn: what was there after the kill, and after the retry.
Without FIRST and EVERY each step has its turn, else the one FIRST and each EVERYth after it.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from intramural.app.open import local_user, open_context
from intramural.domain.views import DatasetOptions
from intramural.errors import Conflict, IntegrityFailure, IntramuralError, NotFound
from intramural.intake import add as _loaded  # noqa: F401 - before the first fork
from intramural.service.audit import verify_audit
from intramural.service.datasets import add_dataset, list_datasets, sample_dataset
from intramural.service.keys import list_certificates, rotate_keys, shred_dataset
from intramural.service.removals import remove_dataset
from intramural.service.sweeping import sweep_home
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
_homes = str(Path(sys.argv[1]).absolute())


def hook(name, arguments):
    """Count a step down; die at the last."""
    global _left  # noqa: PLW0603 - a hook cannot be taken away again
    if _left < 0 or name not in STEPS:
        return
    path = str(arguments[0]) if arguments else ""
    if name == "open" and path.startswith("/") and not path.startswith(_homes):
        return  # libraries and walls: nothing of a home changes with them
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    _left -= 1


def context(home):
    return open_context(load_settings(home, {}), local_user())


def add(home, rows):
    return add_dataset(context(home), rows, "tickets", DatasetOptions(), lambda *_: None)


def remove(home, rows):
    with contextlib.suppress(NotFound):  # the one that was killed had done it
        remove_dataset(context(home), "tickets@1")


def sweep(home):
    """Sweep, and tell what there is that no row names; a second sweep finds nothing."""
    ctx = context(home)
    sweep_home(ctx)
    with ctx.read() as tx:
        named, keys = (
            tx.datasets.digests(shredded=False),
            tx.scope_keys.active([each.stem for each in home.glob("keys/key-*.key")]),
        )
    return {
        "blobs": sorted(path.name for path in home.glob("vault/??/*") if f"sha256:{path.parent.name}{path.name}" not in named),
        "keys": sorted({path.stem for path in home.glob("keys/key-*.key")} - keys),
        "again": not sweep_home(ctx).is_empty,
    }


ACTS = {
    "add": (lambda home, rows: None, add),
    "shred": (add, lambda home, rows: shred_dataset(context(home), "tickets")),
    "remove": (add, remove),
    "rotate": (add, lambda home, rows: rotate_keys(context(home))),
}


def checkpoint_acts():
    """Return the acts of a run that keeps two checkpoints, and what is found of them; loads torch, before the first fork."""
    from checkpoint_steps import Checkpoints  # noqa: PLC0415 - as it says

    run = Checkpoints(context, CANARY)
    acts = {
        "checkpoint": (lambda home, rows: run.begin(home, 1, 2, 3), lambda home, rows: run.write(home, 4)),
        "checkpoint-again": (lambda home, rows: run.begin(home, 3, 4), lambda home, rows: run.write(home, 4)),
    }
    return acts, run.state


def datasets(home):
    """What a person finds of the data sets in *home*."""
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
    return {
        "versions": found,
        "half": [each.is_half_shredded for each in list_datasets(ctx)],
        "certificates": len(list_certificates(ctx, "tickets")),
        "scratch": [
            path.name
            for path in (home / "work").rglob("*")
            if path.is_file() and path.suffix != ".lock" and path.name != ".lock"
        ],
    }


def state(home, look):
    """What *look* finds in *home*, whether the trail verifies, and which files hold rows in clear."""
    files = [path for path in home.rglob("*") if path.is_file()]
    in_clear = [path.name for path in files if CANARY in path.read_bytes()]
    return {**look(home), "trail": trail(home), "in_clear": in_clear}


def trail(home):
    try:
        verify_audit(context(home))
    except IntegrityFailure as error:
        return error.message
    return "whole"


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


def main(homes, rows, name, first=0, every=1):
    acts, look = checkpoint_acts() if name.startswith("checkpoint") else (ACTS, datasets)
    before, act = acts[name]
    made = homes / f"{name}-before"
    before(made, rows)
    step = first
    killed = True
    while killed:
        home = homes / f"{name}-{step}"
        if made.exists():
            shutil.copytree(made, home)
        killed = turn(home, rows, act, step)
        after_kill = state(home, look)
        try:
            act(home, rows)
            problem = None
        except IntramuralError as error:
            problem = error.message
        after_retry = {"retry": state(home, look), "problem": problem, "left": sweep(home), "swept": state(home, look)}
        print(json.dumps({"step": step, "killed": killed, "then": after_kill, **after_retry}), flush=True)
        step += every


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
