"""Calls to the Linux kernel that Python's library does not offer; each raises OSError as the library's own do."""

from __future__ import annotations

import ctypes
import os

NEW_USER, NEW_NET, NEW_PID = 0x10000000, 0x40000000, 0x20000000
"""Kinds of namespaces, for `enter`."""
OWNER_OF_NAMESPACE = 0xB701
"""ioctl_ns(2), NS_GET_USERNS."""

_DIE_WITH_PARENT, _CAPABILITY_DROP, _SECCOMP, _REAPER, _NO_NEW_PRIVILEGES = 1, 24, 22, 36, 38
_FILTER = 2
_CAPABILITIES_VERSION = 0x20080522
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(outcome: int) -> int:
    if outcome < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return outcome


def _control(option: int, second: int = 0, third: object = 0) -> None:
    rest = third if not isinstance(third, int) else ctypes.c_ulong(third)
    _checked(_libc.prctl(option, ctypes.c_ulong(second), rest, ctypes.c_ulong(0), ctypes.c_ulong(0)))


def enter(namespace: int, kind: int) -> None:
    """Move this process into an open *namespace* (setns(2))."""
    _checked(_libc.setns(namespace, kind))


def die_with_parent(number: int) -> None:
    """Have this process get the signal *number* when the thread that forked it ends."""
    _control(_DIE_WITH_PARENT, number)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end."""
    _control(_REAPER, 1)


def give_up_privileges() -> None:
    """Let no program that this process executes gain rights, and drop all capabilities for good."""
    _control(_NO_NEW_PRIVILEGES, 1)
    for capability in range(64):
        try:
            _control(_CAPABILITY_DROP, capability)
        except OSError:
            break  # an ordinary user has none to drop; past the last one this kernel knows there is none
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()))


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def filter_calls(program: bytes) -> None:
    """Judge every system call of this process from now on by *program*; it must have given up privileges."""
    buffer = ctypes.create_string_buffer(program, len(program))
    _control(_SECCOMP, _FILTER, ctypes.byref(_FilterProgram(len(program) // 8, ctypes.addressof(buffer))))


def landlock_version() -> int:
    """Return what the kernel's Landlock can do, 0 where there is none."""
    return max(int(_libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)), 0)


def landlock_rules(attributes: bytes) -> int:
    """Return a descriptor of new rules that handle what *attributes* (struct landlock_ruleset_attr) names."""
    return _checked(_libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0))


def landlock_allow(rules: int, path_beneath: bytes) -> None:
    """Add one struct landlock_path_beneath_attr."""
    _checked(_libc.syscall(_LANDLOCK_ADD, rules, 1, path_beneath, 0))


def landlock_restrict(rules: int) -> None:
    """Put the rules in force on this process and all it starts."""
    _checked(_libc.syscall(_LANDLOCK_RESTRICT, rules, 0))
