"""
The fine-tuning workload: one process, one run directory, the contract of `domain.workload`.

    load → evaluate the base → train with checkpoints → evaluate the adapter → write

`main` is what an executor calls; it returns the exit code and never raises.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from intramural.domain.evaluation import Evaluation
from intramural.domain.job import Outcome
from intramural.domain.workload import (
    CHECKPOINTS,
    EXIT_CODES,
    INPUTS,
    OUTPUTS,
    SPEC_FILE,
    BaselineEvent,
    EvaluationEvent,
    FirstPassEvent,
    OutcomeEvent,
    ResolvedEvent,
    ResumeEvent,
    WorkloadSpec,
)
from intramural.errors import Conflict
from intramural.intake.tokens import Encoder, read_examples
from intramural.sealing import written
from intramural.workloads import checkpoint, drift, leaving, loading, machine, run_keys
from intramural.workloads.cutting import check_answers, cut
from intramural.workloads.emitter import Emitter, StopAsked, Wishes
from intramural.workloads.engine import Engine, Forward, choose_forward
from intramural.workloads.failures import failure_of, log_place
from intramural.workloads.measure import Holdout, Meter, baselines
from intramural.workloads.passes import TokenExample
from intramural.workloads.resolve import Settings, precision, resolve, shape_of
from intramural.workloads.trainer import Trainer

WARM_MODULES = (
    "transformers.models.llama.modeling_llama",
    "peft.tuners.lora.model",
    "sklearn.linear_model",
    "intramural.sealing.primitives",
)
"""What a run imports late; a warm parent takes them in before it forks."""


def preload() -> None:
    """Import everything a run needs; for a parent that forks. Runs no tensor operation."""
    from importlib import import_module  # noqa: PLC0415  only a warm parent pays for it

    for name in WARM_MODULES:
        import_module(name)


def main(run_folder: Path) -> int:
    """Run the workload of *run_folder* and return its exit code; the last event tells the outcome."""
    began = time.time()
    try:
        emitter = Emitter(run_folder)
    except Conflict as error:  # the events are those of the process that was first, and so is the outcome
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return EXIT_CODES[Outcome.FAILED]
    wishes = Wishes()
    wishes.install()
    run = _Run(run_folder, emitter, wishes, began)
    try:
        run.go()
        outcome, failure = Outcome.SUCCEEDED, None
    except StopAsked:
        outcome, failure = Outcome.STOPPED, None
    except BaseException as error:  # whatever it is, it becomes one cause
        outcome, failure = Outcome.FAILED, failure_of(error)
        emitter.make_room()
        log_place(error)
    finally:
        run.close()
        emitter.make_room()
    emitter.emit(
        OutcomeEvent(
            at=time.time(),
            outcome=outcome,
            failure=failure,
            tokens_per_second=run.tokens_per_second,
            peak_memory_bytes=machine.peak_memory(),
            peak_gpu_memory_bytes=machine.peak_gpu_memory(),
        )
    )
    return EXIT_CODES[outcome]


@dataclass
class _Run:
    folder: Path
    emitter: Emitter
    wishes: Wishes
    began: float
    tokens_per_second: float | None = None
    _engines: list[Engine] = field(default_factory=list)
    _first_pass_told: bool = False

    def close(self) -> None:
        for engine in self._engines:
            engine.close()

    def go(self) -> None:
        self.emitter.phase("load")
        self.spec = WorkloadSpec.model_validate_json((self.folder / SPEC_FILE).read_bytes())
        inputs = self.folder / INPUTS
        rows, self._files = run_keys.files_of(self.spec)
        where = machine.device()
        machine.make_repeatable(where)
        idle = machine.idle_gpu()
        if idle:
            self.emitter.notice(f"There is a GPU, and everything is computed on the processor: {idle}.")
        resumed = self._newest_checkpoint()
        encoder = Encoder(inputs / "model", now=datetime.fromtimestamp(self.spec.submitted_at, UTC))
        train_rows = list(read_examples(inputs / "train.jsonl", rows))
        holdout_rows = list(read_examples(inputs / "holdout.jsonl", rows))
        examples = [TokenExample(each.ids, each.answer) for each in encoder.encode_batch(train_rows)]
        check_answers(examples)
        chosen = Settings.of(resumed.state["settings"]).precision if resumed else precision(self.spec.job, where)
        model = loading.load_base(inputs / "model", chosen, where)
        shape = shape_of(model.config, sum(each.numel() for each in model.parameters()))
        lora = self.spec.job.method.lora
        wrapped = loading.add_adapter(model, lora, self.spec.job.train.seed, self.spec.job.base)
        forward, slow = choose_forward(model, train_dropout=lora.dropout > 0)
        if slow:
            self.emitter.notice(f"Computed by Transformers' own forward, one example at a time: {slow}.")
        settings = (
            Settings.of(resumed.state["settings"])
            if resumed
            else resolve(self.spec.job, shape, [len(each.ids) for each in examples], chosen, where, flat=slow is None)
        )
        # Sums depend on the number of threads; a resumed attempt must not find another one than the first left.
        torch.set_num_threads(settings.threads)
        if settings.threads > machine.cores():
            self.emitter.notice(
                f"resources.threads is {settings.threads}, and this run has {machine.cores()} cores; the threads share them."
            )
        examples, told = cut(examples, settings.sequence_length, shape.context)
        if told:
            self.emitter.notice(told)
        environment = machine.environment(where)
        self._print = drift.fingerprint(self.spec, environment, _threads(self.spec))
        if resumed:
            self._check_drift(resumed)
        self._announce(settings, environment, examples)
        engine = self._engine(forward, examples, settings, where)
        holdout = Holdout.of(holdout_rows, encoder, self.spec.job.evaluate, settings.sequence_length)
        meter = Meter(
            holdout,
            encoder,
            self._engine(forward, holdout.examples, settings, where),
            model,
            self.emitter,
            self.wishes,
            trained=engine if "memorisation" in self.spec.job.evaluate.suites else None,
        )
        carried = resumed.state["carried"] if resumed else self._before(meter, train_rows, holdout_rows)
        trainer = Trainer(
            engine,
            loading.adapter_parameters(wrapped),
            settings,
            self.spec.job.checkpoint,
            self.folder / CHECKPOINTS,
            self.emitter,
            self.wishes,
            self._print,
            carried,
            deadline=self._deadline(),
            files=self._files,
        )
        if resumed:
            trainer.restore(resumed)
        wrapped.train(lora.dropout > 0)
        self._train(trainer)
        wrapped.eval()
        after = self._after(meter, carried)
        self._write(wrapped, carried, after, inputs / "model", chosen)

    def _newest_checkpoint(self) -> checkpoint.Snapshot | None:
        found, skipped = checkpoint.newest_verified([self.folder / CHECKPOINTS, self.folder / INPUTS / CHECKPOINTS])
        self._skipped = tuple(skipped)
        for reason in skipped:
            self.emitter.notice(f"A checkpoint was skipped: {reason}")
        if skipped and not found:
            self.emitter.notice("No checkpoint verifies, so the training starts from the beginning.")
        return checkpoint.load(found, self._files) if found else None

    def _check_drift(self, resumed: checkpoint.Snapshot) -> None:
        accepted = drift.check(resumed.state["fingerprint"], self._print, accept=self.spec.accept_drift)
        self.emitter.emit(ResumeEvent(at=time.time(), step=resumed.step, skipped=self._skipped, drift=accepted))

    def _announce(self, settings: Settings, environment: dict[str, str], examples: list[TokenExample]) -> None:
        self.emitter.emit(
            ResolvedEvent(
                at=time.time(),
                settings=settings.document(),
                environment=environment,
                total_steps=settings.total_steps,
                total_tokens=sum(len(each.ids) for each in examples),
            )
        )

    def _engine(self, forward: Forward, examples: list[TokenExample], settings: Settings, where: torch.device) -> Engine:
        engine = Engine(
            forward, examples, lanes=settings.lanes, threads=settings.threads, pass_tokens=settings.pass_tokens, device=where
        )
        self._engines.append(engine)
        return engine

    def _before(self, meter: Meter, train_rows: list[Any], holdout_rows: list[Any]) -> dict[str, Any]:
        """Measure the base and the simple baselines; return what a later attempt must not measure again."""
        carried: dict[str, Any] = {"before": None, "scores": {}}
        if not (self.spec.job.evaluate.before and meter.holdout.examples):
            return carried
        self.emitter.phase("evaluate_before")
        self._first_pass()
        before, scores = meter.measure("base", "evaluate_before")
        self.emitter.emit(EvaluationEvent(at=time.time(), when="before", evaluation=before))
        if meter.holdout.generates:
            for each in baselines(train_rows, holdout_rows, self.spec.job.evaluate.limit):
                self.emitter.emit(BaselineEvent(at=time.time(), evaluation=each))
        return {"before": before.document(), "scores": scores}

    def _train(self, trainer: Trainer) -> None:
        self.emitter.phase("train")
        self._first_pass()
        try:
            trainer.run()
        finally:
            if trainer.seconds:
                self.tokens_per_second = trainer.tokens / trainer.seconds

    def _after(self, meter: Meter, carried: dict[str, Any]) -> Evaluation | None:
        if not meter.holdout.examples:
            return None
        self.emitter.phase("evaluate_after")
        after, _scores = meter.measure("tuned", "evaluate_after", against=carried["scores"] or None)
        self.emitter.emit(EvaluationEvent(at=time.time(), when="after", evaluation=after))
        return after

    def _write(self, wrapped: Any, carried: dict[str, Any], after: Evaluation | None, model: Path, chosen: Any) -> None:
        self.emitter.phase("write")
        report = {"before": carried["before"], "after": after.document() if after else None}
        self._leave("evaluation.json", json.dumps(report, indent=1, sort_keys=True).encode())
        for name, body in leaving.adapter_files(wrapped):
            self._leave(f"adapter/{name}", body)
        if self.spec.job.method.merge:
            for name, body in leaving.merged_files(wrapped, model, loading.DTYPES[chosen]):
                self._leave(f"merged/{name}", body)
        self.emitter.phase("done")

    def _leave(self, name: str, body: bytes) -> None:
        """Write one output; it is in memory until it is sealed."""
        path = self.folder / OUTPUTS / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with written(self._files, path, name) as writer:
            writer.write(body)

    def _first_pass(self) -> None:
        if not self._first_pass_told:
            self.emitter.emit(FirstPassEvent(at=time.time(), seconds_since_submit=time.time() - self.spec.asked_at))
            self._first_pass_told = True

    def _deadline(self) -> float | None:
        limit = self.spec.job.resources.time_limit_minutes
        return None if limit is None else self.began + 60 * limit


def _threads(spec: WorkloadSpec) -> int:
    return machine.cores() if spec.job.resources.threads == "auto" else spec.job.resources.threads


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
