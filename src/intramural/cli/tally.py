"""
What the events of a job add up to at a glance: phase, step, loss, speed, time left.

Pure: events go in, figures come out; the bars, the quiet lines and the live view draw them.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

from intramural.pages.words import PHASES, count, duration, rate

if TYPE_CHECKING:
    from intramural.domain.workload import Event, StepEvent

_RECENT_STEPS = 20
_SPARK = "▁▂▃▄▅▆▇█"


class Tally:
    """The running figures of one job, over all its attempts."""

    def __init__(self) -> None:
        self.phase: str | None = None
        self.done = 0
        self.total = 0
        self.losses: list[float] = []
        self.checkpoint_step = 0
        self.learning_rate: float | None = None
        self.memory_bytes: int | None = None
        self.ended = False
        self._recent: deque[StepEvent] = deque(maxlen=_RECENT_STEPS)

    def add(self, event: Event) -> str | None:
        """Take one event in; return a line where it is worth one of its own."""
        match event.type:
            case "phase":
                self.phase, self.done, self.total, self.ended = event.phase, 0, 0, False
                return None if event.phase == "done" else sentence(PHASES.get(event.phase, event.phase)) + "."
            case "resolved":
                return f"{count(event.total_steps)} steps, {count(event.total_tokens)} tokens to train on."
            case "progress":
                self.done, self.total = event.done, event.total
            case "step":
                self._step(event)
            case "checkpoint":
                self.checkpoint_step = event.step
                return f"Checkpoint at step {count(event.step)}; training waited {1000 * event.blocked_seconds:.0f} ms."
            case "resume":
                del self.losses[event.step :]
                self._recent.clear()
                skipped = f" ({len(event.skipped)} newer ones did not verify)" if event.skipped else ""
                return f"Resumed from the checkpoint at step {count(event.step)}{skipped}."
            case "notice":
                return event.message
            case "outcome":
                self.ended = True
            case _:
                pass
        return None

    @property
    def loss(self) -> float | None:
        """The mean loss of the recent steps, in nats per answer token."""
        return sum(each.loss for each in self._recent) / len(self._recent) if self._recent else None

    @property
    def tokens_per_second(self) -> float | None:
        """The speed over the recent steps."""
        seconds = sum(each.seconds for each in self._recent)
        return sum(each.tokens for each in self._recent) / seconds if seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """What the rest of the training takes at the recent pace; none outside of it."""
        if self.phase != "train" or not self._recent or not self.total:
            return None
        pace = sum(each.seconds for each in self._recent) / len(self._recent)
        return pace * max(self.total - self.done, 0)

    @property
    def line(self) -> str:
        """Everything on one line, for a log."""
        parts = [PHASES.get(self.phase or "", self.phase or "waiting")]
        if self.total:
            parts[0] += f" {count(self.done)} of {count(self.total)}"
        if self.phase == "train" and self.loss is not None:
            parts.append(f"loss {self.loss:.3f}")
            parts.append(f"{rate(self.tokens_per_second)} tokens/s")
        if self.seconds_left is not None:
            parts.append(f"about {duration(self.seconds_left)} left")
        return sentence(", ".join(parts))

    def _step(self, event: StepEvent) -> None:
        self.phase, self.done, self.total, self.ended = "train", event.step, event.total_steps, False
        del self.losses[event.step - 1 :]
        self.losses.append(event.loss)
        self.learning_rate, self.memory_bytes = event.learning_rate, event.memory_bytes
        self._recent.append(event)


def sparkline(values: list[float], width: int) -> str:
    """Return *values* as a line of *width* block characters at most, each the mean of its stretch."""
    if not values or width < 1:
        return ""
    columns = min(width, len(values))
    bounds = [n * len(values) // columns for n in range(columns + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(bounds)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(_SPARK[min(int((each - low) / span * len(_SPARK)), len(_SPARK) - 1)] for each in means)


def sentence(text: str) -> str:
    """Return *text* with a capital at its beginning."""
    return text[:1].upper() + text[1:]
