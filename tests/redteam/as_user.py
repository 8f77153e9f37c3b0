"""
Become an ordinary user without an account, who can read what the tests need and nothing else of the administrator's.

    python as_user.py UID PATH,PATH,... COMMAND...

The interpreter may lie in a folder that only its owner enters. In mounts of this
process's own, such a folder is replaced by an empty one that shows the named paths.
"""

import ctypes
import os
import sys
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, PRIVATE, BIND, RECURSIVE = 0x20000, 0x40000, 0x1000, 0x4000


def mount(source, target, kind, flags, options=None):
    if LIBC.mount(source.encode(), str(target).encode(), kind, flags, options):
        raise OSError(ctypes.get_errno(), f"mount on {target}")


def closed_folder(path):
    """The highest folder above *path* that others may not enter."""
    return next((each for each in reversed(path.parents) if not each.stat().st_mode & 0o001), None)


def show(paths):
    closed = {}
    for path in paths:
        folder = closed_folder(path)
        if folder is not None:
            closed.setdefault(folder, []).append((path, os.open(path, os.O_PATH)))
    for folder, shown in closed.items():
        mount("none", folder, b"tmpfs", 0, b"mode=755")
        for path, handle in shown:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            path.mkdir(exist_ok=True) if Path(f"/proc/self/fd/{handle}").is_dir() else path.touch()
            mount(f"/proc/self/fd/{handle}", path, None, BIND | RECURSIVE)
            os.close(handle)


def main():
    uid, paths, command = int(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:]
    if LIBC.unshare(NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "unshare")
    mount("none", "/", None, PRIVATE | RECURSIVE)
    os.umask(0o022)
    show([Path(each) for each in paths])
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.umask(0o077)
    os.execv(command[0], command)  # noqa: S606 - a list of arguments; no shell is wanted


if __name__ == "__main__":
    main()
