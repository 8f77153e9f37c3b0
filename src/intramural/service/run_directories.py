"""
What lies in a run's directory: inputs before the start; after the end its figures, and checkpoints that may be needed.

Inputs are there for as long as the run is open; the rows among them, like everything that
the run writes but its events and its log, are sealed. What a run left is in the vault
before it ends.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from intramural.domain.artifact import Artifact, ArtifactKind
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import Job, JobState, Run
from intramural.domain.value import Digest, RunId
from intramural.domain.views import Claim
from intramural.domain.workload import CHECKPOINTS, INPUTS, LOG_FILE, OUTPUTS, SPEC_FILE, Sealing, WorkloadSpec
from intramural.errors import IntegrityFailure, NotFound
from intramural.service.context import Context
from intramural.service.scope_keys import check_readable
from intramural.store import Reading
from intramural.vault import disk_errors

MODEL = "model"
ROWS = ("train.jsonl", "holdout.jsonl")
LEFT = (INPUTS, OUTPUTS, CHECKPOINTS, LOG_FILE)
"""What an ended run needs no more, once it is sealed elsewhere."""


def stage_run(ctx: Context, claim: Claim, run_folder: Path, sealing: Sealing) -> None:
    """Fill a run's directory with its spec, its inputs and the checkpoints of the attempts before; safe to repeat.

    Every byte of the model and the data is checked. Raises `IntegrityFailure`, `DoesNotFit`, `Unavailable`.
    """
    job, run = claim.job, claim.run
    if (run_folder / SPEC_FILE).exists():
        return
    inputs = run_folder / INPUTS
    with ctx.read() as tx:
        data = dataset_of(tx, job)
        earlier = [each for each in tx.runs.of_job(job.id) if each.attempt < run.attempt]
    check_readable(data)
    with disk_errors(str(run_folder)):
        shutil.rmtree(run_folder, ignore_errors=True)
        for folder in (run_folder.parent, run_folder, inputs):
            folder.mkdir(mode=0o700, exist_ok=True)
        ctx.vault.stage_tree(job.base_digest, inputs / MODEL)
        for name, sealed in zip(ROWS, (data.train_sealed, data.holdout_sealed), strict=True):
            ctx.vault.stage(cast(Digest, sealed), inputs / name)
        for each in reversed(earlier):
            for folder in (ctx.runs / each.id / CHECKPOINTS, ctx.runs / each.id / INPUTS / CHECKPOINTS):
                _link_checkpoints(folder, inputs / CHECKPOINTS)
        # Written last: a directory with a spec is a whole one.
        partial = run_folder / f".{SPEC_FILE}"
        with open(partial, "w", encoding="utf-8", opener=_private) as file:
            file.write(_workload(claim, data, sealing).model_dump_json())
            file.flush()
            os.fsync(file.fileno())  # whole even where the machine goes down now
        partial.rename(run_folder / SPEC_FILE)


def dataset_of(tx: Reading, job: Job) -> DatasetVersion:
    """Return the version a job was accepted with. Raises `NotFound`."""
    found = next((each for each in tx.datasets.all(job.project) if each.label == job.dataset_label), None)
    if found is None:
        raise NotFound(f"There is no {job.dataset_label} any more.", hint="Was the database restored from an older backup?")
    return found


def _workload(claim: Claim, data: DatasetVersion, sealing: Sealing) -> WorkloadSpec:
    job, run = claim.job, claim.run
    return WorkloadSpec(
        run_id=run.id,
        attempt=run.attempt,
        job=job.spec,
        example_kind=data.kind,
        base_digest=job.base_digest,
        dataset_digest=job.dataset_digest,
        sealing=sealing,
        accept_drift=run.accept_drift,
        submitted_at=job.submitted_at.timestamp(),
        asked_at=(job.submitted_at if run.attempt == 1 else run.started_at).timestamp(),
    )


def _link_checkpoints(source: Path, target: Path) -> None:
    """Hard-link every checkpoint under *source* that *target* lacks; the run they come from has ended."""
    if source.is_symlink() or not source.is_dir():
        return
    for checkpoint in sorted(source.glob("step-*")):
        mine = target / checkpoint.name
        if checkpoint.is_dir() and not checkpoint.is_symlink() and not mine.exists():
            target.mkdir(mode=0o700, exist_ok=True)
            mine.mkdir(mode=0o700)
            for file in checkpoint.iterdir():
                _link(file, mine / file.name)


def check_left(folder: Path) -> None:
    """Raise `IntegrityFailure` for a link or a special file in what a run left: it would lead to files of this side."""
    if not folder.exists() and not folder.is_symlink():
        return
    for path in (folder, *folder.rglob("*")) if folder.is_dir() and not folder.is_symlink() else (folder,):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise IntegrityFailure(
                "The run left something that is neither a file nor a folder.",
                hint="Nothing of it was kept; look at the trainer.",
            )


def _link(source: Path, target: Path) -> None:
    if source.is_symlink() or not source.is_file():
        return  # a checkpoint that lacks it does not verify
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        target.touch(mode=0o600)
        shutil.copyfile(source, target)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def clear_runs(ctx: Context, ended: list[Run], state: JobState) -> None:
    """Remove what runs that ended need no more; a job that may go on (*state*) keeps its checkpoints."""
    with ctx.read() as tx:
        sealed = sealed_logs(tx, ended)
    for each in ended:
        _clear(ctx.runs / each.id, state is JobState.SUCCEEDED, log_too=each.id in sealed)


def sweep_runs(ctx: Context) -> None:
    """Clear the directories that a scheduler was killed over, and those of runs that the store does not know."""
    # The directories are read first: a run that is claimed meanwhile has none among them.
    full = [each for each in _folders(ctx.runs) if any((each / part).exists() for part in LEFT)]
    with ctx.read() as tx:
        is_done = {folder: _is_done(tx, RunId(folder.name)) for folder in full}
        is_sealed = {folder for folder in full if (run := tx.runs.find(RunId(folder.name))) and sealed_logs(tx, [run])}
    for folder, done in is_done.items():
        if done is not None:
            _clear(folder, done, log_too=folder in is_sealed)


def sealed_logs(tx: Reading, runs: Sequence[Run]) -> dict[RunId, Artifact]:
    """Return the logs of *runs*, which are of one job, that are in the vault."""
    if not runs:
        return {}
    made = tx.artifacts.all(tx.jobs.get(runs[0].job_id).project, runs[0].job_id)
    wanted = {each.id for each in runs}
    return {each.run_id: each for each in made if each.kind is ArtifactKind.LOGS and each.run_id in wanted}


def _folders(runs: Path) -> list[Path]:
    return [each for each in runs.iterdir() if each.is_dir()] if runs.is_dir() else []


def _is_done(tx: Reading, run_id: RunId) -> bool | None:
    """Tell whether nobody needs a run's checkpoints any more; None while the run is open."""
    run = tx.runs.find(run_id)
    if run is None:
        return False
    return None if run.ended_at is None else tx.jobs.get(run.job_id).state is JobState.SUCCEEDED


def _clear(folder: Path, checkpoints_too: bool, *, log_too: bool) -> None:
    """Remove what is there; what cannot be removed now is tried again by the next sweep."""
    if log_too:  # what a trainer printed may be content, and it is sealed by now
        with suppress(OSError):
            (folder / LOG_FILE).unlink()
    for part in (INPUTS, CHECKPOINTS) if checkpoints_too else (f"{INPUTS}/{MODEL}",):
        shutil.rmtree(folder / part, ignore_errors=True)
    shutil.rmtree(folder / OUTPUTS, ignore_errors=True)
    for name in ROWS:
        with suppress(OSError):
            (folder / INPUTS / name).unlink()
