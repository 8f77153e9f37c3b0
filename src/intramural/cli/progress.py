"""
Progress on standard error: bars on a terminal, a quiet line now and then elsewhere.

Both follow the same `Tally`; neither writes to standard output, which belongs to the answer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from intramural.cli.output import note, printable
from intramural.cli.tally import Tally, sentence
from intramural.pages.words import PHASES, duration, rate

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from intramural.domain.workload import Event

_QUIET_SECONDS = 10.0


class Follower(Protocol):
    """Shows the events of one job as they come."""

    def show(self, event: Event) -> None:
        """Take one event in."""

    def idle(self, words: str) -> None:
        """Tell what it waits for while no event comes."""


class QuietLines:
    """One line per phase and checkpoint, and one every ten seconds between them."""

    def __init__(self, every_seconds: float = _QUIET_SECONDS) -> None:
        self._tally = Tally()
        self._every = every_seconds
        self._spoke = time.monotonic()
        self._waiting = ""

    def show(self, event: Event) -> None:
        """Write the event's own line, or the state of things when it is time."""
        line = self._tally.add(event)
        due = event.type in {"step", "progress"} and time.monotonic() - self._spoke >= self._every
        if line or due:
            note(printable(line or self._tally.line))
            self._spoke = time.monotonic()

    def idle(self, words: str) -> None:
        """Write what it waits for, once."""
        if words != self._waiting:
            self._waiting = words
            note(printable(words))


class Bars:
    """One bar per phase with loss, speed and time left, and the notable lines above them."""

    def __init__(self, progress: Progress) -> None:
        self._tally = Tally()
        self._progress = progress
        self._task: TaskID | None = None
        self._phase: str | None = None

    def show(self, event: Event) -> None:
        """Move the bar of the event's phase."""
        line = self._tally.add(event)
        if line and event.type in {"resume", "notice"}:
            self._progress.console.print(printable(line), markup=False, highlight=False, style="dim")
        if self._tally.phase != self._phase:
            self._begin(self._tally.phase)
        if self._task is not None:
            self._progress.update(
                self._task, completed=self._tally.done, total=self._tally.total or None, figures=self._figures()
            )

    def idle(self, words: str) -> None:
        """Show what it waits for beside the spinner."""
        if self._task is None:
            self._task = self._progress.add_task("", total=None, figures="")
        self._progress.update(self._task, description=printable(words)) if self._phase in {None, "done"} else None

    def _begin(self, phase: str | None) -> None:
        if self._task is not None:
            task = next(each for each in self._progress.tasks if each.id == self._task)
            full = task.total or 1
            self._progress.update(self._task, completed=full, total=full, visible=self._phase is not None)
        self._phase = phase
        words = sentence(PHASES.get(phase or "", phase or "waiting"))
        self._task = None if phase == "done" else self._progress.add_task(words, total=None, figures="")

    def _figures(self) -> str:
        tally = self._tally
        if tally.phase != "train" or tally.loss is None:
            return f"{tally.done}/{tally.total}" if tally.total else ""
        left = f"  {duration(tally.seconds_left)} left" if tally.done < tally.total else ""
        return f"{tally.done}/{tally.total}  loss {tally.loss:.3f}  {rate(tally.tokens_per_second)} tokens/s{left}"


@contextmanager
def following() -> Iterator[Follower]:
    """Yield the follower that fits standard error."""
    if not sys.stderr.isatty():
        yield QuietLines()
        return
    with _rich_progress() as progress:
        yield Bars(progress)


@contextmanager
def counting(words: str) -> Iterator[Any]:
    """Yield `report(done, total, what)` for a long step, such as reading a file; silent off a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    with _rich_progress() as progress:
        task = progress.add_task(words, total=None, figures="")

        def report(done: int, total: int, what: str) -> None:
            share = f"{100 * done / total:.0f} %" if total > 1 else ""
            progress.update(task, description=printable(f"{words}: {what}"), completed=done, total=total or None, figures=share)

        yield report


def _rich_progress() -> Progress:
    from rich.console import Console  # noqa: PLC0415 - keeps `--help` fast
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
