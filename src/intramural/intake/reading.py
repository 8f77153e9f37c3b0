"""
Rows to examples: under one set of options, over one file or many; keeps the count of everything that was not taken.

It gets what others opened, so it needs no file system. Reasons name fields, places and rules, never text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, BinaryIO, cast

import orjson

from intramural.domain.dataset import Fault
from intramural.errors import InvalidInput
from intramural.intake.bounds import Progress, Row
from intramural.intake.formats import DETECTION_ROWS, FORMATS, Format, detect
from intramural.intake.messages import MalformedRow
from intramural.intake.named import check_fields, check_format, check_ours
from intramural.intake.provenance import Origins
from intramural.intake.rows import is_table_name, rows_of

AUTO = "auto"
KEPT_FAULTS = 100
_MOST_SHAPES = 1000

Example = tuple[int, dict[str, Any], bytes | None]
"""The line of the row in its file, the example it became, and the value that groups it."""


@dataclass(frozen=True)
class ReadAs:
    """How the rows of a source are understood."""

    format: str = AUTO
    """`auto`, or a name in `formats.FORMATS`."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Our field → the source's: `{"prompt": "question", "completion": "answer"}`."""
    group_by: str | None = None
    """A field of the source rows, whose value comes with each example."""
    skip_bad: bool = False
    """Whether examples still come after a row that cannot be taken."""

    def check(self) -> None:
        """Raise `InvalidInput` for what no file could satisfy."""
        if self.format not in (AUTO, *FORMATS):
            raise InvalidInput(f"There is no format `{self.format}`.", hint=f"One of {', '.join((AUTO, *FORMATS))}.")
        if self.mapping:
            self.mapped_format()

    def mapped_format(self) -> Format:
        """Return the one format that takes the mapped fields."""
        names = set(self.mapping)
        for each in FORMATS.values():
            if each.fits(names) and names <= each.fields and self.format in (AUTO, each.name):
                return each
        check_ours(names, {field for each in FORMATS.values() for field in each.fields})
        raise InvalidInput(
            f"The mapping of {', '.join(sorted(names))} makes no example.",
            hint="Map prompt and completion (and system, label); messages; chosen and rejected (and prompt); or text.",
        )


class Reading:
    """Reads the files of one source, one after the other."""

    def __init__(self, how: ReadAs) -> None:
        self._how = how
        self.side = ""
        """Written before a reason, where there are two files."""
        self.rows = 0
        self.fault_count = 0
        self.faults: list[Fault] = []
        self.unused: set[str] = set()
        self.origins = Origins()

    def begin(self, opened: BinaryIO, name: str, on_progress: Progress) -> tuple[Format, Iterator[Row]]:
        """
        Return the format of an opened file, named, mapped, or that its first rows have; and all its rows.

        Raises `InvalidInput` where no row can be read, or none of the first has what was named.
        """
        rows = rows_of(opened, name, on_progress)
        first = [*islice(rows, DETECTION_ROWS)]
        faults = [row for _, row in first if isinstance(row, Fault)]
        is_named = bool(self._how.mapping) or self._how.format in FORMATS
        if faults and len(faults) == len(first) and not is_named:
            raise InvalidInput(
                f"{name}: no row can be read. line {faults[0].line}: {faults[0].reason}",
                hint="Give JSON lines, a JSON array, CSV, Parquet or plain text (.txt, .md).",
            )
        is_all = len(first) < DETECTION_ROWS or is_table_name(name)
        return self._form([row for _, row in first if not isinstance(row, Fault)], name, is_all), chain(first, rows)

    def _form(self, first: list[dict[str, Any]], name: str, is_all: bool) -> Format:
        """Return the format of a file by its *first* rows; *is_all* where they show every field there is."""
        how = self._how
        if how.mapping:
            form = how.mapped_format()
        elif how.format in FORMATS:
            form = FORMATS[how.format]
            check_format(form, first, name)
        else:
            form = detect(first, name)
        check_fields(first, form, how.mapping, how.group_by, name, is_all=is_all)
        return form

    def examples(self, form: Format, rows: Iterable[Row], file: int = 1) -> Iterator[Example]:
        """Yield the example of each row; *file* is the 1-based number of the file they are from."""
        group_by, convert, unused = self._how.group_by, form.convert, self.unused
        field_of, note_origin = self._field_of(form), self.origins.note
        for line, row in rows:
            self.rows += 1
            if type(row) is not dict:  # isinstance of a model is slow, and this is every row
                self._note(cast(Fault, row), file)
                continue
            note_origin(row)
            try:
                example = convert(field_of(row), unused)
                group = None if group_by is None else _group(row, group_by)
            except MalformedRow as fault:
                self._note(self._fault(line, fault, form, row), file)
                continue
            if not self.fault_count or self._how.skip_bad:
                yield line, example, group

    def _note(self, fault: Fault, file: int) -> None:
        self.fault_count += 1
        if len(self.faults) < KEPT_FAULTS:
            reason = f"{self.side}: {fault.reason}" if self.side else fault.reason
            self.faults.append(fault.model_copy(update={"reason": reason, "file": file}))

    def _fault(self, line: int, fault: MalformedRow, form: Format, row: Mapping[str, Any]) -> Fault:
        """Say of a row that is in another format than the file so, rather than what it lacks of this one."""
        others = [each.name for each in FORMATS.values() if each.fits(row) and each.is_meant(row)]
        if self._how.mapping or form.name in others or not others:
            return Fault(line=line, field=fault.field, reason=fault.reason)
        return Fault(line=line, reason=f"in the format {others[0]}, where the file is {form.name}")

    def _field_of(self, form: Format) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
        """Return what turns a row of the source into the fields of *form*, noting fields that nothing uses."""
        mapping, shapes = self._how.mapping, set[tuple[str, ...]]()
        used = set(mapping.values()) if mapping else set(form.fields)
        if self._how.group_by:
            used.add(self._how.group_by)

        def fields(row: dict[str, Any]) -> Mapping[str, Any]:
            shape = tuple(row)
            if shape not in shapes and len(shapes) < _MOST_SHAPES:
                shapes.add(shape)
                self.unused.update(set(shape) - used)
            return {ours: row.get(theirs) for ours, theirs in mapping.items()} if mapping else row

        return fields


def raise_if_faulty(reading: Reading, name: str, names: Sequence[str] = ()) -> None:
    """Raise `InvalidInput` for the source *name* that lists its faulty rows; *names* tell its files apart, by number."""
    if not reading.fault_count:
        return
    quoted = "; ".join(
        f"{f'{names[fault.file - 1]} ' if names else ''}line {fault.line}: "
        f"{f'{fault.field}: ' if fault.field else ''}{fault.reason}"
        for fault in reading.faults[:_QUOTED_FAULTS]
    )
    more = "; …" if reading.fault_count > _QUOTED_FAULTS else ""
    count = reading.fault_count
    raise InvalidInput(
        f"{name}: {count} {'row' if count == 1 else 'rows'} cannot be taken. {quoted}{more}",
        hint="Mend them, or leave them out with --skip-bad.",
        fault_count=count,
        rows_read=reading.rows,
        faults=[fault.document() for fault in reading.faults],
    )


_QUOTED_FAULTS = 5


def _group(row: Mapping[str, Any], name: str) -> bytes:
    value = row.get(name)
    if value is None:
        raise MalformedRow(name, "missing, and the split groups by it")
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
