"""
The hold-out before and after training: loss by teacher forcing, answers by greedy generation.

Texts of prompts and answers live in this process's memory only; what leaves is an
`Evaluation`, numbers without content.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from intramural.domain.evaluation import MEMBERSHIP, Evaluation, Score
from intramural.domain.spec import AUTO, Evaluate
from intramural.evaluation.baselines import baseline_evaluations
from intramural.evaluation.membership import membership_auc
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
MOST_COMPARED = 200
"""Examples of either side whose losses the suite `memorisation` compares."""
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
    trained: Engine | None = None
    """The examples of the training, where the suite `memorisation` compares their losses with the hold-out's."""

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
        told_apart = self._told_apart()
        if told_apart is not None:
            evaluation = evaluation.model_copy(update={"scores": {**evaluation.scores, MEMBERSHIP: told_apart}})
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

    def _told_apart(self) -> Score | None:
        """Return how well losses tell rows of the training from those of the hold-out; none where nobody asked."""
        if self.trained is None:
            return None
        number = min(MOST_COMPARED, len(self.trained.examples), len(self.engine.examples))
        members, others = (self._losses(engine, number) for engine in (self.trained, self.engine))
        return membership_auc(members, others)

    def _losses(self, engine: Engine, number: int) -> list[float]:
        """Return the loss per answer token of *number* examples, evenly spaced, the same ones each time."""
        losses = []
        for n in range(number):
            self.wishes.check()
            loss, answers = engine.loss([n * len(engine.examples) // number])
            losses += [loss / answers] if answers else []
        return losses

    def _answers(self, phase: str, total: int) -> tuple[list[str], int]:
        prompts = self.holdout.prompts
        if not prompts:
            return [], 0

        # Every lane answers its share: dealt out by length, so that the shares take as long.
        order = sorted(range(len(prompts)), key=lambda n: (len(prompts[n]), n))
        shares = [order[lane :: self.engine.lanes] for lane in range(self.engine.lanes)]
        done = [0] * len(shares)

        def answer(lane: int) -> list[list[int]]:
            def on_progress(ended: int) -> None:
                self.wishes.check()
                done[lane] = ended
                self.emitter.progress(phase, total - len(prompts) + sum(done), total)

            return self._generate([prompts[n] for n in shares[lane]], on_progress)

        ids: list[list[int]] = [[] for _ in prompts]
        for share, answers in zip(shares, self.engine.side_by_side(answer, range(len(shares))), strict=True):
            for n, each in zip(share, answers, strict=True):
                ids[n] = each
        return [self.encoder.decode(each) for each in ids], sum(len(each) for each in ids)

    def _generate(self, prompts: list[list[int]], on_progress: Callable[[int], None]) -> list[list[int]]:
        options: dict[str, Any] = {
            "max_new_tokens": self.holdout.max_new_tokens,
            "eos_ids": self.encoder.eos_ids,
            "on_progress": on_progress,
        }
        if isinstance(self.engine.forward, FlatForward):
            return greedy(Decoder(self.model), prompts, **options)
        return greedy_stock(self.model, prompts, pad_id=self.encoder.pad_id, **options)


def baselines(train: Sequence[dict[str, Any]], holdout: Sequence[dict[str, Any]], limit: int | None) -> list[Evaluation]:
    """Return what simple systems reach on the same hold-out; none where the answers are no small set."""
    return baseline_evaluations([_pair(row) for row in train], [_pair(row) for row in holdout[:limit]])


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    asked = [str(turn["content"]) for turn in prompt_messages(row) if turn["role"] == "user"]
    return "\n".join(asked), answer_text(row)
