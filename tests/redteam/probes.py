"""
What a hostile job tries, run inside the walls and, to show that it works, outside.

    python probes.py WORLD.json DELAY [NAME...]

Prints one JSON object: for each probe `reached`, or what stopped it. Knows only Python's
library; WORLD.json says where the services and files of the machine are that a job must
not reach. It waits up to DELAY seconds, at random, before each probe.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import random
import resource
import signal
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
NEW_NS, NEW_USER = 0x20000, 0x10000000
SECONDS = 2.0
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - it is filled, not trusted
DELAYS = random.SystemRandom()


class World(dict):
    def __getattr__(self, name):
        return self[name]


def syscall(x86, arm, *arguments):
    """Make a raw system call; a refusal for lack of rights is an error, any other answer means that the kernel listened."""
    outcome = LIBC.syscall(x86 if X86 else arm, *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments))
    number = ctypes.get_errno() if outcome < 0 else 0
    if number in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
    return outcome


def checked(outcome):
    if outcome < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return outcome


def in_child(work):
    """Do it in a process of its own, so that what it changes is gone afterwards."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 255)
        except BaseException:
            os._exit(254)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(code) if code > 0 else f"signal {-code}")


def talk(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as connection:
        connection.settimeout(SECONDS)
        connection.connect(address)
        connection.sendall(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05leaks\x07example\x00\x00\x01\x00\x01")
        if not connection.recv(64):
            raise OSError(errno.ECONNRESET, "no answer")


# the network


def dns(world):
    talk(socket.AF_INET, ("127.0.0.1", world.udp), socket.SOCK_DGRAM)


def tcp_loopback(world):
    talk(socket.AF_INET, ("127.0.0.1", world.tcp))


def tcp_outside(world):
    talk(socket.AF_INET, (world.address, world.tcp))


def udp_outside(world):
    talk(socket.AF_INET, (world.address, world.udp), socket.SOCK_DGRAM)


def ipv6(world):
    talk(socket.AF_INET6, ("::1", world.tcp6))


def raw_socket(world):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def packet_socket(world):
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def vsock(world):
    socket.socket(40, socket.SOCK_STREAM).close()


def bluetooth_and_others(world):
    """Families that no training needs: one that opens is enough."""
    for family in (38, 21, 30, 44):  # AF_ALG, AF_RDS, AF_TIPC, AF_XDP
        with contextlib.suppress(OSError):
            socket.socket(family, socket.SOCK_SEQPACKET if family == 38 else socket.SOCK_RAW).close()
            return
    raise OSError(errno.EAFNOSUPPORT, "none opened")


def netlink_diagnosis(world):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4).close()


def unix_path(world):
    talk(socket.AF_UNIX, world.unix)


def unix_abstract(world):
    talk(socket.AF_UNIX, "\0" + world.abstract)


def inherited_descriptor(world):
    """Look for an open connection that someone forgot to close."""
    for descriptor in range(3, 256):
        try:
            connection = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        with connection, contextlib.suppress(OSError):
            connection.settimeout(SECONDS)
            connection.sendall(b"leak")
            if connection.recv(16):
                return
    raise OSError(errno.EBADF, "no connection was left open")


# other processes


def environment_of_others(world):
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and world.canary.encode() in (folder / "environ").read_bytes():
                return
    raise OSError(errno.ENOENT, "no process shows it")


def signal_others(world):
    os.kill(world.victim, 0)


def limits_of_others(world):
    resource.prlimit(world.victim, resource.RLIMIT_NOFILE)


def watch_others(world):
    """Learn the names of files as they appear in a folder that cannot be listed."""
    watch = checked(LIBC.inotify_init1(0))
    try:
        checked(LIBC.inotify_add_watch(watch, world.other_run.encode(), 0x100))
    finally:
        os.close(watch)


def shared_memory_of_user(world):
    """Meet another process of the same user in a segment that has a number for a name."""
    number = checked(LIBC.shmget(world.segment, 0, 0))
    if LIBC.shmctl(number, 2, ctypes.create_string_buffer(256)) < 0:
        raise OSError(errno.EPERM, "not looked at")


def files_of_others(world):
    if world.canary not in Path(f"/proc/{world.victim}/root{world.secret}").read_text():
        raise OSError(errno.ENOENT, "another file")


def ptrace_child(world):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        checked(LIBC.ptrace(16, child, 0, 0))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def read_memory_of_child(world):
    buffer = ctypes.create_string_buffer(b"something")
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        copy = ctypes.create_string_buffer(9)
        local = struct.pack("QQ", ctypes.addressof(copy), 9)
        remote = struct.pack("QQ", ctypes.addressof(buffer), 9)
        if syscall(310, 270, child, local, 1, remote, 1, 0) < 0:
            raise OSError(errno.EPERM, "not read")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# files


def database(world):
    Path(world.database).read_bytes()


def keys(world):
    Path(world.key).read_bytes()


def other_run(world):
    os.listdir(world.other_run)


def change_database(world):
    os.close(os.open(world.database, os.O_WRONLY))


def shadow(world):
    Path("/etc/shadow").read_bytes()


def symlink(world):
    link = Path(f"link-{os.getpid()}")
    link.symlink_to(world.secret)
    try:
        link.read_text()
    finally:
        link.unlink()


def symlink_of_proc(world):
    Path(f"/proc/self/root{world.secret}").read_text()


def dots(world):
    Path("../" * 40 + world.secret.lstrip("/")).read_text()


def hard_link(world):
    link = f"hard-{os.getpid()}"
    os.link(world.secret, f"{world.scratch}/{link}")
    os.unlink(f"{world.scratch}/{link}")


def change_mode(world):
    """Open a stranger's file to everybody: the mode of a file needs no right to read it."""
    os.chmod(world.secret, 0o600)


def system_program(world):
    """Change what others execute."""
    os.close(os.open("/usr/bin/env", os.O_WRONLY))


def kernel_setting(world):
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))


