"""
The supervisor of one confined process: keeps the one way out, the output and the receipt, and ends it.

It has left whoever started it, so a run lives on when the scheduler dies, and it takes
its run along when it dies itself. SIGTERM ends the process at once and the supervisor
with it. What happens before is in `begin`.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import socket
from typing import Any

from intramural.walls import kernel
from intramural.walls.furnish import Held, free_bytes
from intramural.walls.record import Record

SWEEP_ROUNDS = 1000
OUTPUT_SECONDS = 5.0
"""How long the last output may take to be written after the end."""
DISK_SECONDS = (0.01, 0.2)
"""How often it is looked whether the run directory is there and its disk has room: soonest and latest."""
DISK_BYTES_PER_SECOND = 2 * 2**30
"""Taken for the fastest that a disk is filled; the less room there is, the sooner it is looked again."""
DISK_RESERVE_BYTES = 256 * 2**20
DISK_SHARE = 20
"""A run leaves free the reserve, or this part of what was free when it began: so others can write their end, and its own."""
DISK = "disk"


class Supervisor:
    """Owns one process from its gate to its receipt."""

    def __init__(self, plan: dict[str, Any], held: Held) -> None:
        self._plan = plan
        self._held = held
        self._reaped = False
        self._output_kept = _thread.allocate_lock()
        self._told_to_leave = False
        self._stopped_for: str | None = None

    def run(self, control: int) -> None:
        """Let the process go when the word comes, watch it, and finish its receipt."""
        signal.signal(signal.SIGTERM, self._leave)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        kernel.adopt_orphans()
        record = Record(self._plan["folder"], self._plan["level"])
        ended = os.pidfd_open(self._held.gate.child)
        try:
            if self._released(control, ended):
                self._held.gate.open()
                self._output_kept.acquire()
                _thread.start_new_thread(self._keep_output, (self._held.gate.said,))
                if self._held.disk is not None:
                    _thread.start_new_thread(self._keep_disk, (self._held.disk, ended))
                if self._held.starter is not None:
                    _thread.start_new_thread(self._end_with, (self._held.starter, ended))
                self._watch(ended, record)
        finally:
            self._finish(record)
            if self._plan["linger"]:
                self._keep_run_directory()
            starter = self._held.starter
            if starter is not None and select.select([starter], [], [], 0)[0]:
                remove(self._plan["folder"])  # with the receipt, which nobody is left to read

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
        listener = self._held.listener
        if listener is None:
            select.select([ended], [], [])
            return
        ready, _, _ = select.select([ended, listener], [], [])
        if ended not in ready:
            from intramural.walls.serving import serve  # noqa: PLC0415 - most runs connect to nothing; asyncio takes long to load

            serve(socket.socket(fileno=listener), self._plan["egress"], record, ended)

    def _finish(self, record: Record) -> None:
        """End what still runs and put the receipt in place."""
        self._kill()
        code = os.waitstatus_to_exitcode(os.waitpid(self._held.gate.child, 0)[1])
        self._reaped = True
        around = self._around_proxy()
        self._sweep()
        self._output_kept.acquire(timeout=OUTPUT_SECONDS)
        with contextlib.suppress(OSError):  # a full disk: the receipt stays unfinished, and says so by its name
            record.end(code if code >= 0 else 128 - code, around, self._held.limits, self._stopped_for)

    def _keep_output(self, said: int) -> None:
        """Write what the process prints to where it belongs, up to its limit; runs in a thread of its own."""
        sink, left = self._plan["output"], self._plan["output_bytes"]
        while chunk := os.read(said, 65_536):
            kept, left = chunk[:left], max(left - len(chunk), 0)
            with contextlib.suppress(OSError):  # a full disk: the run goes on, and is not heard
                while kept:
                    kept = kept[os.write(sink, kept) :]
        self._output_kept.release()

    def _keep_disk(self, place: int, ended: int) -> None:
        """End the process before it fills the disk of its run directory, or when that is removed; runs in its own thread."""
        room = self._held.room  # from before the process began: it may have filled much of it by now
        reserve = min(DISK_RESERVE_BYTES, room // DISK_SHARE)
        soonest, latest = DISK_SECONDS
        while not select.select([ended], [], [], min(latest, max(soonest, (room - reserve) / DISK_BYTES_PER_SECOND)))[0]:
            gone, room = os.fstat(place).st_nlink == 0, free_bytes(place)
            if gone or room < reserve:
                self._stopped_for = None if gone else DISK
                self._kill()
                return

    def _end_with(self, starter: int, ended: int) -> None:
        """End the process when whoever started it has ended; runs in its own thread."""
        if starter in select.select([starter, ended], [], [])[0]:
            self._kill()

    def _around_proxy(self) -> int | None:
        """Return how many packets and connections found no way out of the run's own network."""
        if not self._held.counters:
            return None
        first, second = (os.pread(each, 65_536, 0).decode() for each in self._held.counters)
        names, values = (line.split() for line in first.splitlines()[:2])
        four = int(dict(zip(names, values, strict=True)).get("OutNoRoutes", 0))
        six = dict(line.split() for line in second.splitlines()).get("Ip6OutNoRoutes", 0)
        return four + int(six)

    def _leave(self, *_: object) -> None:
        self._told_to_leave = True
        self._kill()

    def _kill(self) -> None:
        """End the process; in a namespace all others end with its first."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._held.handle, signal.SIGKILL)
        if not self._held.namespaces and not self._reaped:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._held.job, signal.SIGKILL)

    def _sweep(self) -> None:
        """End what the process left behind: the members of its group, and orphans that came to this process."""
        self._held.group.end()
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
        """Hold the run directory in memory until someone has taken what is in it, or nobody is left who would."""
        told, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(tell)
        starter = self._held.starter
        if not self._told_to_leave:
            select.select([told] if starter is None else [told, starter], [], [])
        if not self._held.namespaces:
            remove(self._plan["run"])


def remove(folder: str) -> None:
    """Remove a folder with everything in it, as far as that goes."""
    import shutil  # noqa: PLC0415 - it takes long to load, and few need it

    shutil.rmtree(folder, ignore_errors=True)
