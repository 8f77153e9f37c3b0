"""
The hold-out before and after training: loss by teacher forcing, answers by greedy generation.

Texts of prompts and answers live in this process's memory only; what leaves is an
`Evaluation`, numbers without content.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from intramural.domain.evaluation import Evaluation
from intramural.domain.spec import AUTO, Evaluate
from intramural.evaluation.baselines import baseline_evaluations
from intramural.evaluation.scorers import SampleScores, sample_scores
from intramural.evaluation.suite import is_structured, score_answers
from intramural.intake.tokens import Encoded, Encoder, answer_text, prompt_messages
from intramural.workloads.decoder import Decoder
from intramural.workloads.emitter import Emitter, Wishes
from intramural.workloads.engine import Engine, FlatForward
from intramural.workloads.generate import greedy, greedy_stock
from intramural.workloads.passes import TokenExample

LONGEST_ANSWER = 256
"""Most new tokens per answer where `max_new_tokens` is `auto`."""
LOSS_CHUNK = 32
"""Examples per call of the engine: how often progress and a wish to stop are looked at."""


@dataclass
class Holdout:
    """The hold-out as this run measures it, the same examples before and after."""

    examples: list[TokenExample]
    prompts: list[list[int]]
    references: list[str]
    max_new_tokens: int
    generates: bool

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]], encoder: Encoder, options: Evaluate, sequence_length: int) -> Holdout:
        """Encode *rows*; decide whether the `structured` suite says something about them."""
        rows = rows[: options.limit]
        references = [answer_text(row) for row in rows]
        generates = "structured" in options.suites and is_structured(references)
        encoded = encoder.encode_batch(rows, sequence_length) if rows else []
        return cls(
            examples=[TokenExample(each.ids, each.answer) for each in encoded],
            prompts=encoder.encode_prompts([prompt_messages(row) for row in rows]) if generates else [],
            references=references,
            max_new_tokens=_room(encoded, options) if generates else 0,
            generates=generates,
        )


def _room(encoded: list[Encoded], options: Evaluate) -> int:
    if options.max_new_tokens != AUTO:
        return options.max_new_tokens
    longest = max(sum(each.answer) for each in encoded)
    return min(LONGEST_ANSWER, longest + longest // 4 + 1)


@dataclass
class Meter:
    """Measures one model on one hold-out."""

    holdout: Holdout
    encoder: Encoder
    engine: Engine
    model: Any
    emitter: Emitter
    wishes: Wishes
    threads: int

    def measure(self, system: str, phase: str, against: SampleScores | None = None) -> tuple[Evaluation, SampleScores]:
        """Return the figures of *system* and its scores per sample; *against* are another system's, for paired differences."""
        began = time.perf_counter()
        total = len(self.holdout.examples) + len(self.holdout.prompts)
        loss = self._loss(phase, total)
        answers, generated = self._answers(phase, total)
        evaluation = score_answers(
            system,
            self.holdout.references,
            answers if self.holdout.generates else None,
            loss=loss,
            seconds=time.perf_counter() - began,
            generated_tokens=generated,
            against=against,
        )
        return evaluation, sample_scores(self.holdout.references, answers) if self.holdout.generates else {}

    def _loss(self, phase: str, total: int) -> float | None:
        loss, answers = 0.0, 0
        for at in range(0, len(self.holdout.examples), LOSS_CHUNK):
            self.wishes.check()
            chosen = range(at, min(at + LOSS_CHUNK, len(self.holdout.examples)))
            some, count = self.engine.loss(chosen)
            loss, answers = loss + some, answers + count
            self.emitter.progress(phase, chosen.stop, total)
        return loss / answers if answers else None

    def _answers(self, phase: str, total: int) -> tuple[list[str], int]:
        prompts = self.holdout.prompts
        if not prompts:
            return [], 0

        def on_progress(done: int) -> None:
            self.wishes.check()
            self.emitter.progress(phase, total - len(prompts) + done, total)

        options = {"max_new_tokens": self.holdout.max_new_tokens, "eos_ids": self.encoder.eos_ids, "on_progress": on_progress}
        torch.set_num_threads(self.threads)
        if isinstance(self.engine.forward, FlatForward):
            ids = greedy(Decoder(self.model), prompts, **options)
        else:
            ids = greedy_stock(self.model, prompts, pad_id=self.encoder.pad_id, **options)
        return [self.encoder.decode(each) for each in ids], sum(len(each) for each in ids)


def baselines(train: Sequence[dict[str, Any]], holdout: Sequence[dict[str, Any]], limit: int | None) -> list[Evaluation]:
    """Return what simple systems reach on the same hold-out; none where the answers are no small set."""
    return baseline_evaluations([_pair(row) for row in train], [_pair(row) for row in holdout[:limit]])


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    asked = [str(turn["content"]) for turn in prompt_messages(row) if turn["role"] == "user"]
    return "\n".join(asked), answer_text(row)