def magic_key(world):
    os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))


def handle(world):
    """Open a file by its number on the disk, past every path."""

    def work():
        place = os.open("/", os.O_RDONLY)
        wanted = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
        mount = ctypes.c_int()
        if syscall(303, 264, place, b"usr", wanted, ctypes.byref(mount), 0) < 0:
            raise OSError(errno.EPERM, "no handle")
        if syscall(304, 265, place, wanted, os.O_RDONLY) < 0:
            raise OSError(errno.EPERM, "not opened")

    in_child(work)


# the kernel


def user_namespace(world):
    in_child(lambda: checked(LIBC.unshare(NEW_USER)))


def mount(world):
    def work():
        checked(LIBC.unshare(NEW_USER | NEW_NS))
        checked(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None))

    in_child(work)


def mount_new_way(world):
    def work():
        with contextlib.suppress(OSError):
            checked(LIBC.unshare(NEW_USER | NEW_NS))
        if syscall(430, 430, b"tmpfs", 0) < 0:
            raise OSError(errno.EPERM, "no file system")

    in_child(work)


def clone_namespace(world):
    child = syscall(56, 220, NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    if child < 0:
        raise OSError(errno.EPERM, "not cloned")
    os.waitpid(child, 0)


def clone3_namespace(world):
    arguments = ctypes.create_string_buffer(struct.pack("QQQQQQQQ", NEW_USER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    child = syscall(435, 435, arguments, 64)
    if child == 0:
        os._exit(0)
    if child < 0:
        raise OSError(errno.EPERM, "not cloned")
    os.waitpid(child, 0)


def enter_namespace(world):
    def work():
        own = os.open("/proc/self/ns/user", os.O_RDONLY)
        syscall(308, 268, own, 0)  # EINVAL for one's own: the kernel listened

    in_child(work)


def io_uring(world):
    syscall(425, 425, 0, 0)


def kernel_keys(world):
    if syscall(250, 219, 0, -2, 1) < 0:
        raise OSError(errno.EPERM, "no keyring")


def user_faults(world):
    descriptor = syscall(323, 282, 1)
    if descriptor < 0:
        raise OSError(errno.EPERM, "not opened")
    os.close(descriptor)


def performance_events(world):
    syscall(298, 241, 0, 0, -1, -1, 0)


def kernel_programs(world):
    syscall(321, 280, 99, 0, 0)


def new_root(world):
    in_child(lambda: os.chroot(world.scratch))


def terminal(world):
    """Type into a terminal that others read."""

    def work():
        os.setsid()
        primary, secondary = os.openpty()
        fcntl.ioctl(secondary, 0x540E, 0)
        fcntl.ioctl(secondary, 0x5412, b"x")
        del primary

    in_child(work)


# too much


def fork_bomb(world):
    children = []
    try:
        for _ in range(world.bomb_processes):
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def memory_bomb(world):
    block = mmap.mmap(-1, world.bomb_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for place in range(0, world.bomb_bytes, 4096):
        block[place] = 1
    block.close()


def _fill(folder, size):
    path = Path(folder) / f"filled-{os.getpid()}"
    try:
        with path.open("wb") as file:
            for _ in range(size // 65536):
                file.write(bytes(65536))
    finally:
        path.unlink(missing_ok=True)


def fill_run_directory(world):
    _fill(".", world.bomb_bytes)


def fill_scratch(world):
    _fill(os.environ.get("TMPDIR", tempfile.gettempdir()), world.bomb_bytes)


def fill_shared_memory(world):
    _fill(SHARED_MEMORY, world.bomb_bytes)


TOO_MUCH = ("fork_bomb", "memory_bomb", "fill_run_directory", "fill_scratch", "fill_shared_memory")
ALL = [
    name
    for name, each in list(globals().items())
    if getattr(each, "__code__", None) and each.__code__.co_varnames[:1] == ("world",) and not name.startswith("_")
]


def main():
    world = World(json.loads(Path(sys.argv[1]).read_text()))
    found = {}
    for name in sys.argv[3:]:
        time.sleep(DELAYS.uniform(0, float(sys.argv[2])))
        try:
            globals()[name](world)
        except (OSError, MemoryError) as error:
            found[name] = f"{type(error).__name__} {getattr(error, 'errno', '')}"
        else:
            found[name] = "reached"
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
