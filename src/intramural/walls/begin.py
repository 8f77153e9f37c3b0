"""
The program of a supervisor: leave whoever started it, start the process, and only then load the rest.

Started as `main()` with three descriptors for arguments: the plan (`marshal`, written by
the same interpreter); one where the word `go` releases the process, and its end before
that means never; one that gets an answer when the process waits, or why it does not.

Loaded before every confined process: nothing is imported here that takes time.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the part of `signal` that needs no enumerations, which take long to load
import marshal
import os
import sys

from intramural.walls.cgroup import Group, started
from intramural.walls.furnish import Held
from intramural.walls.start import NotStarted, start


def main() -> None:
    """Supervise what the plan says."""
    plan_file, control, ready = (int(each) for each in sys.argv[1:4])
    with open(plan_file, "rb") as file:
        plan = marshal.loads(file.read())  # noqa: S302 - from the process that started this one, in memory of its own
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    os.umask(0o077)
    # who asks it to leave before it can is heard when it can: see `Supervisor.run`
    _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGTERM])
    named = {control, ready, plan["output"], *plan["pass_fds"]}
    close_all_but(named)
    for descriptor in named:
        os.set_inheritable(descriptor, False)
    group = Group.make(f"{os.getpid()}-{started(os.getpid())}")
    kept = group.limit(plan["memory"], plan["processes"], plan["processors"])
    if plan["level"] == "namespaces" and not kept:
        group.end()  # a namespace ends its processes by itself; moving them into a group takes longer than all the rest
    try:
        gate = start(plan, group.door)
        from intramural.walls import inside  # noqa: F401, PLC0415 - it is needed next; meanwhile bubblewrap starts

        held = Held(plan, gate, group, kept)
    except (NotStarted, OSError) as error:
        group.end()
        os.write(ready, marshal.dumps({"error": str(error)}))
        return
    numbers = {name: (pid, int(started(pid) or 0)) for name, pid in _processes(held)}
    _answer(ready, {"run": held.run, "limits": held.limits, **numbers})
    from intramural.walls.supervisor import Supervisor  # noqa: PLC0415 - it loads while the starter writes down who runs

    Supervisor(plan, held).run(control)
    os._exit(0)


def close_all_but(named: set[int]) -> None:
    """Close every descriptor that was inherited without being named."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor not in named:
            try:
                os.close(descriptor)
            except OSError:
                continue  # the one the listing itself used


def _processes(held: Held) -> list[tuple[str, int]]:
    return [("job", held.job), ("first", held.first), ("supervisor", os.getpid())]


def _answer(ready: int, answer: dict[str, object]) -> None:
    try:  # noqa: SIM105 - `contextlib` takes long to load
        os.write(ready, marshal.dumps(answer))
    except BrokenPipeError:
        pass  # the starter died; the word will not come
    os.close(ready)
