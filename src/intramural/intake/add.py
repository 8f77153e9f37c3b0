"""
Source files become the two files of a data set version, in one pass and bounded memory.

Either every row is an example, or `skip_bad` leaves the faulty ones out and says which;
otherwise nothing is left behind. What comes back is counts, places and names of fields.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from intramural.domain.dataset import ExampleKind, Fault, Split
from intramural.domain.findings import Finding, Provenance, Redaction, ScanReport, ScanScore
from intramural.domain.value import Digest, Value
from intramural.errors import DoesNotFit, InvalidInput
from intramural.intake.bounds import Progress
from intramural.intake.crew import Read, Team, compared, crew
from intramural.intake.findings.screen import Kept, Screen, Screening, raise_if_refused
from intramural.intake.formats import FORMATS, Format, shown_names
from intramural.intake.index import INDEX_FILE
from intramural.intake.labelled import Compared
from intramural.intake.pieces import KEPT_FAULTS, MOST_NAMES, Piece
from intramural.intake.reading import AUTO, ReadAs, Reading, raise_if_faulty
from intramural.intake.sides import Sides
from intramural.intake.sources import Source, SourceFile, as_source
from intramural.intake.stored import HOLDOUT_FILE, PLAIN, TRAIN_FILE, example_digests
from intramural.sealing import Files

__all__ = ["AUTO", "IngestOptions", "Ingested", "example_digests", "ingest", "scan_source", "score_sample"]


@dataclass(frozen=True)
class IngestOptions:
    """How a source is read and parted."""

    format: str = AUTO
    """`auto`, or a name in `formats.FORMATS`."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Our field → the source's: `{"prompt": "question", "completion": "answer"}`."""
    split: Split = field(default_factory=Split)
    holdout: Path | Source | None = None
    """What is the whole hold-out; nothing is cut from the source then."""
    skip_bad: bool = False
    screening: Screening = field(default_factory=Screening)
    """What is looked for in the rows, and what is done about it."""

    @property
    def how(self) -> ReadAs:
        """How rows are understood."""
        return ReadAs(self.format, self.mapping, self.split.group_by, self.skip_bad)


class Ingested(Value):
    """What the intake read and wrote; the fields mean what they mean in `DatasetVersion`."""

    kind: ExampleKind
    source_format: str
    train_examples: int
    holdout_examples: int
    rows_read: int
    fault_count: int
    faults: tuple[Fault, ...]
    duplicates: int
    holdout_overlap: int
    unused_fields: tuple[str, ...]
    provenance: Provenance
    files: int
    skipped_files: dict[str, int]
    split: Split
    size_bytes: int
    train_digest: Digest
    holdout_digest: Digest
    index_digest: Digest
    findings: tuple[Finding, ...]
    redaction: Redaction | None


def ingest(
    source: Path | Source,
    work: Path,
    options: IngestOptions,
    on_progress: Progress = lambda done, total: None,
    files: Files = PLAIN,
    team: Team | None = None,
) -> Ingested:
    """Write `train.jsonl` and `holdout.jsonl` in the folder *work* from *source*, through *files*.

    *on_progress* receives the bytes of the source (and of a given hold-out) that are done, and all of them.
    A *team* reads it; without one this process does, see `crew`.
    Raises `NotFound` for a missing file, `InvalidInput` for everything that is wrong with one.
    """
    _check(options)
    source = as_source(source)
    work.mkdir(parents=True, exist_ok=True)
    try:
        return _ingest(source, work, options, on_progress, files, team)
    except BaseException as error:
        for name in (TRAIN_FILE, HOLDOUT_FILE, INDEX_FILE):
            for each in work.glob(f"{name}*"):
                each.unlink()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DoesNotFit(
                f"The disk filled up while {source.name} was read in.",
                hint="The intake needs about the unpacked size of the source; free that much.",
            ) from error
        raise


def _check(options: IngestOptions) -> None:
    options.how.check()
    if options.holdout is not None and options.split.group_by is not None:
        raise InvalidInput("A given hold-out is not cut by groups.", hint="Leave out --holdout or --group-by.")


class _Taken:
    """Adds up what was read, file by file; all of it must be of one kind."""

    def __init__(self, options: IngestOptions, on_progress: Progress, total: int) -> None:
        self._skip_bad, self._on_progress, self.total = options.skip_bad, on_progress, total
        self.screen = Screen(options.screening, total)
        self.sum = Reading(options.how)
        self.formats: dict[str, Format] = {}
        self.files = 0
        self._done = 0

    def each(self, read: Read, files: Iterable[SourceFile]) -> Iterator[Kept]:
        """Yield what stays of each piece; tell `screen` the sides of it."""
        for file in files:
            self.files += 1
            line = 0
            for piece in read(file):
                self._of_one_kind(piece, file)
                self._add(piece, line)
                if not self.sum.fault_count or self._skip_bad:
                    yield self.screen.take(piece.screened, line=line, file=self.files)
                line += piece.lines
                self._on_progress(min(self.total, self._done + piece.done), self.total)
            self._done += file.size

    def _of_one_kind(self, piece: Piece, file: SourceFile) -> None:
        form = self.formats.setdefault(piece.format, FORMATS[piece.format])
        first = next(iter(self.formats.values()))
        if first.kind is not form.kind:
            raise InvalidInput(
                f"{file.name} holds {form.kind} examples, what was read before it {first.kind} examples.",
                hint="Add them as data sets of their own, or name the format with --format.",
            )

    def _add(self, piece: Piece, line: int) -> None:
        total = self.sum
        total.rows += piece.rows
        total.fault_count += piece.fault_count
        for fault in piece.faults[: KEPT_FAULTS - len(total.faults)]:
            reason = f"{total.side}: {fault.reason}" if total.side else fault.reason
            total.faults.append(fault.model_copy(update={"reason": reason, "file": self.files, "line": line + fault.line}))
        if len(total.unused) < MOST_NAMES:
            total.unused.update(piece.unused)
        total.origins.add(piece.origins, piece.rows)


