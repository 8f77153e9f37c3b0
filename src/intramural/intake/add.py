"""
A source file becomes the two files of a data set version, in one pass and bounded memory.

Either every row is an example, or `skip_bad` leaves the faulty ones out and says which;
otherwise nothing is left behind. What comes back is counts, places and names of fields.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import orjson

from intramural.domain.dataset import ExampleKind, Fault, Split
from intramural.domain.findings import Finding, Redaction, ScanReport
from intramural.domain.value import Digest, Value
from intramural.errors import DoesNotFit, InvalidInput
from intramural.intake.bounds import Progress
from intramural.intake.findings.screen import Screen, Screening, raise_if_refused
from intramural.intake.findings.survey import survey
from intramural.intake.formats import DETECTION_ROWS, FORMATS, Format, detect, shown_names
from intramural.intake.index import INDEX_FILE, write_index
from intramural.intake.messages import MalformedRow
from intramural.intake.rows import read_rows
from intramural.intake.sides import Sides
from intramural.intake.stored import HOLDOUT_FILE, PLAIN, TRAIN_FILE, example_digests
from intramural.sealing import Files

__all__ = ["AUTO", "IngestOptions", "Ingested", "example_digests", "ingest", "scan_source"]

AUTO = "auto"
KEPT_FAULTS = 100
_QUOTED_FAULTS = 5


@dataclass(frozen=True)
class IngestOptions:
    """How a source is read and parted."""

    format: str = AUTO
    """`auto`, or a name in `formats.FORMATS`."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Our field → the source's: `{"prompt": "question", "completion": "answer"}`."""
    split: Split = field(default_factory=Split)
    holdout: Path | None = None
    """A file that is the whole hold-out; nothing is cut from the source then."""
    skip_bad: bool = False
    screening: Screening = field(default_factory=Screening)
    """What is looked for in the rows, and what is done about it."""


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
    split: Split
    size_bytes: int
    train_digest: Digest
    holdout_digest: Digest
    index_digest: Digest
    findings: tuple[Finding, ...]
    redaction: Redaction | None


