"""
The program of a run within walls: wait for the word, then do the work of the folder that it stands in.

The word is one line through a pipe: `run`, a space, and the run's keys. A spare takes in
the libraries while it waits; so the run that it becomes starts at once. It waits for
`--idle-seconds`, then takes the mark that whoever gives it a run takes first: only one
of the two gets it.

    FOLDER/idle    there while nobody gave this spare a run
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import select
import sys
import threading
import time
from pathlib import Path

from intramural.workloads import run_keys
from intramural.workloads.launch import harden, plain_signals, work

IDLE_MARK = "idle"
WORD = b"run "
WORD_SECONDS = 60.0
"""How long the word may take once the mark was taken."""
LOOK_SECONDS = 10.0
STARVED_SECONDS = 0.5
"""Imports that had less than half of these are begun anew at the priority of a run: a thread cannot be given it back."""


def main(argv: list[str] | None = None) -> None:
    """Become the run that the word is about."""
    parser = argparse.ArgumentParser(prog="intramural.workloads.inside", description="Do a run's work within walls.")
    parser.add_argument("--word", type=int, required=True, help="the descriptor that the word comes through")
    parser.add_argument("--entry", required=True, help="module:function to run")
    parser.add_argument("--idle-seconds", type=float, help="wait as a spare, and so long")
    parser.add_argument("--gently", action="store_true", help="take the libraries in on processor time that nobody else wants")
    options = parser.parse_args(argv)
    harden()
    plain_signals()
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # only a replaced stream could not
    if options.idle_seconds is None:
        line = _word(options.word)
    else:
        imports = threading.Thread(target=_import, args=(options.entry, options.gently))
        imports.start()
        wanted = _is_wanted(options.word, options.idle_seconds)
        while wanted and options.gently and imports.is_alive():  # the machine may become busy at any moment of them
            if _is_starved(imports):
                command = [sys.executable, "-P", "-m", "intramural.workloads.inside", "--word", str(options.word)]
                os.execv(sys.executable, [*command, "--entry", options.entry])  # noqa: S606 - the word still waits in its pipe
        line = _word(options.word) if wanted else b""
        imports.join()
    if not line.startswith(WORD):
        return
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    # The walls know the folder by the name it had when they were raised.
    work(Path.cwd(), options.entry, lambda: run_keys.hold(line.removeprefix(WORD).strip()))


def _import(entry: str, gently: bool) -> None:
    """Import what a run needs, as `entry` names it; *gently* on processor time that nobody else wants, this thread alone."""
    if gently:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(Exception):  # the run will meet it again, and tell it
        module = importlib.import_module(entry.partition(":")[0])
        preload = getattr(module, "preload", None)
        if preload is not None:
            preload()


def _is_starved(imports: threading.Thread) -> bool:
    """Tell whether the imports, once their run waits for them, get too little of a busy machine to be waited for."""
    if imports.ident is None or not imports.is_alive():
        return False
    with contextlib.suppress(OSError):  # it ended between the question and the look at its clock
        clock = time.pthread_getcpuclockid(imports.ident)
        before = time.clock_gettime(clock)
        imports.join(STARVED_SECONDS)
        return imports.is_alive() and time.clock_gettime(clock) - before < STARVED_SECONDS / 2
    return False


def _is_wanted(word: int, seconds: float) -> bool:
    """Wait for the word; when none came in time, or the folder was removed, tell whether one is under way."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and os.path.exists(IDLE_MARK):
        if select.select([word], [], [], min(left, LOOK_SECONDS))[0]:
            return True
    try:
        os.unlink(IDLE_MARK)
    except FileNotFoundError:
        return bool(select.select([word], [], [], WORD_SECONDS)[0])  # whoever took the mark may be dead
    return False


def _word(pipe: int) -> bytes:
    """Read the line; it is empty or cut where the other side ended."""
    line = b""
    while not line.endswith(b"\n") and len(line) < run_keys.LONGEST_LINE and (piece := os.read(pipe, run_keys.LONGEST_LINE)):
        line += piece
    return line


if __name__ == "__main__":
    main()
