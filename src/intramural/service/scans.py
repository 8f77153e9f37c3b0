"""Scans: what is in files or in a version, told by counts and places; how well that is found. Nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from intramural.domain.access import Action
from intramural.domain.findings import ScanReport, ScanScore
from intramural.domain.views import DatasetOptions
from intramural.sealing import ScopeKey
from intramural.service.context import Context, OnProgress
from intramural.service.datasets import find_dataset, open_rows, read_as
from intramural.service.scope_keys import HOLDOUT, TRAIN
from intramural.service.screening import readers, screening_of


def scan_dataset(
    ctx: Context,
    sources: Sequence[str | Path],
    options: DatasetOptions,
    on_progress: OnProgress,
    upload: BinaryIO | None = None,
) -> ScanReport:
    """Look for findings in files, or in both sides of a version where no file is called so; an act that is recorded."""
    from intramural.intake.add import scan_source  # noqa: PLC0415  only these verbs read files
    from intramural.intake.findings.survey import survey  # noqa: PLC0415
    from intramural.intake.sources import list_sources, names_files  # noqa: PLC0415
    from intramural.intake.stored import examples_of  # noqa: PLC0415

    label = None if len(sources) != 1 or names_files(str(sources[0])) else str(sources[0])
    with ctx.act(Action.DATASET_SCAN, target=label or "files") as tx:
        dataset = find_dataset(ctx, tx, label) if label else None
    screening = screening_of(options, ScopeKey.new("scan"), ctx.home)
    if dataset is None:
        found = list_sources(sources, upload)
        with readers(ctx, options.classification, found) as team:
            scanned = scan_source(
                found, read_as(options, screening), lambda done, total: on_progress(done, total, "scanning"), team
            )
            return scanned.model_copy(update={"names_by": options.names})
    with open_rows(ctx, dataset, TRAIN) as train, open_rows(ctx, dataset, HOLDOUT) as holdout:
        rows = enumerate(examples_of(chain(train, holdout)), 1)
        surveyed = survey(rows, screening, dataset.label, dataset.size_bytes)
        return surveyed.model_copy(update={"names_by": options.names})


def score_scan(ctx: Context, sample: Path, options: DatasetOptions, on_progress: OnProgress) -> ScanScore:
    """Return the scan's precision and recall on a labelled sample; an act that is recorded."""
    from intramural.intake.add import score_sample  # noqa: PLC0415  only these verbs read files
    from intramural.intake.sources import one_file  # noqa: PLC0415

    with ctx.act(Action.DATASET_SCAN, target="a labelled sample"):
        pass
    screening = screening_of(options, ScopeKey.new("scan"), ctx.home)
    source = one_file(sample)
    with readers(ctx, options.classification, source) as team:
        return score_sample(source, screening, lambda done, total: on_progress(done, total, "scanning"), team)
