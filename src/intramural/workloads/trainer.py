"""
The training loop: steps over the engine, a schedule, checkpoints, and exact resume.

Everything that decides the next step is in the settings, the seed and the checkpoint, so a
run that was killed anywhere and resumed gives bitwise the same losses, gradient norms and
batches as one that never was.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intramural.domain.spec import CheckpointPolicy
from intramural.domain.workload import CheckpointEvent, StepEvent
from intramural.sealing import Files, PlainFiles
from intramural.workloads import machine
from intramural.workloads.checkpoint import CheckpointWriter, Snapshot, copied
from intramural.workloads.emitter import Emitter, StopAsked, Wishes
from intramural.workloads.engine import Engine
from intramural.workloads.passes import Plan, batch_digest
from intramural.workloads.resolve import Settings


class Diverged(Exception):
    """A loss or a gradient is no longer a finite number."""


class TimeLimit(Exception):
    """The run's own time limit is over."""


def rate_factor(step: int, settings: Settings) -> float:
    """Return the share of the peak learning rate at *step* (from 0): a linear warm-up, then the schedule.

    Cosine: Loshchilov and Hutter, SGDR, 2017, one cycle to zero.
    """
    warm = math.ceil(settings.warmup * settings.total_steps)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, settings.total_steps - warm)
    if settings.schedule == "constant":
        return 1.0
    return 1 - done if settings.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class Trainer:
    """One training from its first or a resumed step to its last."""

    engine: Engine
    parameters: dict[str, Tensor]
    settings: Settings
    policy: CheckpointPolicy
    folder: Path
    emitter: Emitter
    wishes: Wishes
    fingerprint: dict[str, Any]
    carried: dict[str, Any]
    """Figures of before the training that a later attempt must not measure again."""
    deadline: float | None = None
    files: Files = field(default_factory=PlainFiles)
    """How checkpoints are written."""
    on_step: Callable[[int], None] = lambda _step: None
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    _last_save: float = field(default_factory=time.monotonic)
    _saved_step: int = 0

    def __post_init__(self) -> None:
        self._plan = Plan(
            len(self.engine.examples), self.settings.total_steps, self.settings.effective_batch, self.settings.seed
        )
        self._optimizer = torch.optim.AdamW(
            list(self.parameters.values()),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            foreach=True,
        )
        self._writer = CheckpointWriter(self.folder, self.policy.keep, self._written, self.files)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from *snapshot*."""
        self.step = self._saved_step = snapshot.step
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(snapshot.tensors[f"parameter.{name}"])
        self._optimizer.load_state_dict(
            {
                "state": {
                    n: {
                        "step": torch.tensor(float(snapshot.step)),
                        "exp_avg": snapshot.tensors[f"exp_avg.{name}"],
                        "exp_avg_sq": snapshot.tensors[f"exp_avg_sq.{name}"],
                    }
                    for n, name in enumerate(self.parameters)
                },
                "param_groups": self._optimizer.state_dict()["param_groups"],
            }
        )
        self.tokens, self.seconds = snapshot.state["tokens"], snapshot.state["seconds"]
        self.carried = snapshot.state["carried"]
        _restore_random(snapshot.tensors, snapshot.state["random"])

    def run(self) -> None:
        """Train to the last step. Raise `StopAsked` (after a checkpoint), `TimeLimit` (same) or `Diverged`."""
        try:
            while self.step < self.settings.total_steps:
                self._one_step()
                self._after_step()
            if self._saved_step < self.step:
                self._save()  # an end during the evaluation that follows must not cost a step
        finally:
            self._writer.wait()

    def _one_step(self) -> None:
        began = time.perf_counter()
        chosen = self._plan.step_examples(self.step)
        parameters = list(self.parameters.values())
        loss, answers, grads = self.engine.gradients(chosen, parameters)
        torch._foreach_div_(grads, max(1, answers))
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.settings.max_grad_norm))
        rate = self.settings.learning_rate * rate_factor(self.step, self.settings)
        mean = loss / max(1, answers)
        if not (math.isfinite(mean) and math.isfinite(norm)):
            raise Diverged(f"step {self.step + 1}: loss {mean}, gradient norm {norm}")
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        tokens = sum(len(self.engine.examples[each].ids) for each in chosen)
        seconds = time.perf_counter() - began
        self.tokens += tokens
        self.seconds += seconds
        self.emitter.emit(
            StepEvent(
                at=time.time(),
                step=self.step,
                total_steps=self.settings.total_steps,
                loss=mean,
                grad_norm=norm,
                learning_rate=rate,
                tokens=tokens,
                seconds=seconds,
                batch_digest=batch_digest(self.engine.examples, chosen),
                memory_bytes=machine.peak_memory(),
            )
        )

    def _after_step(self) -> None:
        self.on_step(self.step)
        stop, late = self.wishes.stop, self.deadline is not None and time.time() > self.deadline
        if self.wishes.take_checkpoint() or stop or late or self._due():
            self._save()
        if stop or late:
            self._writer.wait()
            raise StopAsked if stop else TimeLimit("resources.time_limit_minutes is over; a checkpoint was written")

    def _save(self) -> None:
        self._writer.write(self._snapshot)
        self._last_save, self._saved_step = time.monotonic(), self.step

    def _due(self) -> bool:
        steps, minutes = self.policy.every_steps, self.policy.every_minutes
        if steps is not None:
            return self.step % steps == 0
        return minutes is not None and time.monotonic() - self._last_save >= 60 * minutes

    def _snapshot(self) -> Snapshot:
        tensors: dict[str, Tensor] = {}
        state = self._optimizer.state
        for name, parameter in self.parameters.items():
            tensors[f"parameter.{name}"] = parameter
            tensors[f"exp_avg.{name}"] = state[parameter]["exp_avg"]
            tensors[f"exp_avg_sq.{name}"] = state[parameter]["exp_avg_sq"]
        random_tensors, random_state = _random_state()
        return Snapshot(
            self.step,
            copied({**tensors, **random_tensors}),
            {
                "tokens": self.tokens,
                "seconds": self.seconds,
                "carried": self.carried,
                "random": random_state,
                "settings": self.settings.document(),
                "fingerprint": self.fingerprint,
            },
        )

    def _written(self, step: int, size: int, blocked: float, wrote: float) -> None:
        self.emitter.emit(
            CheckpointEvent(at=time.time(), step=step, size_bytes=size, blocked_seconds=blocked, write_seconds=wrote)
        )


def _random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of every generator a library may draw from."""
    version, internal, gauss = random.getstate()
    legacy = np.random.get_state(legacy=False)
    tensors = {"random.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    key = legacy["state"]
    return tensors, {
        "python": [version, list(internal), gauss],
        "numpy": {
            **{name: legacy[name] for name in ("bit_generator", "has_gauss", "gauss")},
            "state": {"key": [int(each) for each in key["key"]], "pos": int(key["pos"])},
        },
    }


def _restore_random(tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kept = state["numpy"]
    key = np.asarray(kept["state"]["key"], dtype=np.uint32)
    np.random.set_state({**kept, "state": {"key": key, "pos": kept["state"]["pos"]}})
    torch.set_rng_state(tensors["random.torch"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
