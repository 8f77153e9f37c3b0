"""
Runs within walls: a spare that waits with its libraries imported, or a process started for the run.

    HOME/walls/NAME        what the walls of one process wrote (`walls.launch`); no run sees it
    HOME/walls/NAME/begun  there once the process was told what to run
    HOME/walls/RUN         a link to the NAME of the run's process; who sets it has started the run, nobody else can
    HOME/spares/NAME       the folder of a spare; it becomes `HOME/runs/RUN` when it gets a run

A spare outlives the scheduler, and ends by itself when it was idle for long. It knows
one folder of the home, its own: that one is filled and renamed, so nothing of any other
run can be seen from within. It serves one run.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from intramural.domain.confinement import Confinement, Level, Limits
from intramural.domain.workload import INPUTS, LOG_FILE, SPEC_FILE
from intramural.errors import IntramuralError, NotFound, Refused
from intramural.scheduler.executors.sight import run_confinement
from intramural.walls.confined import Confined, adopt
from intramural.walls.launch import launch

PROGRAM = "intramural.workloads.inside"
WALLS, SPARES = "walls", "spares"
BEGUN, WORD, IDLE_MARK = "begun", "word", "idle"
START_SECONDS = 10.0
"""How long a start may be between its claim and its word; whoever did it is dead then."""
SPARE_BYTES = 2 * 2**30
"""Memory that must be free for a spare to be started: it takes half a gibibyte, and a run comes."""


class Walled:
    """Starts the processes of one home's runs within walls, and finds them again."""

    def __init__(
        self, home: Path, environment: Mapping[str, str], *, entry: str, level: Level, idle_seconds: float, python: str
    ) -> None:
        self._home = Path(os.path.realpath(home))
        self._environment = dict(environment)
        self._entry = entry
        self._level = level
        self._idle_seconds = idle_seconds
        self._python = python
        self._adopted: dict[str, Confined] = {}

    def start(self, attempt: str, folder: Path, keys: bytes, confinement: Confinement, version: str | None) -> None:
        """
        Start *attempt* unless it was started; through a spare of *version* that is firm enough, where there is one.

        Raises `Refused` below the level that *confinement* requires, and `Unavailable`.
        """
        if self.is_started(attempt):
            return
        folder = self._home / "runs" / folder.name
        spare = self._take_spare(version, confinement.required) if version is not None else None
        if spare is None:
            self._start_cold(attempt, folder, keys, confinement)
        else:
            self._give(spare, attempt, folder, keys)

    def is_started(self, attempt: str) -> bool:
        """Tell whether somebody claimed the start of *attempt*."""
        return self._link(attempt).is_symlink()

    def find(self, attempt: str) -> Confined | None:
        """Return the process of *attempt*, alive or not; none where it was not started within walls."""
        if attempt not in self._adopted:
            with contextlib.suppress(NotFound, NotADirectoryError):
                self._adopted[attempt] = adopt(self._link(attempt))
        return self._adopted.get(attempt)

    def is_stuck(self, attempt: str) -> bool:
        """Tell whether whoever started it died before the process was told to begin."""
        link = self._link(attempt)
        if (link / BEGUN).exists():
            return False
        try:
            return time.time() - link.lstat().st_mtime > START_SECONDS
        except FileNotFoundError:
            return False

    def forget(self, attempt: str) -> None:
        """Let go of what is known of a run that ended."""
        self._adopted.pop(attempt, None)

    def ensure_spare(self, version: str, limits: Limits, *, gently: bool) -> None:
        """Start a spare, unless one waits or memory is short; end those of other versions. Raises `Unavailable`."""
        self._sweep(version)
        if any(self._waiting(version)) or psutil.virtual_memory().available < SPARE_BYTES:
            return
        name = f"{version}-{secrets.token_hex(4)}"
        folder = self._home / SPARES / name
        own = self._new_walls(name)
        for each in (folder.parent, folder, folder / INPUTS):  # never the home itself, as in _new_walls
            each.mkdir(mode=0o700, exist_ok=True)
        word = own / WORD
        os.mkfifo(word, 0o600)
        reading = os.open(word, os.O_RDWR | os.O_CLOEXEC)  # both ways, so that it has no end before there was a word
        try:
            (folder / IDLE_MARK).touch(mode=0o600)
            command = ["--idle-seconds", str(self._idle_seconds), *(["--gently"] if gently else [])]
            wish = run_confinement(self._home, self._environment, folder, limits=limits, required=self._level)
            self._launch(own, folder, wish, reading, command).release()
        finally:
            os.close(reading)

    def _start_cold(self, attempt: str, folder: Path, keys: bytes, confinement: Confinement) -> None:
        """Start a process for this run alone."""
        own = self._new_walls(f"{attempt}-{secrets.token_hex(4)}")
        (folder / INPUTS).mkdir(mode=0o700, exist_ok=True)
        reading, writing = os.pipe()
        try:
            confined = self._launch(own, folder, confinement, reading, [])
            os.set_blocking(writing, False)
            os.write(writing, _word(keys))
        except Refused:
            shutil.rmtree(own)
            raise
        finally:
            os.close(reading)
            os.close(writing)
        if self._claim(attempt, own.name):
            confined.release()
            (own / BEGUN).touch(mode=0o600)
        else:
            confined.close()

    def _launch(self, own: Path, folder: Path, confinement: Confinement, word: int, options: list[str]) -> Confined:
        command = [self._python, "-P", "-m", PROGRAM, "--word", str(word), "--entry", self._entry, *options]
        with open(folder / LOG_FILE, "ab", opener=_private) as log:
            return launch(
                command,
                confinement,
                folder=own,
                level=self._level,
                environment=self._environment,
                output=log.fileno(),
                pass_fds=(word,),
                hold=True,
            )

    def _give(self, spare: str, attempt: str, folder: Path, keys: bytes) -> None:
        """Make the folder of a spare that of the run, and say the word."""
        if not self._claim(attempt, spare):
            self._end_spare(spare)
            return
        own, mine = self._home / WALLS / spare, self._home / SPARES / spare
        # The spec first: a folder without one is staged again, should this be cut short.
        (folder / SPEC_FILE).rename(mine / SPEC_FILE)
        if (folder / INPUTS).is_dir():
            for each in (folder / INPUTS).iterdir():
                each.rename(mine / INPUTS / each.name)
            (folder / INPUTS).rmdir()
        for each in folder.iterdir():
            each.rename(mine / each.name)
        mine.rename(folder)
        word = os.open(own / WORD, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(word, _word(keys))
        finally:
            os.close(word)
        (own / BEGUN).touch(mode=0o600)
        (own / WORD).unlink()

    def _claim(self, attempt: str, name: str) -> bool:
        """Become the one who starts *attempt*."""
        try:
            self._link(attempt).symlink_to(name)
        except FileExistsError:
            return False
        return True

    def _take_spare(self, version: str, required: Level) -> str | None:
        """Take a spare that waits and is firm enough, so that it neither ends nor serves another; None where there is none."""
        for name in self._waiting(version):
            if self._level_of(name) < required:
                continue
            with contextlib.suppress(FileNotFoundError):
                (self._home / SPARES / name / IDLE_MARK).unlink()
                return name
        return None

    def _waiting(self, version: str) -> list[str]:
        return [name for name in self._spares() if name.startswith(f"{version}-") and self._is_idle(name)]

    def _is_idle(self, name: str) -> bool:
        with contextlib.suppress(NotFound):
            return (self._home / SPARES / name / IDLE_MARK).exists() and adopt(self._home / WALLS / name).is_alive()
        return False

    def _level_of(self, name: str) -> Level:
        """Return how firmly a spare was confined when it began."""
        with contextlib.suppress(NotFound):
            return adopt(self._home / WALLS / name).level
        return Level.NONE

    def _spares(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return os.listdir(self._home / SPARES)
        return []

    def _sweep(self, version: str) -> None:
        """Remove what spares left that are gone, and end those that other code or another environment is in."""
        for name in self._spares():
            if not self._is_idle(name):
                if self._is_old(name):
                    self._end_spare(name)
            elif not name.startswith(f"{version}-"):
                with contextlib.suppress(FileNotFoundError):
                    (self._home / SPARES / name / IDLE_MARK).unlink()
                    self._end_spare(name)

    def _is_old(self, name: str) -> bool:
        """Tell whether a spare is no more about to start, or about to become a run."""
        with contextlib.suppress(FileNotFoundError):
            return time.time() - (self._home / SPARES / name).stat().st_mtime > START_SECONDS
        return False

    def _end_spare(self, name: str) -> None:
        with contextlib.suppress(IntramuralError):
            adopt(self._home / WALLS / name).close()
        shutil.rmtree(self._home / SPARES / name, ignore_errors=True)
        shutil.rmtree(self._home / WALLS / name, ignore_errors=True)

    def _new_walls(self, name: str) -> Path:
        own = self._home / WALLS / name
        own.parent.mkdir(mode=0o700, exist_ok=True)  # never the home itself: it may have been removed
        own.mkdir(mode=0o700)
        return own

    def _link(self, attempt: str) -> Path:
        return self._home / WALLS / attempt


def _word(keys: bytes) -> bytes:
    return b"run " + keys.strip() + b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
