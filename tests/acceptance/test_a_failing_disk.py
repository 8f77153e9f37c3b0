"""A disk that fails under a run: from one moment on nothing can be written, until the machine starts again and repairs it."""

from run_world import end_processes

from command_world import Platform
from disks import a_failing_disk
from intramural.intake.made_tickets import write_tickets
from intramural.walls.processes import Process
from workload_world import until

STEPS = 60
TUNE = f"""
name: router
base: tiny
data: tickets
train:
  steps: {STEPS}
  effective_batch: 2
  pass_tokens: 512
checkpoint:
  every_steps: 5
  every_minutes: null
evaluate:
  limit: 4
  max_new_tokens: 4
"""


def test_a_run_goes_on_after_its_disk_failed_and_was_repaired(tmp_path):
    with a_failing_disk(tmp_path / "disk", tmp_path / "image") as disk:
        platform = Platform(disk.folder)
        write_tickets(disk.folder / "tickets.jsonl", 60, seed=11)
        (disk.folder / "tune.yaml").write_text(TUNE)
        platform.call("model", "add", "tiny", "--starter", "tiny-random")
        platform.call("data", "add", "tickets.jsonl", "--name", "tickets")
        job = platform.call("run", "tune.yaml", "--detach").stdout.strip()
        before = until(lambda: kept(platform, job), 180)

        disk.fail()

        for words in (["ps"], ["show", job], ["data", "add", "tickets.jsonl", "--name", "more"], ["audit", "verify"]):
            error = platform.document(*words, code=8)["error"]
            assert "Read-only file system" in error["message"]
            assert "dmesg" in error["hint"]
        until(lambda: not working(platform), 60)
        end_processes(platform.home)
        disk.come_back()

        assert platform.document("show", job)["state"] == "running"
        *_, report = platform.lines("watch", job)
        assert (report["state"], report["step"]) == ("succeeded", STEPS)
        first, second = report["attempts"]
        assert (first["outcome"], first["cause"]) == ("failed", "killed")
        assert second["resumed_from_step"] >= before["checkpoints"][-1]["step"]
        assert [each["step"] for each in report["curve"]] == list(range(1, STEPS + 1))
        assert platform.document("audit", "verify")["entries"] >= 6
        assert [each["name"] for each in platform.document("data", "list")] == ["tickets"]
        end_processes(platform.home)


def kept(platform, job):
    """Return the job's report once it has a checkpoint."""
    report = platform.document("show", job)
    return report if report["checkpoints"] else None


def working(platform):
    """Tell whether the run's process is still there."""
    return any(process.is_alive() for process in map(Process.read, platform.home.glob("runs/*/pid.json")) if process)
