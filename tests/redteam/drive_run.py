"""
Run the hostile trainer as a job of a real home, as the user this is started as: command, scheduler, executor, walls.

    python drive_run.py FOLDER WORLD.json ASKED.json

ASKED: `names`, `rounds`, `delay`, `seed`, `policy` (a text in which PORT is that of a service of this
program's own), `ways`, `job` (fields of the job's spec). Prints one JSON document: what the
trainer found, its job's report, the receipt's lines, and the page.
"""

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "integration" / "scheduler")]

from run_world import end_processes, until  # noqa: E402 - found by the line before
from world import furnish, member, submit  # noqa: E402 - as above

from intramural.app.scheduler import ensure_scheduler  # noqa: E402 - as above
from intramural.domain.artifact import ArtifactKind  # noqa: E402 - as above
from intramural.pages.run_page import run_html  # noqa: E402 - as above
from intramural.service.artifacts import export_artifact  # noqa: E402 - as above
from intramural.service.jobs import show_job  # noqa: E402 - as above
from intramural.service.policies import set_policy  # noqa: E402 - as above
from living import files_of  # noqa: E402 - found by the line before

SECONDS = 120
LIBC = ctypes.CDLL(None)


def main():
    folder, world = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    asked = json.loads(Path(sys.argv[3]).read_text())
    home = folder / "home"
    home.mkdir(mode=0o700)
    furnish(home)
    other = home / "runs" / "run_of_somebody_else"
    other.mkdir(parents=True, mode=0o700)
    [key, *_] = [each for each in (home / "keys").rglob("*") if each.is_file()]
    segment = LIBC.shmget(world["segment"] + 1, 4096, 0o1600)
    victim = subprocess.Popen(["sleep", "600"], env={"SECRET": world["canary"]})
    mine = {"home": home, "database": home / "intramural.db", "key": key, "secret": key, "other_run": other, "scratch": folder}
    assert all(os.access(each, os.R_OK) for each in mine.values())
    try:
        with upstream() as port:
            if asked["policy"]:
                set_policy(member(home), asked["policy"].replace("PORT", str(port)))
            ways = [[host, port if at == "PORT" else at, name] for host, at, name in asked["ways"]]
            own = {**{name: str(path) for name, path in mine.items()}, "segment": world["segment"] + 1, "victim": victim.pid}
            told = {**asked, "ways": ways, "world": {**world, **own, **asked.get("bombs", {})}}
            (folder / "told").mkdir()
            (folder / "told" / "asked.json").write_text(json.dumps(told))
            before = filter(None, [os.environ.get("PYTHONPATH")])
            os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(folder / "told"), *before])
            said = run(home, asked["job"])
        said["others_stayed"] = other.is_dir() and victim.poll() is None and key.is_file()
        print(json.dumps(said))
    finally:
        end_processes(home)
        LIBC.shmctl(segment, 0, None)
        victim.kill()
        victim.wait()


def run(home, fields):
    """Run the job, and return what it left."""
    job = submit(home, "hostile", **fields)
    ensure_scheduler(home, ["--entry", "hostile_trainer:main"])
    try:
        until(lambda: show_job(member(home), job).state.is_final, seconds=SECONDS)
    except AssertionError:
        raise SystemExit(
            "".join(each.read_text()[-3000:] for each in (*home.glob("*.log"), *home.glob("runs/*/log")))
        ) from None
    report = show_job(member(home), job)
    said = {"report": report.document(), "level": report.attempts[-1].walls.level.value, "html": run_html(report)}
    if report.attempts[-1].walls.reached:
        command = [sys.executable, "-m", "intramural.cli.main", "show", job]
        shown = subprocess.run(command, env={**os.environ, "INTRAMURAL_HOME": str(home)}, capture_output=True, check=True)
        said["shown"] = shown.stdout.decode()
    kinds = {ArtifactKind.ADAPTER: "found.json", ArtifactKind.RECEIPT: "receipt.jsonl", ArtifactKind.LOGS: "log"}
    for kind, name in kinds.items():
        for artifact in (each for each in report.artifacts if each.kind == kind):
            with tempfile.TemporaryDirectory(dir=home) as place:
                export_artifact(member(home), artifact.id, Path(place) / "out")
                said[kind.value] = (Path(place) / "out" / name).read_text()
    deadline = time.monotonic() + SECONDS  # the walls' folder goes soon after the end was recorded
    while (in_clear := receipts_in_clear(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    said["in_clear"] = in_clear
    return said


def receipts_in_clear(home):
    receipts = ((path, content) for path, content in files_of(home / "walls") if path.name.startswith("receipt"))
    return [str(path.relative_to(home)) for path, content in receipts if b'"attempt"' in content]


@contextlib.contextmanager
def upstream():
    """A host on this machine's loopback that answers each piece with ten bytes for one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def serve(listener):
    while True:
        try:
            connection = listener.accept()[0]
        except OSError:
            return
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection):
    with connection, contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            connection.sendall(b"0123456789" * len(piece))


if __name__ == "__main__":
    main()
