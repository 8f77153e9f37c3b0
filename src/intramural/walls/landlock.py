"""
The fallback where namespaces are forbidden: Landlock for files, a filter that lets no socket be opened.

Landlock alone would leave open UDP, names, sockets with a path, and, by its rules on
ports, every host on an allowed port. So at this level a process opens no socket at all (with
a device: a local one that connects to nobody), and an allow-list of destinations cannot be
kept: it is refused before it comes to this.
"""

from __future__ import annotations

import os
import stat
import struct

from intramural.walls import kernel

OLDEST = 6
"""The version that also keeps signals and abstract sockets inside; with an older one this level does not exist."""

_READ = 0b1101
"""EXECUTE, READ_FILE, READ_DIR."""
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_ALL = (1 << 16) - 1
_NOT_MADE = 1 << 6 | 1 << 9 | 1 << 11
"""Character devices, sockets, block devices."""
_ON_FILES = 1 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
"""EXECUTE, WRITE_FILE, READ_FILE, TRUNCATE, IOCTL_DEV: a right of folders on a file is an error."""
_TCP = 0b11
_SCOPES = 0b11
"""Abstract Unix sockets and signals stay inside."""

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
"""What every program may read; the machine's `/proc` stays shut but for the process itself."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


OF_DEVICES = ("/proc/driver", "/sys/bus", "/sys/class", "/sys/dev", "/sys/devices", "/sys/module")
"""What the libraries of a device read of it; only where one was named."""


def restrict(read: list[str], write: list[str], devices: list[str]) -> None:
    """Confine the files this process reaches, for good. Raises OSError where that cannot be done in full."""
    if kernel.landlock_version() < OLDEST:
        raise OSError(f"Landlock has version {kernel.landlock_version()}, {OLDEST} is needed")
    rules = kernel.landlock_rules(struct.pack("=QQQ", _ALL, _TCP, _SCOPES))
    try:
        for path in (*SYSTEM, *(OF_DEVICES if devices else ()), *read):
            _allow(rules, path, _READ)
        for path in (*DEVICES, *devices):
            _allow(rules, path, _ON_FILES)
        for path in write:
            _allow(rules, path, _ALL & ~_NOT_MADE)
        if devices:  # CUDA begins by naming a thread, and gives up where it cannot
            _allow(rules, "/proc/self", _READ | _WRITE_FILE | _TRUNCATE)
        kernel.landlock_restrict(rules)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # what is not there needs no right
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _ON_FILES
        kernel.landlock_allow(rules, struct.pack("=Qi", rights, place))
    finally:
        os.close(place)
