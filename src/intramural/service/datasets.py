"""Data sets: files in, an immutable version out; content leaves through one audited verb."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from intramural.domain.access import Action
from intramural.domain.dataset import DatasetDifference, DatasetVersion, TokenStatistics
from intramural.domain.model import BaseModelVersion
from intramural.domain.value import Digest, check_name, digest_of
from intramural.domain.views import DatasetOptions, Sample
from intramural.errors import InvalidInput, NotFound, Refused
from intramural.sealing import SealedFiles
from intramural.service.context import Context, OnProgress
from intramural.service.models import find_model, nearest
from intramural.service.policies import check_intake, check_showing, treatments, with_what_the_policy_refuses
from intramural.service.present_policy import adopt_policy
from intramural.service.scope_keys import HOLDOUT, INDEX, TRAIN, ScopeFiles, check_readable, dataset_files, files_of_dataset
from intramural.service.scratch import scratch
from intramural.service.screening import readers, screening_of
from intramural.store import Reading, Transaction

if TYPE_CHECKING:
    from intramural.intake.add import Ingested, IngestOptions
    from intramural.intake.crew import Team
    from intramural.intake.findings.screen import Screening
    from intramural.intake.sources import Source


def add_dataset(
    ctx: Context,
    sources: Path | Sequence[str | Path],
    name: str,
    options: DatasetOptions,
    on_progress: OnProgress,
    upload: BinaryIO | None = None,
) -> DatasetVersion:
    """
    Validate and store files as a version of *name*; the same content under the same name is the version that exists.

    Raises `Refused` by the policy before anything is read, and for what it finds in the rows.
    """
    from intramural.intake.sources import list_sources  # noqa: PLC0415  only these verbs read files

    check_name(name)
    ctx.check(Action.DATASET_ADD, target=name)
    options = options.model_copy(update={"licence": _licence(options.licence)})
    try:
        check_intake(ctx, name, options)
    except Refused as refusal:
        raise ctx.refuse(Action.DATASET_ADD, refusal, target=name) from None
    with ctx.read() as tx:
        base = find_model(ctx, tx, options.base) if options.base is not None else None
    source = list_sources([sources] if isinstance(sources, Path) else sources, upload)
    with readers(ctx, options.classification, source) as team, scratch(ctx.home) as work:
        sealed = dataset_files(ctx, name)
        try:
            taken = _ingest(ctx, source, work, options, on_progress, sealed.files, team)
        except Refused as found:
            told = with_what_the_policy_refuses(ctx, options.classification, found)
            raise ctx.refuse(Action.DATASET_ADD, told, target=name) from None
        tokens: tuple[TokenStatistics, ...] = ()
        if base is not None:
            on_progress(0, 1, f"counting tokens of {base.name}")
            tokens = (_statistics(ctx, work, base, sealed.files),)
        return keep_version(ctx, work, sealed, name, options, taken, tokens)


def keep_version(
    ctx: Context,
    work: Path,
    sealed: ScopeFiles,
    name: str,
    options: DatasetOptions,
    taken: Ingested,
    tokens: tuple[TokenStatistics, ...] = (),
    parent: DatasetVersion | None = None,
) -> DatasetVersion:
    """Store what the intake left in *work*, as a version of *name*; *parent* is what it was redacted from."""
    with ctx.vault.adding():
        sides = tuple(ctx.vault.put_file(work / each) for each in (TRAIN, HOLDOUT, INDEX))
        needed: set[Digest | None] = set()
        try:
            stored = _store(ctx, name, options, taken, sealed, sides, tokens, parent)
            needed = {stored.train_sealed, stored.holdout_sealed, stored.index_sealed}
        finally:
            for each in {*sides} - needed:
                ctx.vault.remove(each)  # the same rows are there under another seal, or the act was refused
    return stored


def _store(
    ctx: Context,
    name: str,
    options: DatasetOptions,
    taken: Ingested,
    sealed: ScopeFiles,
    sides: tuple[Digest, ...],
    tokens: tuple[TokenStatistics, ...],
    parent: DatasetVersion | None,
) -> DatasetVersion:
    what = {"kind": taken.kind, "train": taken.train_digest, "holdout": taken.holdout_digest}
    labels = _labels(options)
    said = {name: value for name, value in labels.items() if value}
    digest = digest_of({**what, "split": taken.split.document(), "class": options.classification, **said})
    with ctx.read() as tx:
        before = tx.datasets.with_digest(ctx.project, name, digest)
    is_whole = before is not None and _is_whole(ctx, before)
    anew = {**_places(sides), "index_digest": taken.index_digest}
    with ctx.act(Action.DATASET_REDACT if parent else Action.DATASET_ADD, target=f"{name} {digest}") as tx:
        if parent is not None:
            tx.concerns["detail"] = {"from": parent.label, "digest": parent.digest}
        same = tx.datasets.with_digest(ctx.project, name, digest)
        if same is None or not is_whole:
            sealed.write_down(tx, ctx.project)
        if same is not None:
            return _counted(ctx, tx, same if is_whole else same.model_copy(update=anew), tokens)
        newest = tx.datasets.find(ctx.project, name)
        dataset = DatasetVersion(
            name=name,
            version=newest.version + 1 if newest else 1,
            digest=digest,
            classification=options.classification,
            **labels,
            **_places(sides),
            tokens=tokens,
            parent=parent.label if parent else None,
            held_since=(parent.held_since or parent.added_at) if parent else None,
            names_by=options.names,
            added_at=ctx.now(),
            **{field: getattr(taken, field) for field in type(taken).model_fields},
        )
        tx.datasets.add(ctx.project, dataset)
        return dataset


def _labels(options: DatasetOptions) -> dict[str, Any]:
    """Return what the owner says of the data; it is part of the version's digest where something was said."""
    return {name: getattr(options, name) for name in ("regulated", "region", "purpose", "retain_days", "licence", "origin")}


