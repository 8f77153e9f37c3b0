"""
Work in the namespaces of a process that waits at its gate, done by a short-lived child of the supervisor.

The user namespace is asked of the network namespace itself (NS_GET_USERNS): the one
under `/proc/PID/ns/user` may be another already, a nested one without rights here.

Loaded before every confined process: nothing is imported here that takes time.
"""

from __future__ import annotations

import _socket  # what `socket` adds to it takes longer to load than all of this takes to run
import fcntl
import os

from intramural.walls import kernel

PROXY_PORT = 3128
OWN_PROCESS_LIMIT = (6, 14)
"""The first kernel whose `pid_max` belongs to a namespace; with an older one the machine's would be changed."""
RESERVED = 300
"""Numbers that are not given out a second time; the limit counts above them."""
ENTERED, LIMITED = b"entered", b"limited"


def prepare(pid: int, processes: int) -> tuple[int, bool]:
    """
    Open a listener on the loopback that *pid* sees, and limit the processes beside it.

    Returns the listener's descriptor and whether the limit is kept. Raises OSError.
    """
    network, numbers = os.open(f"/proc/{pid}/ns/net", os.O_CLOEXEC), os.open(f"/proc/{pid}/ns/pid", os.O_CLOEXEC)
    owner = fcntl.ioctl(network, kernel.OWNER_OF_NAMESPACE)
    here, there = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        try:
            _work(owner, network, numbers, processes, there)
        finally:
            os._exit(1)
    for each in (network, numbers, owner):
        os.close(each)
    there.close()
    message, extra, _, _ = here.recvmsg(64, _socket.CMSG_SPACE(4))
    here.close()
    os.waitpid(child, 0)
    if not extra:
        number = int(message or b"0")
        raise OSError(number, os.strerror(number) if number else "the namespaces could not be entered")
    return int.from_bytes(extra[0][2][:4], "little"), message == LIMITED


def _work(owner: int, network: int, numbers: int, processes: int, answer: _socket.socket) -> None:
    """Do it, in the child; never return."""
    try:
        if os.fstat(owner).st_ino != os.stat("/proc/self/ns/user").st_ino:
            kernel.enter(owner, kernel.NEW_USER)
        kernel.enter(network, kernel.NEW_NET)
        listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", PROXY_PORT))
        listener.listen(128)
        limited = _limit(numbers, processes)
    except OSError as error:
        answer.send(str(error.errno or 0).encode())
        os._exit(1)
    passed = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, listener.fileno().to_bytes(4, "little"))
    answer.sendmsg([LIMITED if limited else ENTERED], [passed])
    os._exit(0)


def _limit(numbers: int, processes: int) -> bool:
    """Let the process namespace give out no more numbers than *processes*, where the kernel can."""
    version = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if version < OWN_PROCESS_LIMIT:
        return False
    kernel.enter(numbers, kernel.NEW_PID)
    child = os.fork()
    if child == 0:
        try:
            file = os.open("/proc/sys/kernel/pid_max", os.O_WRONLY)
            os.write(file, str(RESERVED + processes).encode())
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
