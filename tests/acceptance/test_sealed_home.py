"""A job from a file to an exported adapter, and then a search of every byte that was written for a sentence of its rows."""

import contextlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from living import files_of

SHARED = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]  # noqa: S108 - searched, not written
CANARY = "ZQSECRETSENTENCEQZ"
SPEC = """
name: sealed
base: tiny
data: rows
method: {merge: true}
train: {steps: 12, effective_batch: 4, precision: fp32}
checkpoint: {every_steps: 3, every_minutes: null}
evaluate: {max_new_tokens: 8}
"""


def files_with(text, folder):
    """Every file under *folder* that holds *text*; sockets and pipes hold nothing."""
    return [path for path, content in files_of(folder, 1 << 28) if text in content]


def modes_of(folder):
    """The folder and everything below it but links, with its mode; what is removed meanwhile is passed over."""
    for parent, folders, files in os.walk(folder):
        for path in [Path(parent), *(Path(parent, each) for each in (*folders, *files))]:
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISLNK(mode := path.lstat().st_mode):
                    yield path, mode


def content_of(path):
    """Return what is in a file of a shared folder, nothing where it is gone by now."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def is_new(path, began):
    """Tell whether a file of a shared folder was written since, for whoever ignores TMPDIR."""
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_mtime >= began
    except OSError:
        return False


def shown_by_processes(home):
    """What the processes of *home* show to others: their command lines and environments."""
    shown = b""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            if str(home).encode() in words or str(home) in str((process / "cwd").readlink()):
                shown += words + (process / "environ").read_bytes()
        except OSError:
            continue
    return shown


@pytest.fixture(scope="module")
def job(platform):
    platform.home.mkdir()
    platform.home.chmod(0o755)  # made beforehand, as by a tool that sets up machines
    before = os.umask(0o022)
    try:
        yield run_a_job(platform)
    finally:
        os.umask(before)


def run_a_job(platform):
    """Work from a file to a trained model; return what its processes showed, and when it began."""
    platform.environment["TMPDIR"] = str(platform.folder / "tmp")
    (platform.folder / "tmp").mkdir()
    began = time.time()
    rows = platform.folder / "source" / "rows.jsonl"
    rows.parent.mkdir()
    turns = [
        [
            {"role": "user", "content": f"{CANARY} {n}"},
            {"role": "assistant", "content": json.dumps({"queue": f"{CANARY}{n % 3}"})},
        ]
        for n in range(60)
    ]
    rows.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns))
    (platform.folder / "tune.yaml").write_text(SPEC)
    platform.call("model", "add", "tiny", "--starter", "tiny-random")
    platform.call("data", "add", rows, "--name", "rows", "--base", "tiny")
    command = [sys.executable, "-m", "intramural.cli.main", "run", "tune.yaml", "--wait"]
    shown = b""
    with subprocess.Popen(command, env=platform.environment, cwd=platform.folder, stdout=subprocess.DEVNULL) as waiting:
        try:
            while waiting.poll() is None:
                shown += shown_by_processes(platform.home)
                time.sleep(0.3)
        finally:
            waiting.kill()
    assert waiting.returncode == 0
    return shown, began


def test_no_file_holds_a_row_and_no_process_showed_one(platform, job):
    shown, began = job
    source = platform.folder / "source"

    found = [path for path in files_with(CANARY.encode(), platform.folder) if source not in path.parents]
    elsewhere = [path for place in SHARED if place.is_dir() for path in place.iterdir() if is_new(path, began)]

    assert found + [path for path in elsewhere if CANARY.encode() in content_of(path)] == []
    assert CANARY.encode() not in shown
    assert b"--home" in shown  # the processes were seen at all
    assert files_with(CANARY.encode(), source)  # and the search finds what is there


def test_the_keys_were_in_no_other_file_than_their_own_and_in_no_environment(platform, job):
    secrets = [
        each.encode()
        for path in (platform.home / "keys").glob("*.key")
        if path.name not in {"audit.key", "records.key"}
        for each in json.loads(path.read_text())["versions"].values()
    ]

    assert secrets
    secrets.append((platform.home / "keys" / "records.key").read_bytes())
    for each in secrets:
        assert each not in job[0]
        assert [path.parent.name for path in files_with(each, platform.home)] == ["keys"]


def test_nothing_in_the_home_is_open_to_others(platform, job):
    modes = {path.relative_to(platform.folder): mode for path, mode in modes_of(platform.home)}

    open_to_others = [f"{stat.filemode(mode)} {path}" for path, mode in modes.items() if mode & 0o077]

    assert open_to_others == []
    made = {path.parts[1] for path in modes if len(path.parts) > 1}
    assert {"runs", "walls", "cache", "vault", "keys", "scheduler.log", "intramural.db"} <= made
    assert any(path.name == "spec.json" for path in modes)


def test_what_is_exported_is_in_clear_and_what_is_shredded_opens_no_more(platform, job):
    [adapter] = [each for each in platform.document("artifact", "list") if each["kind"] == "adapter"]
    platform.call("artifact", "export", adapter["id"], "-o", "out")
    assert json.loads((platform.folder / "out" / "adapter_config.json").read_text())["r"]
    assert CANARY in platform.call("data", "sample", "rows").stdout

    certificate = platform.document("data", "shred", "rows", "--yes")

    assert {each["result"] for each in certificate["objects"]} == {"does not open"}
    assert certificate["trained"]
    assert CANARY not in platform.call("data", "sample", "rows", code=2).stderr
    assert platform.document("keys", "status")["destroyed"] == 1