def _places(sides: tuple[Digest, ...]) -> dict[str, Any]:
    return dict(zip(("train_sealed", "holdout_sealed", "index_sealed"), sides, strict=True))


def _is_whole(ctx: Context, dataset: DatasetVersion) -> bool:
    """Tell whether the sealed files of a version are there and undamaged; adding it again mends them where not."""
    return all(
        each is not None and ctx.vault.has(each)
        for each in (dataset.train_sealed, dataset.holdout_sealed, dataset.index_sealed)
    )


def _licence(written: str | None) -> str | None:
    """Return what SPDX calls a licence. Raises `InvalidInput`."""
    from intramural.intake.provenance import licence_of  # noqa: PLC0415  only this verb reads files

    if written is None:
        return None
    found = licence_of(written, own=True)
    if found is None:
        raise InvalidInput(
            "The licence is none that SPDX lists.",
            hint="Write its identifier, such as Apache-2.0 or CC-BY-4.0; LicenseRef-NAME for one of your own.",
        )
    return found


def _ingest(
    ctx: Context,
    source: Source,
    work: Path,
    options: DatasetOptions,
    on_progress: OnProgress,
    files: SealedFiles,
    team: Team | None,
) -> Ingested:
    from intramural.intake.add import ingest  # noqa: PLC0415  only this verb reads files

    options = options.model_copy(update={"on": treatments(ctx, options.classification, options.on)})
    screening = screening_of(options, files.keys.get(files.key_id), ctx.home)
    return ingest(
        source,
        work,
        read_as(options, screening),
        lambda done, total: on_progress(done, total, "reading"),
        files,
        team,
    )


def read_as(options: DatasetOptions, screening: Screening) -> IngestOptions:
    """Return how the intake is to read what *options* describe."""
    from intramural.intake.add import IngestOptions  # noqa: PLC0415  only these verbs read files

    return IngestOptions(
        format=options.source_format,
        mapping=options.mapping,
        split=options.split,
        holdout=Path(options.holdout) if options.holdout else None,
        skip_bad=options.skip_bad,
        screening=screening,
    )


def _statistics(ctx: Context, work: Path, base: BaseModelVersion, files: SealedFiles) -> TokenStatistics:
    from intramural.intake.tokens import statistics  # noqa: PLC0415  loads a tokenizer

    for name, each in ctx.vault.tree(base.digest).files.items():
        if not name.endswith(".safetensors"):
            ctx.vault.stage(each.digest, work / "tokenizer" / name)
    return statistics(work / TRAIN, work / "tokenizer", base.name, files)


def _counted(ctx: Context, tx: Transaction, same: DatasetVersion, tokens: tuple[TokenStatistics, ...]) -> DatasetVersion:
    """Add token counts to a version that exists; those of a model that was counted before are replaced."""
    kept = tuple(each for each in same.tokens if each.model not in {new.model for new in tokens})
    same = same.model_copy(update={"tokens": (*kept, *tokens)})
    tx.datasets.replace(ctx.project, same)
    return same


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
    if at and not re.fullmatch("[0-9]{1,9}", number):
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
    one_train, one_holdout = _digests(ctx, one, TRAIN), _digests(ctx, one, HOLDOUT)
    other_train, other_holdout = _digests(ctx, other, TRAIN), _digests(ctx, other, HOLDOUT)
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


def _digests(ctx: Context, dataset: DatasetVersion, file: str) -> set[bytes]:
    from intramural.intake.stored import example_digests  # noqa: PLC0415

    with open_rows(ctx, dataset, file) as rows:
        return set(example_digests(rows))


def sample_dataset(ctx: Context, label: str, count: int, side: str) -> Sample:
    """
    Return the first *count* examples of the training or hold-out side, in clear; an act that is recorded.

    Raises `Refused` for a version in quarantine.
    """
    from intramural.intake.stored import examples_of  # noqa: PLC0415

    if side not in {"train", "holdout"} or count < 1:
        raise InvalidInput("A sample is of the side train or holdout, and of one row or more.", hint="Give both so.")
    adopt_policy(ctx)
    with ctx.act(Action.DATASET_SAMPLE, target=label) as tx:
        dataset = find_dataset(ctx, tx, label)
        tx.concerns.update(target=dataset.label, digest=dataset.digest)
        check_showing(ctx, tx, dataset)
        check_readable(dataset)
    with open_rows(ctx, dataset, TRAIN if side == "train" else HOLDOUT) as rows:
        return Sample(label=dataset.label, side=side, rows=tuple(islice(examples_of(rows), count)))


def open_rows(ctx: Context, dataset: DatasetVersion, file: str) -> BinaryIO:
    """Open one of a version's two files, in memory only."""
    files = files_of_dataset(ctx, dataset)
    sealed = dataset.train_sealed if file == TRAIN else dataset.holdout_sealed
    return ctx.vault.open_sealed(cast(Digest, sealed), files, file)
