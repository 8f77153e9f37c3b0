"""A run that fills the disk is ended while there is room, and the platform goes on."""

import os
import shutil
from pathlib import Path

import pytest

from disks import a_disk
from integration.scheduler.run_world import until
from intramural.domain.cause import Cause
from intramural.domain.confinement import Confinement, Level
from intramural.domain.job import Outcome
from intramural.domain.spec import JobSpec
from intramural.scheduler.ending import classify
from intramural.scheduler.executor import Phase
from intramural.scheduler.executors.local import LocalExecutor
from intramural.walls.launch import launch
from intramural.walls.receipts import read_receipt
from intramural.workloads.environment import workload_environment

FILLER = """
import os, time
from pathlib import Path
def main(run):
    for number in range(4096):
        (run / f"filled-{number}").write_bytes(bytes(65536))
        time.sleep(0.002)
    return 0
"""
DISK = 128 * 2**20


GIVEN = "TEST_DISK"
"""Names an empty disk of that size, for a user who has no right to mount one."""


@pytest.fixture
def disk(tmp_path):
    if GIVEN in os.environ:
        yield Path(os.environ[GIVEN])
        for each in Path(os.environ[GIVEN]).iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        return
    with a_disk(tmp_path / "disk", f"size={DISK}") as folder:
        yield folder


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_a_run_is_ended_before_it_fills_the_disk(disk, tmp_path, level):
    home = disk / "home"
    (home / "runs" / "run_1").mkdir(parents=True, mode=0o700)
    (home / "runs" / "run_1" / "spec.json").write_text("{}")
    library = tmp_path / "library"
    library.mkdir()
    (library / "filler.py").write_text(FILLER)
    environment = {**workload_environment(inherited={"PATH": os.environ["PATH"]}), "PYTHONPATH": str(library)}
    executor = LocalExecutor(home, environment, warm=False, entry="filler:main", level=level)

    executor.submit("run_1", home / "runs" / "run_1", JobSpec(name="n", base="b", data="d"))
    status = until(lambda: (found := executor.poll(["run_1"])["run_1"]).phase is Phase.ENDED and found, seconds=60)

    outcome, failure = classify(status, None, "")
    assert (outcome, failure.cause) == (Outcome.FAILED, Cause.DISK_FULL)
    assert free(disk) > DISK // 100
    assert read_receipt(home / "walls" / "run_1").stopped_for == "disk"


def test_a_disk_that_was_almost_full_before_ends_no_run(disk, tmp_path):
    (disk / "there").write_bytes(bytes(free(disk) - 2**20))
    (disk / "run").mkdir()
    (tmp_path / "walls").mkdir()

    wish = Confinement(run_directory=str(disk / "run"))
    confined = launch(["/bin/sleep", "0.6"], wish, folder=tmp_path / "walls", level=Level.NAMESPACES)
    assert confined.wait(60)

    receipt = read_receipt(tmp_path / "walls")
    assert (receipt.exit_code, receipt.stopped_for, receipt.limits["disk"]) == (0, None, "supervisor")


def test_the_disk_is_watched_after_the_run_directory_was_renamed(disk, tmp_path):
    (disk / "spare").mkdir()
    (tmp_path / "walls").mkdir()

    confined = launch(
        ["/bin/sleep", "600"], Confinement(run_directory=str(disk / "spare")), folder=tmp_path / "walls", level=Level.NAMESPACES
    )
    (disk / "spare").rename(disk / "run")
    (disk / "filled").write_bytes(bytes(free(disk) - 2**20))

    assert confined.wait(60)
    receipt = until(lambda: (found := read_receipt(tmp_path / "walls")).complete and found, seconds=60)
    assert receipt.stopped_for == "disk"


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_a_run_whose_directory_was_removed_ends(tmp_path, level):
    for name in ("run", "walls"):
        (tmp_path / name).mkdir()

    confined = launch(
        ["/bin/sleep", "600"],
        Confinement(run_directory=str(tmp_path / "run"), required=Level.LANDLOCK),
        folder=tmp_path / "walls",
        level=level,
    )
    shutil.rmtree(tmp_path / "run")

    assert confined.wait(60)
    receipt = until(lambda: (found := read_receipt(tmp_path / "walls")).complete and found, seconds=60)
    assert (receipt.exit_code, receipt.stopped_for) == (128 + 9, None)


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