def ingest(
    source: Path,
    work: Path,
    options: IngestOptions,
    on_progress: Progress = lambda done, total: None,
    files: Files = PLAIN,
) -> Ingested:
    """Write `train.jsonl` and `holdout.jsonl` in the folder *work* from *source*, through *files*.

    *on_progress* receives the bytes of the source (and of a given hold-out) that are done, and all of them.
    Raises `NotFound` for a missing file, `InvalidInput` for everything that is wrong with one.
    """
    _check(options)
    work.mkdir(parents=True, exist_ok=True)
    try:
        return _ingest(source, work, options, on_progress, files)
    except BaseException as error:
        for name in (TRAIN_FILE, HOLDOUT_FILE, INDEX_FILE):
            (work / name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DoesNotFit(
                f"The disk filled up while {source.name} was read in.",
                hint="The intake needs about the unpacked size of the source; free that much.",
            ) from error
        raise


def _check(options: IngestOptions) -> None:
    if options.format != AUTO and options.format not in FORMATS:
        raise InvalidInput(f"There is no format `{options.format}`.", hint=f"One of {', '.join((AUTO, *FORMATS))}.")
    if options.holdout is not None and options.split.group_by is not None:
        raise InvalidInput("A given hold-out is not cut by groups.", hint="Leave out --holdout or --group-by.")
    if options.mapping:
        _mapped_format(options)


def _mapped_format(options: IngestOptions) -> Format:
    """Return the one format that takes the mapped fields."""
    names = set(options.mapping)
    for each in FORMATS.values():
        if each.fits(names) and names <= each.fields and options.format in (AUTO, each.name):
            return each
    raise InvalidInput(
        f"The mapping of {', '.join(sorted(names))} makes no example.",
        hint="Map prompt and completion (and system); or messages; or chosen and rejected (and prompt).",
    )


def _ingest(source: Path, work: Path, options: IngestOptions, on_progress: Progress, files: Files) -> Ingested:
    reading = _Reading(options)
    share = 0.0 if options.holdout else options.split.holdout_share
    source_bytes, holdout_bytes = _size(source), _size(options.holdout) if options.holdout else 0
    total = source_bytes + holdout_bytes
    form = reading.format_of(source)
    sides = Sides(work, share, files)
    screen = Screen(options.screening, total)
    try:
        examples = reading.examples(source, form, lambda done, _: on_progress(done, total))
        for line, group, before in screen.rows(examples, file=1):
            screen.side(sides.add(line, group, before))
        reading.raise_if_faulty(source)
        if options.holdout:
            reading.side = "hold-out"
            held = reading.format_of(options.holdout)
            if held.kind != form.kind:
                raise InvalidInput(f"The hold-out holds {held.kind} examples, the source {form.kind} examples.")
            examples = reading.examples(options.holdout, held, lambda done, _: on_progress(source_bytes + done, total))
            for line, _, before in screen.rows(examples, file=2):
                sides.add_holdout(line, before)
                screen.side(True)
            reading.raise_if_faulty(options.holdout)
        findings = screen.findings()
        raise_if_refused(findings, source.name, options.screening.classification)
        _check_not_empty(sides, source, options)
        sides.settle()
    finally:
        sides.close()
    duplicates, overlap = sides.duplicates_and_overlap()
    index_digest = write_index(work, files, sides.train.hashes, sides.holdout.hashes, sides.before)
    on_progress(total, total)
    return Ingested(
        kind=form.kind,
        source_format=form.name,
        train_examples=len(sides.train.hashes),
        holdout_examples=len(sides.holdout.hashes),
        rows_read=reading.rows,
        fault_count=reading.fault_count,
        faults=tuple(reading.faults),
        duplicates=duplicates,
        holdout_overlap=overlap,
        unused_fields=shown_names(reading.unused),
        split=Split(holdout_share=share, group_by=options.split.group_by, given_holdout=options.holdout is not None),
        size_bytes=sides.train.size + sides.holdout.size,
        train_digest=sides.train.digest,
        holdout_digest=sides.holdout.digest,
        index_digest=index_digest,
        findings=findings,
        redaction=screen.redaction(),
    )


def scan_source(source: Path, options: IngestOptions, on_progress: Progress) -> ScanReport:
    """Return what is in *source* without storing it; faulty rows are counted and left out."""
    _check(options)
    reading = _Reading(replace(options, skip_bad=True))
    form = reading.format_of(source)
    found = survey(reading.examples(source, form, on_progress), options.screening, source.name, _size(source))
    return found.model_copy(update={"rows_read": reading.rows, "fault_count": reading.fault_count})


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_not_empty(sides: Sides, source: Path, options: IngestOptions) -> None:
    if not sides.train.hashes and not sides.holdout.hashes:
        raise InvalidInput(f"{source.name} holds no example.", hint="Look at the format: --format names it.")
    if options.holdout and not (sides.train.hashes and sides.holdout.hashes):
        empty = source if not sides.train.hashes else options.holdout
        raise InvalidInput(f"{empty.name} holds no example.", hint="Look at the format: --format names it.")


class _Reading:
    """Rows to examples under one set of options; keeps the count of everything that was not taken."""

    def __init__(self, options: IngestOptions) -> None:
        self._options = options
        self._known_shapes: set[tuple[str, ...]] = set()
        self.side = ""
        """Written before a reason, where there are two files."""
        self.rows = 0
        self.fault_count = 0
        self.faults: list[Fault] = []
        self.unused: set[str] = set()

    def format_of(self, source: Path) -> Format:
        """Return the format that was named, mapped, or that the first rows have."""
        if self._options.mapping:
            return _mapped_format(self._options)
        if self._options.format != AUTO:
            return FORMATS[self._options.format]
        rows = [row for _, row in islice(read_rows(source), DETECTION_ROWS)]
        faults = [row for row in rows if isinstance(row, Fault)]
        if faults and len(faults) == len(rows):
            first = faults[0]
            raise InvalidInput(
                f"{source.name}: no row can be read. line {first.line}: {first.reason}",
                hint="Give JSON lines, a JSON array, CSV or Parquet.",
            )
        return detect((row for row in rows if not isinstance(row, Fault)), source.name)

    def examples(self, source: Path, form: Format, on_progress: Progress) -> Iterator[tuple[int, dict[str, Any], bytes | None]]:
        """Yield each example of *source* with its line in the file and the value that groups it."""
        group_by, convert, unused = self._options.split.group_by, form.convert, self.unused
        field_of = self._field_of(form)
        for line, row in read_rows(source, on_progress):
            self.rows += 1
            if type(row) is not dict:  # isinstance of a model is slow, and this is every row
                self._note(cast(Fault, row))
                continue
            try:
                example = convert(field_of(row), unused)
                group = None if group_by is None else _group(row, group_by)
            except MalformedRow as fault:
                self._note(self._fault(line, fault, form, row))
                continue
            if not self.fault_count or self._options.skip_bad:
                yield line, example, group

    def raise_if_faulty(self, source: Path) -> None:
        """Raise `InvalidInput` that names the faulty rows, unless they were to be skipped."""
        if not self.fault_count or self._options.skip_bad:
            return
        quoted = "; ".join(
            f"line {fault.line}: {f'{fault.field}: ' if fault.field else ''}{fault.reason}"
            for fault in self.faults[:_QUOTED_FAULTS]
        )
        more = "; …" if self.fault_count > _QUOTED_FAULTS else ""
        raise InvalidInput(
            f"{source.name}: {self.fault_count} {'row' if self.fault_count == 1 else 'rows'} cannot be taken. {quoted}{more}",
            hint="Mend them, or leave them out with --skip-bad.",
            fault_count=self.fault_count,
            rows_read=self.rows,
            faults=[fault.document() for fault in self.faults],
        )

    def _note(self, fault: Fault) -> None:
        self.fault_count += 1
        if len(self.faults) < KEPT_FAULTS:
            reason = f"{self.side}: {fault.reason}" if self.side else fault.reason
            self.faults.append(fault.model_copy(update={"reason": reason}))

    def _fault(self, line: int, fault: MalformedRow, form: Format, row: Mapping[str, Any]) -> Fault:
        """Say of a row that is in another format than the file so, rather than what it lacks of this one."""
        others = [each.name for each in FORMATS.values() if each.fits(row)]
        if self._options.mapping or form.name in others or not others:
            return Fault(line=line, field=fault.field, reason=fault.reason)
        return Fault(line=line, reason=f"in the format {others[0]}, where the file is {form.name}")

    def _field_of(self, form: Format) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
        """Return what turns a row of the source into the fields of *form*, noting fields that nothing uses."""
        mapping, shapes = self._options.mapping, self._known_shapes
        used = set(mapping.values()) if mapping else set(form.fields)
        if self._options.split.group_by:
            used.add(self._options.split.group_by)

        def fields(row: dict[str, Any]) -> Mapping[str, Any]:
            shape = tuple(row)
            if shape not in shapes and len(shapes) < _MOST_SHAPES:
                shapes.add(shape)
                self.unused.update(set(shape) - used)
            return {ours: row.get(theirs) for ours, theirs in mapping.items()} if mapping else row

        return fields


_MOST_SHAPES = 1000


def _group(row: Mapping[str, Any], name: str) -> bytes:
    value = row.get(name)
    if value is None:
        raise MalformedRow(name, "missing, and the split groups by it")
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
