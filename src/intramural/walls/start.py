"""
Start a process behind its gate: confined already, but not yet at work.

The gate is a shell of one line between the walls and the program. It says that it is
there, waits for the word, and takes the end of its input for a no; so when the
supervisor dies the program never starts. (bubblewrap's own `--block-fd` takes the end
for a yes.) The kernel tells the supervisor which process spoke.

Loaded before every confined process: nothing is imported here that takes time.
"""

from __future__ import annotations

import _socket  # what `socket` adds to it takes longer to load than a process takes to start
import os
import select

TYPE_CHECKING = False  # as in `typing`, which takes longer to load than a process takes to start
if TYPE_CHECKING:
    from typing import Any, NoReturn

GATE = 'printf r >&0; IFS= read -r word <&0 && [ "$word" = go ] || exit 97; exec "$@" </dev/null 2>&1'
JOIN = 'echo 0 > "$1" && shift && exec "$@"'
"""Move into a control group, then go on: it takes milliseconds, in which the supervisor loads what it needs next."""
GATE_SECONDS = 20.0
REASON_BYTES = 2000
CANNOT_CONFINE = 96
KILL, BROKEN_PIPE, FILE_TOO_LARGE = 9, 13, 25
"""Signals; Python ignores the last two, which a program expects to be ended by."""
CREDENTIALS_BYTES = 12


class NotStarted(Exception):
    """The walls could not be raised."""


class Gate:
    """The supervisor's side of a process that waits."""

    def __init__(self, connection: _socket.socket, complaints: int, said: int, child: int) -> None:
        self._connection = connection
        self._complaints = complaints
        self.said = said
        """What the program prints comes out here."""
        self.child = child
        """The process this supervisor forked and must reap: bubblewrap, or the program itself."""

    def wait(self) -> int:
        """Return the number of the process that waits. Raises `NotStarted` with what the walls complained of."""
        ready, _, _ = select.select([self._connection.fileno()], [], [], GATE_SECONDS)
        if ready:
            word, extra, _, _ = self._connection.recvmsg(1, _socket.CMSG_SPACE(CREDENTIALS_BYTES))
            if word:
                return int.from_bytes(extra[0][2][:4], "little")
        os.kill(self.child, KILL)
        os.waitpid(self.child, 0)
        os.set_blocking(self._complaints, False)
        try:
            reason = os.read(self._complaints, REASON_BYTES).decode(errors="replace").strip()
        except BlockingIOError:
            reason = ""
        raise NotStarted(reason.splitlines()[-1] if reason else "it gave no reason")

    def open(self) -> None:
        """Say the word."""
        try:  # noqa: SIM105 - `contextlib` takes long to load
            self._connection.send(b"go\n")
        except BrokenPipeError:
            pass  # it was ended meanwhile
        self._connection.close()
        os.close(self._complaints)


def start(plan: dict[str, Any], group: str | None) -> Gate:
    """Start the process of *plan* in the control group behind the door *group*, if any, and raise its walls."""
    here, there = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    here.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    complaints, complain = os.pipe()
    said, say = os.pipe()
    gated = ["/bin/sh", "-c", GATE, "gate", *plan["command"]]
    named: list[int] = plan["pass_fds"]
    for descriptor in named:
        os.set_inheritable(descriptor, True)
    become = _through_bubblewrap if plan["level"] == "namespaces" else _directly
    child = become(plan, gated, group, (there.fileno(), say, complain))
    for descriptor in {*named, say, complain} - {plan["output"]}:
        os.close(descriptor)
    there.close()
    return Gate(here, complaints, said, child)


def _through_bubblewrap(plan: dict[str, Any], gated: list[str], group: str | None, streams: tuple[int, int, int]) -> int:
    """Start bubblewrap; its options, the job's environment among them, stay out of the command line."""
    files = []
    options = list(plan["options"])
    for path, text in plan["files"].items():
        files.append(_in_memory(text.encode()))
        options += ["--perms", "0444", "--file", str(files[-1]), path]
    files.append(_in_memory(plan["filter"]))
    options += [*plan["last_options"], "--seccomp", str(files[-1])]
    files.append(_in_memory(b"".join(each.encode() + b"\0" for each in options)))
    command = [plan["bubblewrap"], "--args", str(files[-1]), "--", *gated]
    if group is not None:
        command = ["/bin/sh", "-c", JOIN, "join", group, *command]
    in_place = [(os.POSIX_SPAWN_DUP2, each, place) for place, each in enumerate(streams)]
    child = os.posix_spawn(
        command[0], command, {}, file_actions=in_place, setsigmask=[], setsigdef=[BROKEN_PIPE, FILE_TOO_LARGE]
    )
    for each in files:
        os.close(each)
    return child


def _directly(plan: dict[str, Any], gated: list[str], group: str | None, streams: tuple[int, int, int]) -> int:
    """Fork, and have the child raise what walls it can around itself."""
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            _become(plan, gated, group, streams, supervisor)
        except OSError as error:
            os.write(2, f"{error.strerror or error}\n".encode())
        finally:
            os._exit(CANNOT_CONFINE)
    return child


def _become(
    plan: dict[str, Any], gated: list[str], group: str | None, streams: tuple[int, int, int], supervisor: int
) -> NoReturn:
    import signal  # noqa: PLC0415 - not needed where bubblewrap does this

    from intramural.walls import kernel, landlock  # noqa: PLC0415 - as above

    for place, each in enumerate(streams):
        os.dup2(each, place)
    kernel.die_with_parent(KILL)
    if os.getppid() != supervisor:
        os._exit(CANNOT_CONFINE)
    for number in (BROKEN_PIPE, FILE_TOO_LARGE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if group is not None:
        door = os.open(group, os.O_WRONLY | os.O_CLOEXEC)
        os.write(door, b"0")
    os.setsid()
    os.chdir(plan["run"])
    if plan["level"] == "landlock":
        kernel.give_up_privileges()
        landlock.restrict(plan["read"], plan["write"], plan["devices"])
        kernel.filter_calls(plan["filter"])
    os.execve(gated[0], gated, plan["environment"])  # noqa: S606 - a list of arguments; the shell is the gate itself


def _in_memory(content: bytes) -> int:
    """Return a descriptor, for a child to inherit, of a file that lies nowhere but in memory."""
    file = os.memfd_create("walls", 0)
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file
