"""
Run `bomber` through the executor as every run is started, with no limit asked for, as the user this is started as.

    python drive_defaults.py FOLDER ASKED.json

ASKED: `level`, `warm`, `machine_bytes` (the memory that the default is computed from),
`names` of probes, their `world`, `threads`. Prints one JSON document: what the bomber found, how the
run ended, whether a spare served it, and its receipt's limits.
"""

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "integration" / "scheduler")]

from run_world import end_processes, until  # noqa: E402 - found by the line before

from intramural.domain.confinement import Level  # noqa: E402 - as above
from intramural.domain.spec import JobSpec  # noqa: E402 - as above
from intramural.scheduler.executor import Phase  # noqa: E402 - as above
from intramural.scheduler.executors.local import LocalExecutor  # noqa: E402 - as above
from intramural.walls.machine import Machine  # noqa: E402 - as above
from intramural.walls.receipts import read_receipt  # noqa: E402 - as above
from intramural.workloads.environment import workload_environment  # noqa: E402 - as above

SECONDS = 180


def main():
    folder, asked = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    home, told = folder / "home", folder / "told"
    run = home / "runs" / "run_1"
    for each in (run, told):
        each.mkdir(parents=True, mode=0o700)
    (run / "spec.json").write_text("{}")
    (told / "asked.json").write_text(json.dumps(asked))
    path = os.pathsep.join([str(HERE), str(told), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**workload_environment(inherited={"PATH": os.environ["PATH"]}), "PYTHONPATH": path}
    executor = LocalExecutor(
        home,
        environment,
        warm=asked["warm"],
        entry="bomber:main",
        level=Level(asked["level"]),
        machine=lambda: Machine(asked["machine_bytes"], os.cpu_count()),
    )
    try:
        executor.prepare()
        spares = os.listdir(home / "spares") if (home / "spares").is_dir() else []
        executor.submit("run_1", run, JobSpec(name="n", base="b", data="d"))
        status = until(lambda: (found := executor.poll(["run_1"])["run_1"]).phase is Phase.ENDED and found, SECONDS)
        walls = (home / "walls" / "run_1").resolve()
        said = json.loads((run / "found.json").read_text()) if (run / "found.json").exists() else {}
        said |= {"status": status.document(), "by_spare": walls.name in spares, "log": (run / "log").read_text()[-2000:]}
        print(json.dumps({**said, "limits": read_receipt(walls).limits if walls.is_dir() else None}))
    finally:
        executor.close()
        end_processes(home)


if __name__ == "__main__":
    main()
