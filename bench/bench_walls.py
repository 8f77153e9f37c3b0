"""
What it costs to start a confined process: from the call to the end of `true`, with and without walls.

    python bench/bench_walls.py [--rounds N]

Every round starts one process of each kind, so that a busy machine slows all alike.
`plain` is `subprocess.run`; `none` has a supervisor and its gate but no walls. The last
column is what the walls add to the median of a plain start, `started` the time until
the process is at work, which is what a run waits for. The goal is 50 ms.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from intramural.domain.confinement import Confinement, Level
from intramural.walls.launch import launch
from intramural.walls.level import reach

GOAL_MS = 50
TRUE = "/bin/true"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    found = reach()
    print(f"level of this machine: {found.level}" + "".join(f"\n  {reason}" for reason in found.reasons))
    kinds = {"plain": None, **{each.value: each for each in reversed(Level) if each <= found.level}}
    times = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as folder:
        for each in range(rounds):
            for name, level in kinds.items():
                times[name].append(plain() if level is None else confined(Path(folder) / f"{name}-{each}", level))
    print(f"{'':<12}{'started':>10}{'ended':>10}{'p90':>10}{'walls add':>12}   (ms, medians of {rounds})")
    base = statistics.median(each[0] for each in times["plain"])
    for name, measured in times.items():
        started, ended = (statistics.median(column) for column in zip(*measured, strict=True))
        p90 = statistics.quantiles([each[0] for each in measured], n=10)[-1]
        print(f"{name:<12}{started:>10.1f}{ended:>10.1f}{p90:>10.1f}{started - base:>12.1f}")
    added = statistics.median(each[0] for each in times[found.level.value]) - base
    print(f"goal: below {GOAL_MS} ms; {'met' if added < GOAL_MS else 'missed'} with {added:.1f} ms")


def plain():
    began = time.perf_counter()
    subprocess.run([TRUE], check=True)
    took = (time.perf_counter() - began) * 1000
    return took, took


def confined(folder, level):
    run = folder / "run"
    run.mkdir(parents=True)
    wish = Confinement(run_directory=str(run), required=Level.NONE)
    began = time.perf_counter()
    process = launch([TRUE], wish, folder=folder, level=level)
    started = time.perf_counter()
    assert process.wait(30)
    ended = time.perf_counter()
    process.close()
    return (started - began) * 1000, (ended - began) * 1000


if __name__ == "__main__":
    main()
