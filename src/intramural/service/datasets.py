"""Data sets: a file in, an immutable version out; content leaves through one audited verb."""

from __future__ import annotations

import shutil
import tempfile
from itertools import islice
from pathlib import Path

from intramural.domain.access import Action
from intramural.domain.dataset import DatasetDifference, DatasetVersion, TokenStatistics
from intramural.domain.value import digest_of
from intramural.domain.views import DatasetOptions, Sample
from intramural.errors import InvalidInput, NotFound
from intramural.service.context import Context, OnProgress
from intramural.service.models import find_model, nearest
from intramural.store import Reading


def add_dataset(ctx: Context, path: Path, name: str, options: DatasetOptions, on_progress: OnProgress) -> DatasetVersion:
    """Validate and store a file as a version of *name*; the same content under the same name is the version that exists."""
    from intramural.intake.add import IngestOptions, ingest  # noqa: PLC0415  only this verb reads files

    ctx.check(Action.DATASET_ADD, target=name)
    base = None
    if options.base is not None:
        with ctx.read() as tx:
            base = find_model(ctx, tx, options.base)
    work = ctx.home / "work"
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=work))
    try:
        wanted = IngestOptions(
            format=options.source_format,
            mapping=options.mapping,
            split=options.split,
            holdout=Path(options.holdout) if options.holdout else None,
            skip_bad=options.skip_bad,
        )
        taken = ingest(path, scratch, wanted, lambda done, total: on_progress(done, total, "reading"))
        train, holdout = (ctx.vault.put_file(scratch / file) for file in ("train.jsonl", "holdout.jsonl"))
        tokens: tuple[TokenStatistics, ...] = ()
        if base is not None:
            on_progress(0, 1, f"counting tokens of {base.name}")
            tokens = (_statistics(ctx, scratch, base.digest, base.name),)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    counts = {field: getattr(taken, field) for field in type(taken).model_fields}
    digest = digest_of(
        {
            "kind": taken.kind,
            "train": train,
            "holdout": holdout,
            "split": taken.split.document(),
            "class": options.classification,
        }
    )
    with ctx.act(Action.DATASET_ADD, target=f"{name} {digest}") as tx:
        same = tx.datasets.with_digest(ctx.project, name, digest)
        if same is not None:
            kept = tuple(each for each in same.tokens if each.model not in {new.model for new in tokens})
            same = same.model_copy(update={"tokens": (*kept, *tokens)})
            tx.datasets.replace(ctx.project, same)
            return same
        newest = tx.datasets.find(ctx.project, name)
        dataset = DatasetVersion(
            name=name,
            version=newest.version + 1 if newest else 1,
            digest=digest,
            classification=options.classification,
            train_digest=train,
            holdout_digest=holdout,
            tokens=tokens,
            added_at=ctx.now(),
            **counts,
        )
        tx.datasets.add(ctx.project, dataset)
        return dataset


def _statistics(ctx: Context, scratch: Path, base_digest: str, base_name: str) -> TokenStatistics:
    from intramural.intake.tokens import statistics  # noqa: PLC0415  loads a tokenizer

    folder = scratch / "tokenizer"
    folder.mkdir()
    for name, each in ctx.vault.tree(base_digest).files.items():
        if not name.endswith(".safetensors"):
            ctx.vault.stage(each.digest, folder / name)
    return statistics(scratch / "train.jsonl", folder, base_name)


def list_datasets(ctx: Context) -> list[DatasetVersion]:
    """Return every version, by name and number."""
    with ctx.read() as tx:
        return tx.datasets.all(ctx.project)


def show_dataset(ctx: Context, label: str) -> DatasetVersion:
    """Return one version. Raises `NotFound` with the nearest name."""
    with ctx.read() as tx:
        return find_dataset(ctx, tx, label)


def find_dataset(ctx: Context, tx: Reading, label: str) -> DatasetVersion:
    """Return `name@version`, or the newest of `name`, within a reading. Raises `NotFound` with the nearest name."""
    name, at, number = label.partition("@")
    if at and not number.isdigit():
        raise InvalidInput(f"{label} is not `name` or `name@version`.", hint="For example tickets@2.")
    found = tx.datasets.find(ctx.project, name, int(number) if at else None)
    if found is None:
        known = sorted({each.name for each in tx.datasets.all(ctx.project)})
        if at and name in known:
            raise NotFound(f"{name} has no version {number}.", hint="`intramural data list` shows the versions.")
        raise NotFound(f"There is no data set {name}.", hint=nearest(name, known, "intramural data add FILE --name NAME"))
    return found


def diff_datasets(ctx: Context, left: str, right: str) -> DatasetDifference:
    """Count what changed between two versions, by distinct examples."""
    with ctx.read() as tx:
        one, other = find_dataset(ctx, tx, left), find_dataset(ctx, tx, right)
    one_train, one_holdout = _digests(ctx, one.train_digest), _digests(ctx, one.holdout_digest)
    other_train, other_holdout = _digests(ctx, other.train_digest), _digests(ctx, other.holdout_digest)
    ours, theirs = one_train | one_holdout, other_train | other_holdout
    moved = (one_train - one_holdout) & (other_holdout - other_train) | (one_holdout - one_train) & (
        other_train - other_holdout
    )
    return DatasetDifference(
        left=one.label,
        right=other.label,
        only_left=len(ours - theirs),
        only_right=len(theirs - ours),
        shared=len(ours & theirs),
        moved=len(moved),
    )


def _digests(ctx: Context, digest: str) -> set[bytes]:
    from intramural.intake.add import example_digests  # noqa: PLC0415

    with _staged(ctx, digest) as path:
        return set(example_digests(path))


def sample_dataset(ctx: Context, label: str, count: int, side: str) -> Sample:
    """Return the first *count* examples of the training or hold-out side, in clear; an act that is recorded."""
    from intramural.intake.tokens import read_examples  # noqa: PLC0415

    if side not in {"train", "holdout"}:
        raise InvalidInput(f"{side} is neither train nor holdout.")
    with ctx.act(Action.DATASET_SAMPLE, target=label) as tx:
        dataset = find_dataset(ctx, tx, label)
    with _staged(ctx, dataset.train_digest if side == "train" else dataset.holdout_digest) as path:
        return Sample(label=dataset.label, side=side, rows=tuple(islice(read_examples(path), count)))


class _staged:  # noqa: N801  a context manager used like a function
    """A stored file, readable for the length of a block."""

    def __init__(self, ctx: Context, digest: str) -> None:
        self._ctx, self._digest = ctx, digest

    def __enter__(self) -> Path:
        work = self._ctx.home / "work"
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=work))
        self._ctx.vault.stage(self._digest, self._folder / "rows.jsonl")
        return self._folder / "rows.jsonl"

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
