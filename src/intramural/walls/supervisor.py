"""
The supervisor of one confined process: raises its walls, keeps the one way out, writes the receipt, ends it.

A program of its own. It leaves whoever started it, so a run lives on when the scheduler
dies, and it takes its run along when it dies itself. Started as `main(PLAN, CONTROL,
READY)`, three descriptors: the plan (JSON); one where the word `go` releases the
process, and its end before that means never; one that gets a line when it waits.

    FOLDER/walls.json     who runs under which level; there before the process begins its work
    FOLDER/receipt.jsonl  see `record`

SIGTERM ends the process at once and the supervisor with it.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import Any

from intramural.walls import kernel
from intramural.walls.cgroup import Group, started
from intramural.walls.inside import prepare
from intramural.walls.record import Record
from intramural.walls.start import Gate, NotStarted, close_all_but, start

STATE = "walls.json"
SWEEP_ROUNDS = 1000
OUTPUT_SECONDS = 5.0
"""How long the last output may take to be written after the end."""


class Supervisor:
    """Owns one process from its walls to its receipt."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._folder: str = plan["folder"]
        self._namespaces: bool = plan["level"] == "namespaces"
        self._group = Group.make(f"{os.getpid()}-{started(os.getpid())}")
        self._limits: dict[str, str] = {}
        self._listener: socket.socket | None = None
        self._counters: list[int] = []
        self._job = 0
        self._first = 0
        """The process whose end is the end of all: the first of the process namespace, or the job itself."""
        self._handle: int | None = None
        """Of the first; its number may be another's once it is gone."""
        self._reaped = False
        self._output_kept = _thread.allocate_lock()
        self._told_to_leave = False

    def run(self, control: int, ready: int) -> None:
        """Do all of it."""
        signal.signal(signal.SIGTERM, self._leave)
        kernel.adopt_orphans()
        kept = self._group.limit(self._plan["memory"], self._plan["processes"], self._plan["processors"])
        self._limits.update(dict.fromkeys(sorted(kept), "cgroup"))
        try:
            gate = start(self._plan, self._group)
            run_directory = self._furnish(gate)
            record = Record(self._folder, self._plan["level"])
        except (NotStarted, OSError) as error:
            self._tell(ready, {"error": str(error)})
            self._sweep()
            return
        ended = os.pidfd_open(gate.child)
        self._write_state(run_directory)
        self._tell(ready, {"started": True})
        try:
            if self._released(control, ended):
                gate.open()
                self._output_kept.acquire()
                _thread.start_new_thread(self._keep_output, (gate.said,))
                self._watch(ended, record)
        finally:
            self._finish(gate, record)
            if self._plan["linger"]:
                self._keep_run_directory()

    def _finish(self, gate: Gate, record: Record) -> None:
        """End what still runs and put the receipt in place."""
        self._kill()
        code = os.waitstatus_to_exitcode(os.waitpid(gate.child, 0)[1])
        self._reaped = True
        around = self._around_proxy()
        self._sweep()
        self._output_kept.acquire(timeout=OUTPUT_SECONDS)
        with contextlib.suppress(OSError):  # a full disk: the receipt stays unfinished, and says so by its name
            record.end(code if code >= 0 else 128 - code, around, self._limits)

    def _furnish(self, gate: Gate) -> str | None:
        """Put limits, listener and counters in place while the process waits; return how its run directory is reached."""
        self._job = gate.wait()
        self._first = _parent(self._job) if self._namespaces else self._job
        self._handle = os.pidfd_open(self._first)
        try:
            self._set_limits()
            if self._namespaces:
                self._listener, limited = prepare(self._job, self._plan["processes"])
                if limited:
                    self._limits.setdefault("processes", "namespace")
                self._counters = [os.open(f"/proc/{self._job}/net/{name}", os.O_RDONLY) for name in ("snmp", "snmp6")]
            for name in ("memory", "processes", "processors"):
                if name == "processes" or self._plan[name] is not None:
                    self._limits.setdefault(name, "nothing")
            if self._plan["linger"]:
                place = f"/proc/{self._job}/root{self._plan['run']}" if self._namespaces else self._plan["run"]
                folder = os.open(place, os.O_PATH | os.O_DIRECTORY)
                return f"/proc/{os.getpid()}/fd/{folder}"
        except OSError:
            self._kill()
            os.waitpid(gate.child, 0)
            raise
        return None

    def _set_limits(self) -> None:
        """Limit the waiting process, and so all it will start."""
        wanted = {
            "core_files": (resource.RLIMIT_CORE, 0),
            "open_files": (resource.RLIMIT_NOFILE, self._plan["open_files"]),
            "file_bytes": (resource.RLIMIT_FSIZE, self._plan["file_bytes"]),
        }
        if os.getuid() != 0:  # the kernel counts no processes of the machine's administrator
            wanted["processes"] = (resource.RLIMIT_NPROC, self._plan["processes"])
        if self._plan["memory"] is not None and "memory" not in self._limits:
            wanted["memory"] = (resource.RLIMIT_DATA, self._plan["memory"])
        for name, (limit, value) in wanted.items():
            if value is not None:
                highest = resource.prlimit(self._job, limit)[1]
                lower = value if highest == resource.RLIM_INFINITY else min(value, highest)
                resource.prlimit(self._job, limit, (lower, lower))
                self._limits.setdefault(name, "rlimit")
        if self._namespaces:
            self._limits["scratch_bytes"] = "mount"

    def _write_state(self, run_directory: str | None) -> None:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        state = {
            "level": self._plan["level"],
            "job": {"pid": self._job, "start_time": int(started(self._job) or 0), "boot_id": boot},
            "first": {"pid": self._first, "start_time": int(started(self._first) or 0), "boot_id": boot},
            "supervisor": {"pid": os.getpid(), "start_time": int(started(os.getpid()) or 0), "boot_id": boot},
            "run": run_directory or self._plan["run"],
            "limits": self._limits,
        }
        beside = f"{self._folder}/.{STATE}"
        file_descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(file_descriptor, json.dumps(state).encode())
        os.close(file_descriptor)
        os.replace(beside, f"{self._folder}/{STATE}")

    def _released(self, control: int, ended: int) -> bool:
        """Wait for the word; the end of *control* without it, or of the process, is a no."""
        word = b""
        while not word.endswith(b"go\n"):
            if self._told_to_leave:
                return False
            ready, _, _ = select.select([control, ended], [], [])
            chunk = os.read(control, 16) if control in ready else b""
            if not chunk:
                return False
            word += chunk
        os.close(control)
        return True

    def _watch(self, ended: int, record: Record) -> None:
        """Wait for the end; the proxy is loaded when the first connection comes."""
        if self._listener is None:
            select.select([ended], [], [])
            return
        ready, _, _ = select.select([ended, self._listener.fileno()], [], [])
        if ended not in ready:
            from intramural.walls.serving import serve  # noqa: PLC0415 - most runs connect to nothing; asyncio takes long to load

            serve(self._listener, self._plan["egress"], record, ended)

    def _keep_output(self, said: int) -> None:
        """Write what the process prints to where it belongs, up to its limit; runs in a thread of its own."""
        sink, left = self._plan["output"], self._plan["output_bytes"]
        while chunk := os.read(said, 65_536):
            kept, left = chunk[:left], max(left - len(chunk), 0)
            with contextlib.suppress(OSError):  # a full disk: the run goes on, and is not heard
                while kept:
                    kept = kept[os.write(sink, kept) :]
        self._output_kept.release()

    def _around_proxy(self) -> int | None:
        """Return how many packets and connections found no way out of the run's own network."""
        if not self._counters:
            return None
        first, second = (os.pread(each, 65_536, 0).decode() for each in self._counters)
        names, values = (line.split() for line in first.splitlines()[:2])
        four = int(dict(zip(names, values, strict=True)).get("OutNoRoutes", 0))
        six = dict(line.split() for line in second.splitlines()).get("Ip6OutNoRoutes", 0)
        return four + int(six)

    def _leave(self, *_: object) -> None:
        self._told_to_leave = True
        self._kill()

    def _kill(self) -> None:
        """End the process; in a namespace all others end with its first."""
        if self._handle is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        if not self._namespaces and not self._reaped:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._job, signal.SIGKILL)

    def _sweep(self) -> None:
        """End what the process left behind: the members of its group, and orphans that came to this process."""
        self._group.end()
        for _ in range(SWEEP_ROUNDS):
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                orphans = file.read().split()
            if not orphans:
                return
            for orphan in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(orphan), signal.SIGKILL)
            for orphan in orphans:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(int(orphan), 0)

    def _keep_run_directory(self) -> None:
        """Hold the run directory in memory until someone has taken what is in it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        if not self._told_to_leave:
            signal.sigwait([signal.SIGTERM])
        if not self._namespaces:
            import shutil  # noqa: PLC0415 - only where a machine's own folder stands in for a namespace's

            shutil.rmtree(self._plan["run"], ignore_errors=True)

    @staticmethod
    def _tell(ready: int, word: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died meanwhile; `control` ends too, unless it had released already
            os.write(ready, json.dumps(word).encode() + b"\n")
        os.close(ready)


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])


def main() -> None:
    """Supervise what the plan says."""
    plan_file, control, ready = (int(each) for each in sys.argv[1:4])
    with open(plan_file, "rb") as file:
        plan = json.loads(file.read())
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    named = {control, ready, plan["output"], *plan["pass_fds"]}
    close_all_but(named)
    for descriptor in named:
        os.set_inheritable(descriptor, False)
    Supervisor(plan).run(control, ready)
    os._exit(0)
