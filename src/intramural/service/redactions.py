"""A version that is stored becomes a redacted one: the same rows on the same sides, less what was found in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from intramural.domain.access import Action
from intramural.domain.dataset import DatasetVersion, Split
from intramural.domain.lineage import ObjectKind
from intramural.domain.value import Digest
from intramural.domain.views import DatasetOptions
from intramural.errors import InvalidInput, Refused
from intramural.sealing import SealedFiles
from intramural.service.context import Context, OnProgress
from intramural.service.datasets import find_dataset, keep_version
from intramural.service.policies import check_intake, treatments
from intramural.service.scope_keys import HOLDOUT, TRAIN, dataset_files, files_of_dataset
from intramural.service.scratch import scratch
from intramural.service.screening import screening_of

if TYPE_CHECKING:
    from intramural.intake.add import Ingested
    from intramural.intake.sources import Source

AS_IN_THE_PARENT = ("regulated", "region", "purpose", "retain_days", "licence", "origin")
KEPT = ("kind", "source_format", "unused_fields", "split", "provenance", "files", "skipped_files")


def redact_dataset(ctx: Context, label: str, options: DatasetOptions, on_progress: OnProgress) -> DatasetVersion:
    """
    Redact a version into a new version of its name, by what `on` and `deny` of *options* and the policy say; recorded.

    The rows keep their sides, the version its class and everything its owner said. What changes nothing is the version
    that exists.
    """
    with ctx.read() as tx:
        parent = find_dataset(ctx, tx, label)
        held = any(each.covers(ObjectKind.DATA, parent.label, parent.digest) for each in tx.quarantines.all(ctx.project))
    ctx.check(Action.DATASET_REDACT, target=f"{parent.label} {parent.digest}")
    if held:
        raise ctx.refuse(Action.DATASET_REDACT, _held(parent), target=f"{parent.label} {parent.digest}")
    readable = files_of_dataset(ctx, parent)
    said = {name: getattr(parent, name) for name in AS_IN_THE_PARENT}
    wanted = DatasetOptions(classification=parent.classification, deny=options.deny, names=options.names, **said)
    sealed = dataset_files(ctx, parent.name)
    with scratch(ctx.home) as work:
        try:
            check_intake(ctx, parent.name, wanted)
            wanted = wanted.model_copy(update={"on": treatments(ctx, parent.classification, options.on)})
            taken = _redacted(ctx, parent, readable, work, wanted, sealed.files, on_progress)
        except Refused as refusal:
            raise ctx.refuse(Action.DATASET_REDACT, refusal, target=f"{parent.label} {parent.digest}") from None
        if taken.redaction is None:
            raise InvalidInput(
                f"Nothing in {parent.label} is to be changed by these actions.",
                hint="Say what is done about which kind, for example --on email=mask; `data scan` lists what is there.",
            )
        return keep_version(ctx, work, sealed, parent.name, wanted, taken, parent=parent)


def _held(parent: DatasetVersion) -> Refused:
    return Refused(
        f"The rule `quarantine` refuses it: {parent.label} is in quarantine.",
        hint=f"intramural quarantine {parent.label} --release, which an owner does; then redact it and put it back.",
        rule="quarantine",
    )


def _redacted(
    ctx: Context,
    parent: DatasetVersion,
    readable: SealedFiles,
    work: Path,
    options: DatasetOptions,
    files: SealedFiles,
    on_progress: OnProgress,
) -> Ingested:
    from intramural.intake.add import IngestOptions, ingest  # noqa: PLC0415  only these verbs read files

    wanted = IngestOptions(
        format=parent.kind.value,
        split=Split(holdout_share=0),
        holdout=_side(ctx, parent, readable, HOLDOUT) if parent.holdout_examples else None,
        screening=screening_of(options, files.keys.get(files.key_id), ctx.home),
    )
    source = _side(ctx, parent, readable, TRAIN)
    taken = ingest(source, work, wanted, lambda done, total: on_progress(done, total, "redacting"), files)
    kept = {name: getattr(parent, name) for name in KEPT}
    return taken.model_copy(update=kept)


def _side(ctx: Context, parent: DatasetVersion, readable: SealedFiles, name: str) -> Source:
    """Return one side of a version as a source; it is unsealed as it is read, in memory only."""
    from intramural.intake.sources import Source, SourceFile  # noqa: PLC0415  only these verbs read files

    sealed = cast(Digest, parent.train_sealed if name == TRAIN else parent.holdout_sealed)
    words = f"the {'training' if name == TRAIN else 'hold-out'} rows of {parent.label}"
    opened = ctx.vault.open_sealed(sealed, readable, name)
    return Source(name=words, files=(SourceFile(name=words, size=0, stream=opened),))
