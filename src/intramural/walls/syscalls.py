"""
Which system calls a confined process may not make, as a filter for the kernel.

The filter lets everything pass that is not named here, on the machine's own
architecture; calls in a foreign convention (32 bit, x32) end the process, because their
numbers mean other things. Arguments behind pointers cannot be judged by any filter:
`clone3` therefore does not exist inside, and C libraries fall back to `clone`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from intramural.walls.bpf import Program

NUMBER, ARCHITECTURE, FIRST, SECOND, THIRD = 0, 4, 16, 24, 32
"""Offsets in `struct seccomp_data`; of the 64-bit arguments the lower half, which is all the kernel reads of these."""
ALLOW = 0x7FFF0000
KILL = 0x80000000
REFUSE = 0x00050000
"""With the error's number in the lower bits."""

X32 = 0x40000000
"""The bit that marks the x32 convention."""
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWUSER, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID and NEWNET."""
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
"""Put characters into a terminal's input, as if typed."""
UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
SEQPACKET = 5
TYPE = 0xF
"""The bits of a socket's type that are no flags."""
ITSELF = 0
"""What a process calls itself where it could name another whose limits it changes."""
ROUTE = 0
"""The one netlink family that name resolution and interface lists need."""

DENIED = {
    # reading or steering other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # wide doors into the kernel that training does not need
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    # another view of the files
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # other namespaces
    "unshare": (272, 97),
    "setns": (308, 268),
    # the machine itself
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
}
"""By name: the number on x86_64 and on aarch64, where it exists."""

UNJUDGED = {
    # owner, mode and labels of files
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    # what happens in the folders of others
    "inotify_add_watch": (254, 27),
    # memory, semaphores and queues that every process of the user shares
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
"""What Landlock does not judge: a process without a view of its own does none of it."""


@dataclass(frozen=True)
class Architecture:
    """What differs between machines."""

    name: str
    audit: int
    """The kernel's name for the convention."""
    column: int
    clone: int
    socket: int
    socketpair: int
    ioctl: int
    prlimit: int
    connect: int
    clone3: int = 435


ARCHITECTURES = {
    "x86_64": Architecture("x86_64", 0xC000003E, 0, clone=56, socket=41, socketpair=53, ioctl=16, prlimit=302, connect=42),
    "aarch64": Architecture(
        "aarch64", 0xC00000B7, 1, clone=220, socket=198, socketpair=199, ioctl=29, prlimit=261, connect=203
    ),
}


def filter_for(machine: str, *, sockets: bool = True, devices: bool = False) -> bytes:
    """
    Return the filter for *machine* (`os.uname().machine`); without *sockets* only pairs of sockets. Raises KeyError.

    With *devices* there may then be one more kind of socket: CUDA listens under a local name, and gives up where it
    cannot. No socket may be connected, so it reaches nobody.
    """
    here = ARCHITECTURES[machine]
    program = Program()
    program.load(ARCHITECTURE)
    program.if_equal(here.audit, otherwise="kill")
    program.load(NUMBER)
    if here.name == "x86_64":
        program.if_any_bit(X32, "kill")
    for numbers in (DENIED | ({} if sockets else UNJUDGED)).values():
        number = numbers[here.column]
        if number is not None:
            program.if_equal(number, "refuse")
    program.if_equal(here.clone3, "absent")
    program.if_equal(here.clone, "clone")
    program.if_equal(here.ioctl, "ioctl")
    program.if_equal(here.socketpair, "pair")
    if not sockets:
        program.if_equal(here.prlimit, "limits")
        program.if_equal(here.connect, "refuse")
    program.if_equal(here.socket, "socket" if sockets else "listener" if devices else "refuse")
    program.end(ALLOW)
    _judge_arguments(program)
    for name, verdict in (("refuse", REFUSE | errno.EPERM), ("absent", REFUSE | errno.ENOSYS), ("kill", KILL)):
        program.label(name)
        program.end(verdict)
    return program.assemble()


def _judge_arguments(program: Program) -> None:
    """Write the parts of the filter that look at arguments; each ends by itself."""
    program.label("clone")
    program.load(FIRST)
    program.if_any_bit(NEW_NAMESPACES, "refuse")
    program.end(ALLOW)
    program.label("ioctl")
    program.load(SECOND)
    program.if_equal(TIOCSTI, "refuse")
    program.if_equal(TIOCLINUX, "refuse")
    program.end(ALLOW)
    program.label("limits")
    program.load(FIRST)
    program.if_equal(ITSELF, otherwise="refuse")
    program.end(ALLOW)
    program.label("listener")
    program.load(SECOND)
    program.mask(TYPE)
    program.if_equal(SEQPACKET, otherwise="refuse")
    program.label("pair")
    program.load(FIRST)
    program.if_equal(UNIX, otherwise="refuse")
    program.end(ALLOW)
    program.label("socket")
    program.load(FIRST)
    for family in (UNIX, INET, INET6):
        program.if_equal(family, "allow")
    program.if_equal(NETLINK, otherwise="refuse")
    program.load(THIRD)
    program.if_equal(ROUTE, otherwise="refuse")
    program.label("allow")
    program.end(ALLOW)