def _ingest(
    source: Source, work: Path, options: IngestOptions, on_progress: Progress, files: Files, team: Team | None
) -> Ingested:
    share = 0.0 if options.holdout else options.split.holdout_share
    given = as_source(options.holdout) if options.holdout else None
    every = (*source.files, *(given.files if given else ()))
    sides = Sides(work, share, files)
    try:
        taken = _Taken(options, on_progress, sum(each.size for each in every))
        screen = taken.screen
        read = crew(every, options.how, options.screening, team)
        for kept in taken.each(read, source.files):
            screen.side(kept, sides.add(kept.lines, kept.groups, kept.before))
        _raise_if_faulty(taken.sum, source, options)
        if given:
            taken.sum.side = "hold-out"
            for kept in taken.each(read, given.files):
                screen.side(kept, sides.add_holdout(kept.lines, kept.before))
            _raise_if_faulty(taken.sum, given, options, before=len(source.files))
        findings = screen.findings()
        raise_if_refused(findings, source.name, options.screening.classification)
        _check_not_empty(sides, source, given, redacted=screen.redaction() is not None)
        sides.settle()
    finally:
        sides.close()
    counts = len(sides.train.hashes), len(sides.holdout.hashes)
    index = sides.index()
    on_progress(taken.total, taken.total)
    forms = [*taken.formats.values()]
    return Ingested(
        kind=forms[0].kind,
        source_format=", ".join(each.name for each in forms),
        train_examples=counts[0],
        holdout_examples=counts[1],
        rows_read=taken.sum.rows,
        fault_count=taken.sum.fault_count,
        faults=tuple(taken.sum.faults),
        duplicates=index.duplicates,
        holdout_overlap=index.overlap,
        unused_fields=shown_names(taken.sum.unused),
        provenance=taken.sum.origins.provenance(),
        files=taken.files,
        skipped_files={**source.skipped},
        split=Split(holdout_share=share, group_by=options.split.group_by, given_holdout=options.holdout is not None),
        size_bytes=sides.train.size + sides.holdout.size,
        train_digest=sides.train.digest,
        holdout_digest=sides.holdout.digest,
        index_digest=index.digest,
        findings=findings,
        redaction=screen.redaction(),
    )


def scan_source(source: Path | Source, options: IngestOptions, on_progress: Progress, team: Team | None = None) -> ScanReport:
    """Return what is in *source* without storing it; faulty rows are counted and left out."""
    _check(options)
    source = as_source(source)
    options = replace(options, skip_bad=True)
    taken = _Taken(options, on_progress, source.size)
    for kept in taken.each(crew(source.files, options.how, options.screening, team), source.files):
        taken.screen.side(kept, bytes(len(kept.lines)))
    return ScanReport(
        source=source.name,
        rows_read=taken.sum.rows,
        fault_count=taken.sum.fault_count,
        characters=taken.screen.characters,
        findings=taken.screen.findings(),
        provenance=taken.sum.origins.provenance(),
        files=tuple(each.name for each in source.files),
        skipped_files={**source.skipped},
    )


def score_sample(source: Source, screening: Screening, on_progress: Progress, team: Team | None = None) -> ScanScore:
    """Return precision and recall on a labelled sample, by overlap. Raises `InvalidInput` that names the line, not its text."""
    total = Compared()
    for part in compared(source.files[0], screening, team):
        total.add(part)
        on_progress(part.done, source.size)
    if not total.documents:
        raise InvalidInput(f"{source.name} holds no document.", hint="One JSON object a line: text and spans.")
    return total.score()


def _raise_if_faulty(reading: Reading, source: Source, options: IngestOptions, before: int = 0) -> None:
    if not options.skip_bad:
        names = (*[""] * before, *(each.name for each in source.files)) if len(source.files) > 1 else ()
        raise_if_faulty(reading, source.name, names)


def _check_not_empty(sides: Sides, source: Source, given: Source | None, *, redacted: bool) -> None:
    if not sides.train.hashes and (given or not sides.holdout.hashes):
        empty = source
    elif given and not sides.holdout.hashes:
        empty = given
    else:
        return
    if redacted:
        raise InvalidInput(f"No example of {empty.name} is left: all are dropped.", hint="Mask what is found instead.")
    raise InvalidInput(f"{empty.name} holds no example.", hint="Look at the format: --format names it.")
