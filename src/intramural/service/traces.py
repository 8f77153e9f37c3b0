"""Which versions, jobs and models saw some rows."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, cast

from intramural.domain.access import Action
from intramural.domain.artifact import ArtifactKind
from intramural.domain.dataset import DatasetVersion, Split
from intramural.domain.findings import FindingKind, Treatment
from intramural.domain.job import JobState
from intramural.domain.lineage import ObjectKind, Trace, TracedVersion
from intramural.domain.value import Digest
from intramural.domain.views import DatasetOptions
from intramural.errors import IntegrityFailure
from intramural.sealing import Keyring, ScopeKey, SealContext, SealedFiles
from intramural.service.context import Context, OnProgress
from intramural.service.scope_keys import HOLDOUT, INDEX, TRAIN, files_of_dataset
from intramural.service.scratch import scratch
from intramural.service.screening import readers

if TYPE_CHECKING:
    from intramural.intake.index import Hashes, Index

MOST_ROWS = 1000
"""Row numbers told per version."""
MODELS = {ArtifactKind.ADAPTER, ArtifactKind.MERGED_MODEL}


def trace_rows(ctx: Context, path: Path, options: DatasetOptions, on_progress: OnProgress) -> Trace:
    """
    Tell which versions hold the examples of a file, and what was trained or measured on them; an act that is recorded.

    Whether a version holds a row tells something about a person, so this is an act like reading the row. The rows are read
    as `add_dataset` reads them; of *options* the format and the mapping count.
    """
    ctx.check(Action.DATASET_TRACE)
    wanted = _hashes(ctx, path, options, on_progress)
    with ctx.act(Action.DATASET_TRACE) as tx:
        versions = tx.datasets.all(ctx.project)
        tx.concerns["detail"] = {"examples": len(wanted), "versions": len(versions)}
    found, unreadable, anywhere = [], [], set[int]()
    for done, version in enumerate(versions):
        on_progress(done, len(versions), "searching")
        index = _index(ctx, version)
        if index is None:
            unreadable.append(version.label)
            continue
        traced, places = _traced(ctx, version, wanted, index)
        anywhere.update(places)
        found += [traced] if traced is not None else []
    on_progress(len(versions), len(versions), "searching")
    return Trace(
        examples=len(set(wanted.tolist())),
        found=len({int(wanted[place]) for place in anywhere}),
        versions=tuple(found),
        searched=len(versions) - len(unreadable),
        unreadable=tuple(unreadable),
    )


def _hashes(ctx: Context, path: Path, options: DatasetOptions, on_progress: OnProgress) -> Hashes:
    """Return the hash of each example of the file, in its order; its copy on the disk is sealed, the key in memory only."""
    from intramural.intake.add import IngestOptions, ingest  # noqa: PLC0415  only these verbs read files
    from intramural.intake.findings.screen import Screening  # noqa: PLC0415
    from intramural.intake.index import hashes_of  # noqa: PLC0415
    from intramural.intake.sources import list_sources  # noqa: PLC0415

    as_they_are = Screening(said=dict.fromkeys(FindingKind, Treatment.KEEP))
    key = ScopeKey(ctx.new_id("key"), secrets.token_bytes(32))
    files = SealedFiles(Keyring([key]), SealContext(ctx.project, "dataset", "traced rows"), key.id)
    wanted = IngestOptions(
        format=options.source_format, mapping=options.mapping, split=Split(holdout_share=0), screening=as_they_are
    )
    source = list_sources([path])
    with readers(ctx, options.classification, source) as team, scratch(ctx.home) as work:
        ingest(source, work, wanted, lambda done, total: on_progress(done, total, "reading"), files, team)
        with files.open(work / TRAIN, TRAIN) as rows:
            return hashes_of(rows)


def _index(ctx: Context, version: DatasetVersion) -> Index | None:
    """Return the hashes of a version's examples; None where nothing opens it any more."""
    from intramural.intake.index import Index, hashes_of, read_index  # noqa: PLC0415

    if version.shredded_at is not None or version.train_sealed is None:
        return None
    files = files_of_dataset(ctx, version)
    try:
        if version.index_sealed is not None:
            with ctx.vault.open_sealed(version.index_sealed, files, INDEX) as file:
                return read_index(file)
        sides = []
        for name, sealed in ((TRAIN, version.train_sealed), (HOLDOUT, version.holdout_sealed)):
            with ctx.vault.open_sealed(cast(Digest, sealed), files, name) as rows:
                side = hashes_of(rows)
                side.sort()
                sides.append(side)
        return Index(*sides)
    except IntegrityFailure:
        return None


def _traced(ctx: Context, version: DatasetVersion, wanted: Hashes, index: Index) -> tuple[TracedVersion | None, list[int]]:
    """Return what a version holds of the rows, and which they are, from 0."""
    from intramural.intake.index import seen_in  # noqa: PLC0415

    in_train, in_holdout = seen_in(wanted, index.train), seen_in(wanted, index.holdout)
    places = [place for place, (one, other) in enumerate(zip(in_train, in_holdout, strict=True)) if one or other]
    if not places:
        return None, []
    is_trained = bool(in_train.any())
    with ctx.read() as tx:
        jobs = [
            each
            for each in tx.jobs.in_states(JobState)
            if each.project == ctx.project and each.attempts and each.dataset_label == version.label
        ]
        ids = {each.id for each in jobs}
        artifacts = [each.id for each in tx.artifacts.all(ctx.project) if each.job_id in ids and each.kind in MODELS]
        held = tx.quarantines.all(ctx.project)
    traced = TracedVersion(
        label=version.label,
        digest=version.digest,
        quarantined=any(each.covers(ObjectKind.DATA, version.label, version.digest) for each in held),
        train_rows=int(in_train.sum()),
        holdout_rows=int(in_holdout.sum()),
        rows=tuple(place + 1 for place in places[:MOST_ROWS]),
        jobs=tuple(each.id for each in jobs),
        artifacts=tuple(artifacts) if is_trained else (),
    )
    return traced, places
