"""
Watches what the processes of a leak test do: their command lines, environments and files, searched while they are there.

Whatever the commands start becomes a child of this process when its own parent is gone
(prctl(2), PR_SET_CHILD_SUBREAPER), so nothing that was started is overlooked.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from intramural.app.leak_test.canaries import Nest
from intramural.app.leak_test.searching import Found, search
from intramural.domain.leaks import LeakHit, Planted

PR_SET_CHILD_SUBREAPER = 36
PAUSE_SECONDS = 0.2
MOST_BYTES = 1 << 30
"""A file beyond this is named as unread."""
RUNS = re.compile(r"intramural\.workloads\.(?!build_model)")
"""In the command line of every run, and of what it is forked from; what builds a model is a part of its command."""

ASKED = "here"
"""The folder in which the commands are called and into which they write what they are asked for."""

TYPED = frozenset({Planted.NAME, Planted.FIELD, Planted.SAID})
"""What may be on the command line of the person who typed it."""
KEPT_WORDS = {
    Planted.FIELD: "names of fields, in the database and in pages",
    Planted.SAID: "what a person said for the record, in the database and in pages",
}
KEPT = frozenset(KEPT_WORDS)
"""What may be in the database, and in what a person had written."""

State = tuple[int, int, int, int]


class Watch:
    """Searches a folder and the processes below this one, again and again, until it is stopped."""

    def __init__(
        self, nest: Nest, root: Path, apart: Iterable[Path], cells: Callable[[Path], Iterable[tuple[str, bytes]]]
    ) -> None:
        """Watch *root* but for the folders *apart*; *cells* yields what stands in a database, cell by cell."""
        self._nest, self._root, self._apart, self._cells = nest, root, set(map(str, apart)), cells
        self._searched: dict[str, State] = {}
        self._processes: dict[tuple[int, float], str] = {}
        self._names: set[str] = set()
        self._told: set[tuple[str, str, str]] = set()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.hits: list[LeakHit] = []
        self.unread: set[str] = set()
        self.problems: set[str] = set()
        self.files: set[tuple[int, int]] = set()
        self.bytes = 0
        self.seen: dict[str, int] = {}

    @property
    def processes(self) -> int:
        """How many processes were seen."""
        return len(self._processes)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """End every process, then search everything once more."""
        self._stop.set()
        self._thread.join()
        self.end_processes()
        with self._lock:
            self._searched.clear()
            self._look_at_files()
            for path in sorted(self._root.rglob("*.db")):
                for place, content in self._cells(path):
                    self._note(search(self._nest, content), f"{self._name(str(path))}, {place}", kept=KEPT)

    def end_processes(self) -> None:
        """Ask every process below this one to end, then make it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in psutil.Process().children(recursive=True):
                with _gone():
                    process.send_signal(number)
            until = time.monotonic() + 5
            while psutil.Process().children(recursive=True) and time.monotonic() < until:
                _reap()
                time.sleep(0.02)
        _reap()

    def read_output(self, place: str, content: bytes, *, allowed: frozenset[Planted]) -> int:
        """Search what a command printed; return how many canaries were in it that were allowed there."""
        found = list(search(self._nest, content))
        with self._lock:
            self._note([each for each in found if each.planted not in allowed], place)
        return len({each.canary for each in found if each.planted in allowed})

    def look(self) -> None:
        """Look once, now."""
        with self._lock:
            self._look_at_processes()
            self._look_at_files()

    def _watch(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                self.look()
            except Exception as error:  # whatever one look breaks on, the next one looks, and the test does not pass
                self.problems.add(f"Watching broke off: {type(error).__name__}: {error}")

    def _look_at_processes(self) -> None:
        for process in psutil.Process().children(recursive=True):
            with _gone():
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                self._look_at_process(process.pid, process.create_time())

    def _look_at_process(self, pid: int, began: float) -> None:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        if not words:
            return  # it ends just now
        known = self._processes.get((pid, began))
        if known != (line := words.replace(b"\0", b" ").decode(errors="replace").strip()):
            self._processes[pid, began] = line
            name = _name_of(line)
            own = b"intramural.cli.main" in words
            self._note(
                (each for each in search(self._nest, words) if not (own and each.planted in TYPED)),
                f"command line of {name}",
            )
            self._look_at_environment(pid, name, is_run=RUNS.search(line) is not None)
        self._look_at_open_files(pid, line)

    def _look_at_environment(self, pid: int, name: str, *, is_run: bool) -> None:
        try:
            content = Path(f"/proc/{pid}/environ").read_bytes()
        except PermissionError:
            self.unread.add(f"environment of {name}: its memory is closed to processes of the same user")
            return
        found = list(search(self._nest, content))
        for each in found:
            if each.planted is Planted.SHELL and not is_run:
                self.seen["the shell's secret, in the environment of commands"] = 1
        self._note((each for each in found if is_run or each.planted is not Planted.SHELL), f"environment of {name}")

    def _look_at_open_files(self, pid: int, line: str) -> None:
        """Search what a process writes outside the folder, and files without a name."""
        try:
            for each in list(os.scandir(f"/proc/{pid}/fd")):
                with _gone():
                    self._look_at_open_file(pid, line, each)
        except PermissionError:  # from the start, or from when it gave its rights away
            self.unread.add("files without a name of processes whose memory is closed to the same user")

    def _look_at_open_file(self, pid: int, line: str, entry: os.DirEntry[str]) -> None:
        target = os.readlink(entry.path)
        if target.startswith(f"{self._root}/") and not target.endswith(" (deleted)"):
            return  # it is found by its name
        status = os.stat(entry.path)
        if target.startswith("/") and stat.S_ISREG(status.st_mode) and _writes(pid, entry.name):
            self._search_file(entry.path, status, f"{target}, open in {_name_of(line)}", f"{status.st_dev}:{status.st_ino}")

    def _look_at_files(self) -> None:
        waiting = [str(self._root)]
        while waiting:
            for each in self._entries(waiting.pop()):
                if each.name not in self._names:
                    self._names.add(each.name)
                    self._note(search(self._nest, os.fsencode(each.name)), f"name of {self._name(each.path)}")
                if each.is_dir(follow_symlinks=False):
                    waiting += [] if each.path in self._apart else [each.path]
                    continue
                with _gone():
                    self._look_at_entry(each)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError:
            self.unread.add(f"{self._name(folder)}: closed to its owner")
            return []

    def _look_at_entry(self, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink():
            self._note(search(self._nest, os.fsencode(os.readlink(entry.path))), f"target of {self._name(entry.path)}")
        elif stat.S_ISREG((status := os.lstat(entry.path)).st_mode):
            self._search_file(entry.path, status, self._name(entry.path), entry.path)

    def _search_file(self, path: str, status: os.stat_result, place: str, key: str) -> None:
        """Search a regular file, told by its status, that lay at *path* a moment ago."""
        state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if self._searched.get(key) == state:
            return
        if path.startswith("/proc/") and place.startswith("/proc/"):
            return  # the kernel's own, such as the map of users that a process writes for its namespace
        content = _read(path, status) if status.st_size <= MOST_BYTES else b""
        if status.st_size > MOST_BYTES:
            self.unread.add(f"{place}: larger than 1 GiB")
        self._searched[key] = state
        self.files.add(state[:2])
        self.bytes += len(content)
        self._note(search(self._nest, content), place, kept=self._may_hold(path))

    def _may_hold(self, file: str) -> frozenset[Planted]:
        """Tell what a file may hold: the database and what a person had written all that is kept, events of a run fields."""
        path = Path(file)
        if path.name.startswith("intramural.db") or self._root / ASKED in path.parents:
            return KEPT
        return frozenset({Planted.FIELD}) if path.name == "events.jsonl" else frozenset()

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self._root}/")

    def _note(self, found: Iterable[Found], place: str, *, kept: frozenset[Planted] = frozenset()) -> None:
        for each in found:
            if each.planted in kept:
                self.seen[KEPT_WORDS[each.planted]] = 1
            elif (key := (each.canary, place, each.encoding + each.inside)) not in self._told:
                self._told.add(key)
                self.hits.append(LeakHit(place=place, **each._asdict()))


def _name_of(line: str) -> str:
    """Return what a command line is about: its module and the words after it, without paths and options."""
    rest = line.partition(" -m ")[2] or line
    return " ".join(each for each in rest.split()[:4] if not each.startswith(("/", "-")))


def _writes(pid: int, descriptor: str) -> bool:
    flags = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().split("flags:", 1)[1].split()[0]
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def _read(path: str, status: os.stat_result) -> bytes:
    """Return what the regular file of *status* holds. Raises `FileNotFoundError` where something else is there by now."""
    try:
        # a process's descriptor may have become a pipe, which must neither be waited for nor emptied
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # or a socket
            raise FileNotFoundError(path) from None
        raise
    try:
        if not os.path.samestat(os.fstat(file), status):  # asked before it is read as a file: it may be a folder by now
            raise FileNotFoundError(path)
        with open(file, "rb", closefd=False) as opened:
            return opened.read()
    finally:
        os.close(file)


def _reap() -> None:
    """Take the ends of processes that became ours."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


class _gone:  # noqa: N801 - reads as what it passes over
    """Passes over what ended or was removed while it was looked at."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, FileNotFoundError | ProcessLookupError | psutil.Error)
