"""
Start a process behind its gate: confined already, but not yet at work.

The gate is a shell of one line between the walls and the program. It says that it is
there, waits for the word, and takes the end of its input for a no; so when the
supervisor dies the program never starts. (bubblewrap's own `--block-fd` takes the end
for a yes.) The kernel tells the supervisor which process spoke.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
from typing import Any, NoReturn

from intramural.walls import kernel, landlock
from intramural.walls.cgroup import Group

GATE = 'printf r >&0; IFS= read -r word <&0 && [ "$word" = go ] || exit 97; exec "$@" </dev/null 2>&1'
GATE_SECONDS = 20.0
REASON_BYTES = 2000
CANNOT_CONFINE = 96


class NotStarted(Exception):
    """The walls could not be raised."""


class Gate:
    """The supervisor's side of a process that waits."""

    def __init__(self, connection: socket.socket, complaints: int, child: int, said: int) -> None:
        self._connection = connection
        self._complaints = complaints
        self.child = child
        """The process this supervisor forked and must reap: bubblewrap, or the program itself."""
        self.said = said
        """What the program prints comes out here."""

    def wait(self) -> int:
        """Return the number of the process that waits. Raises `NotStarted` with what the walls complained of."""
        ready, _, _ = select.select([self._connection], [], [], GATE_SECONDS)
        if ready:
            word, extra, _, _ = self._connection.recvmsg(1, socket.CMSG_SPACE(struct.calcsize("3i")))
            if word:
                return int(struct.unpack("3i", extra[0][2])[0])
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.set_blocking(self._complaints, False)
        try:
            reason = os.read(self._complaints, REASON_BYTES).decode(errors="replace").strip()
        except BlockingIOError:
            reason = ""
        raise NotStarted(reason.splitlines()[-1] if reason else "it gave no reason")

    def open(self) -> None:
        """Say the word."""
        with contextlib.suppress(BrokenPipeError):  # it was ended meanwhile
            self._connection.send(b"go\n")
        self._connection.close()
        os.close(self._complaints)


def start(plan: dict[str, Any], group: Group) -> Gate:
    """Fork the process of *plan* and raise its walls."""
    here, there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    complaints, complain = os.pipe()
    said, say = os.pipe()
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            _become(plan, group, supervisor, there.fileno(), say, complain)
        except OSError as error:
            os.write(complain, f"{error.strerror or error}\n".encode())
        finally:
            os._exit(CANNOT_CONFINE)
    there.close()
    os.close(complain)
    os.close(say)
    return Gate(here, complaints, child, said)


def _become(plan: dict[str, Any], group: Group, supervisor: int, gate: int, say: int, complain: int) -> NoReturn:
    """Turn this child into the process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(CANNOT_CONFINE)
    group.join()
    named: list[int] = plan["pass_fds"]
    os.dup2(gate, 0)
    os.dup2(say, 1)
    os.dup2(complain, 2)
    for descriptor in named:
        os.set_inheritable(descriptor, True)
    os.umask(0o077)
    gated = ["/bin/sh", "-c", GATE, "gate", *plan["command"]]
    if plan["level"] == "namespaces":
        _through_bubblewrap(plan, gated)
    os.setsid()
    os.chdir(plan["run"])
    if plan["level"] == "landlock":
        kernel.give_up_privileges()
        landlock.restrict(plan["read"], plan["write"], plan["devices"])
        kernel.filter_calls(bytes.fromhex(plan["filter"]))
    os.execve(gated[0], gated, plan["environment"])  # noqa: S606 - a list of arguments; the shell is the gate itself


def _through_bubblewrap(plan: dict[str, Any], gated: list[str]) -> NoReturn:
    """Execute bubblewrap; its options, the job's environment among them, stay out of the command line."""
    options = list(plan["options"])
    for path, text in plan["files"].items():
        options += ["--perms", "0444", "--file", str(_in_memory(text.encode())), path]
    options += plan["last_options"]
    options += ["--seccomp", str(_in_memory(bytes.fromhex(plan["filter"])))]
    arguments = _in_memory(b"".join(each.encode() + b"\0" for each in options))
    command = [plan["bubblewrap"], "--args", str(arguments), "--", *gated]
    os.execve(command[0], command, {})  # noqa: S606 - as below, a list of arguments


def _in_memory(content: bytes) -> int:
    """Return a descriptor, for a child to inherit, of a file that lies nowhere but in memory."""
    file = os.memfd_create("walls", 0)
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def close_all_but(named: set[int]) -> None:
    """Close every descriptor that was inherited without being named."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor not in named:
            try:
                os.close(descriptor)
            except OSError:
                continue  # the one the listing itself used
