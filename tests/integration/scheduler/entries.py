"""
Workloads for the tests: real processes that do what their job's name says.

`main` stands where `intramural.workloads.train:main` stands; it imports next to nothing.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from intramural.workloads import run_keys

STEP_SECONDS = 0.01


class Asked(BaseException):
    """SIGTERM arrived."""


def main(run: Path) -> int:
    name = json.loads((run / "spec.json").read_text())["job"]["name"]
    with (run / "begun").open("a") as file:
        file.write(f"{os.getpid()}\n")  # one line for each start
    behaviour, _, number = name.partition("-")
    return BEHAVIOURS[behaviour](run, int(number or 0))


def tell(run: Path, **event):
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps({"at": time.time(), **event}) + "\n")


def succeed(run: Path, _: int) -> int:
    tell(run, type="outcome", outcome="succeeded")
    return 0


def leave(_: Path, code: int) -> int:
    return code


def keys(_: Path, __: int) -> int:
    """End with a code that tells how many keys came through the pipe."""
    return 10 + len(run_keys.held())


def fail(_: Path, __: int) -> int:
    raise RuntimeError("the customer's secret sentence")


def die(_: Path, number: int) -> int:
    signal.raise_signal(signal.Signals(number))
    time.sleep(30)
    return 0


def sleep(run: Path, _: int) -> int:
    def asked(*_):
        raise Asked

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGUSR1, lambda *_: (run / "checkpoint-asked").touch())
    try:
        (run / "ready").touch()
        time.sleep(600)
    except Asked:
        tell(run, type="outcome", outcome="stopped")
        return 3
    return 0


def deaf(run: Path, _: int) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (run / "ready").touch()
    time.sleep(600)
    return 0


def environment(run: Path, _: int) -> int:
    (run / "environment.json").write_text(json.dumps(dict(os.environ)))
    fds = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    blocked = sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    state = {"fds": fds[:-1], "cwd": os.getcwd(), "session": os.getsid(0) == os.getpid(), "blocked": blocked}
    (run / "state.json").write_text(json.dumps(state))
    print("said on standard output")
    print("said on standard error", file=sys.stderr)
    return 0


def loss_at(step: int) -> float:
    return 3.0 / (1 + step / 7) + (step * 2654435761 % 1000) / 1e5


def checkpoint(run: Path, step: int) -> None:
    beside = run / "checkpoints" / f".step-{step:08d}"
    beside.mkdir(parents=True)
    (beside / "state.json").write_text(json.dumps({"step": step}))
    beside.rename(run / "checkpoints" / f"step-{step:08d}")
    tell(run, type="checkpoint", step=step, size_bytes=20, blocked_seconds=0.0, write_seconds=0.0)


def work(run: Path, steps: int, hold: int = 0) -> int:
    """Train: a loss that depends on the step only, a checkpoint every 8 steps, exact resume from the newest."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    kept = sorted((run / "inputs" / "checkpoints").glob("step-*")) if (run / "inputs" / "checkpoints").exists() else []
    begin = json.loads((kept[-1] / "state.json").read_text())["step"] if kept else 0
    tell(run, type="phase", phase="train")
    if begin:
        tell(run, type="resume", step=begin)
    for step in range(begin + 1, steps + 1):
        while step == hold and not begin and not asked and not (run / "go").exists():
            time.sleep(STEP_SECONDS)
        time.sleep(STEP_SECONDS)
        numbers = {"loss": loss_at(step), "grad_norm": loss_at(step) / 3, "learning_rate": 1e-4, "tokens": 100, "seconds": 0.01}
        tell(run, type="step", step=step, total_steps=steps, batch_digest=f"b{step}", memory_bytes=1, **numbers)
        if step % 8 == 0 or asked:
            checkpoint(run, step)
        if asked:
            tell(run, type="outcome", outcome="stopped")
            return 3
    tell(run, type="outcome", outcome="succeeded", tokens_per_second=1.0, peak_memory_bytes=1)
    return 0


def held(run: Path, steps: int) -> int:
    """Work; a first start comes no further than half way until it is asked to stop, or `go` lies in its folder."""
    return work(run, steps, hold=steps // 2)


def peek(run: Path, _: int) -> int:
    """Write down what of the home can be read, and what of the folder's inputs can be written."""
    home = run.parent.parent
    seen = [str(each.relative_to(home)) for each in home.rglob("*") if run != each and run not in each.parents]
    written = []
    for name in ("new", "row"):
        with contextlib.suppress(OSError):
            (run / "inputs" / name).write_text("x")
            written.append(name)
    with contextlib.suppress(OSError):
        (run / "inputs" / "row").chmod(0o600)
        written.append("mode")
    interfaces = Path("/proc/net/dev").read_text().count(":")
    (run / "peek.json").write_text(json.dumps({"seen": sorted(seen), "written": written, "interfaces": interfaces}))
    (run / "outputs").symlink_to("/etc")
    return 0


BEHAVIOURS = {each.__name__: each for each in (succeed, leave, keys, fail, die, sleep, deaf, environment, work, held, peek)}
