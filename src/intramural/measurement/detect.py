"""
Which reader a file or a folder is for, told from its content, not from its name.

Tracking servers, MLflow's stores and our own runs are no files to read and never come here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import polars as pl

from intramural.errors import InvalidInput, NotFound
from intramural.measurement import kubernetes, kubernetes_table, sacct, sacct_json, table, wandb
from intramural.measurement.paths import head
from intramural.measurement.records import Source
from intramural.measurement.table_mapping import load_mapping

CHOICES = (
    "`sacct -P` text, `sacct --json`, `kubectl get jobs,pods -o json`, a CSV or JSON export of W&B runs, "
    "CSV or Parquet with --mapping, an MLflow address or store, or `own`"
)
"""What can be measured, for hints."""
_SNIFFED = 64 * 1024


class Kind(StrEnum):
    """The readers of files."""

    SACCT = "sacct"
    SACCT_JSON = "sacct_json"
    KUBERNETES = "kubernetes"
    KUBERNETES_TABLE = "kubernetes_table"
    WANDB = "wandb"
    TABLE = "table"


_READERS: dict[Kind, Callable[[Path], Source]] = {
    Kind.SACCT: sacct.read,
    Kind.SACCT_JSON: sacct_json.read,
    Kind.KUBERNETES: kubernetes.read,
    Kind.KUBERNETES_TABLE: kubernetes.read_table,
    Kind.WANDB: wandb.read,
    Kind.TABLE: table.read,
}
_NOT_RECORDS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"PK", "an archive or a spreadsheet; save its sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet; save its sheet as CSV"),
)


def read_source(given: str, *, mapping: Path | None = None) -> Source:
    """Return the records behind *given*, a file or a folder of files of one kind.

    Raises `NotFound` or `InvalidInput` that names the file, what was found, and the nearest choice.
    """
    path = Path(given)
    if path.is_dir():
        return _of_folder(path, mapping)
    if not path.exists():
        raise NotFound(f"There is no file {given}.", hint=f"Give {CHOICES}.", file=given)
    if mapping is not None:
        return table.read(path, load_mapping(mapping))
    return _READERS[kind_of(path)](path)


def kind_of(path: Path) -> Kind:
    """Return the kind of the file at *path*; raise `InvalidInput` when no reader knows it."""
    first = head(path)[:_SNIFFED]
    text = first.decode("utf-8-sig", "replace").lstrip()
    line = text.split("\n", 1)[0]
    if text[:1] in ("{", "["):
        return _kind_of_json(path, text)
    if sacct.looks_padded(first):
        raise InvalidInput(
            f"{path.name} is what `sacct` prints in padded columns, which cut values off.", hint=f"Export with: {sacct.EXPORT}"
        )
    if sacct.looks_like_sacct(first):
        return Kind.SACCT
    if kubernetes_table.is_table(line):
        return Kind.KUBERNETES_TABLE
    if _is_sacct_without_header(line):
        raise InvalidInput(f"{path.name} has no header line of sacct.", hint=f"Export without --noheader: {sacct.EXPORT}")
    if table.looks_like_table(first) or _is_one_column(text):
        names = [wandb.folded(each.strip('"')) for each in line.split(table.delimiter_of(line))]
        return Kind.WANDB if wandb.is_run(names) else Kind.TABLE
    raise _not_records(path, first)


def _kind_of_json(path: Path, text: str) -> Kind:
    """Tell JSON documents apart by their first keys, so that a large one is not read twice."""
    if re.search(r'"jobs"\s*:\s*\[', text) and re.search(r'"(job_id|meta|slurm)"\s*:', text):
        return Kind.SACCT_JSON
    if re.search(r'"(apiVersion|kind)"\s*:\s*"', text):
        return Kind.KUBERNETES
    keys = {wandb.folded(each) for each in re.findall(r'"([^"\\]{1,60})"\s*:', text)}
    if wandb.is_run(keys):
        return Kind.WANDB
    raise InvalidInput(
        f"{path.name} is JSON, and holds no job records that are known.", hint=f"Give {CHOICES}.", file=path.name
    )


def _is_sacct_without_header(line: str) -> bool:
    return bool(re.match(r"^[0-9]+(_[0-9]+)?(\.[a-z0-9]+)?\|", line))


def _is_one_column(text: str) -> bool:
    """Tell whether it is a heading over numbers: a table of one column."""
    lines = text.splitlines()[:20]
    return len(lines) > 1 and bool(re.fullmatch(r"\s*\"?[A-Za-z_][\w ]*\"?\s*", lines[0])) and _all_numbers(lines[1:])


def _all_numbers(lines: list[str]) -> bool:
    return all(re.fullmatch(r"\s*-?[0-9.]+(e[-+]?[0-9]+)?\s*", each) for each in lines if each.strip())


def _not_records(path: Path, first: bytes) -> InvalidInput:
    what = next((name for sign, name in _NOT_RECORDS if first.lstrip()[: len(sign)].lower() == sign.lower()), None)
    found = f"is {what}" if what else "holds no job records that are known"
    return InvalidInput(f"{path.name} {found}.", hint=f"Give {CHOICES}.", file=path.name)


def _of_folder(folder: Path, mapping: Path | None) -> Source:
    """Return the records of all files of a folder together."""
    paths = sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith("."))
    if not paths:
        raise InvalidInput(f"{folder.name} has no file in it.", hint=f"Give {CHOICES}.", file=folder.name)
    kinds = {each: Kind.TABLE if mapping else kind_of(each) for each in paths}
    if len(set(kinds.values())) > 1:
        named = ", ".join(f"{each.name} ({kind})" for each, kind in list(kinds.items())[:6])
        raise InvalidInput(
            f"{folder.name} holds files of several kinds: {named}.", hint="Give the files one by one.", file=folder.name
        )
    sources = [read_source(str(each), mapping=mapping) for each in paths]
    return replace(
        sources[0],
        name=folder.name,
        frame=pl.concat(each.frame for each in sources),
        skipped_rows=sum(each.skipped_rows for each in sources),
        notices=tuple(dict.fromkeys(notice for each in sources for notice in each.notices)),
        restarts_if_seen=any(each.restarts_if_seen for each in sources),
    )
