"""
Where rows come from: files, folders and patterns of files, or what is piped in; listed once, in one order.

Whoever lists the files opens them; whoever reads them gets what was opened and a name,
never a path. So the reading can happen where there is no file system.
"""

from __future__ import annotations

import glob
import io
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from intramural.errors import InvalidInput, NotFound

PIPED = "-"
"""Stands for what is piped in."""
PIPED_NAME = "what was piped in"
MOST_FILES = 100_000

PACKED = (".gz", ".zst")
READ = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md")
"""How files end that are read below a folder, packed or not; one that is named itself is read whatever it is called."""

_REMOTE = re.compile(r"([a-z][a-z0-9+.-]{1,15})://", re.IGNORECASE)
_COPIERS = {
    "s3": "aws s3 cp s3://BUCKET/KEY - | intramural data add - --name NAME",
    "gs": "gcloud storage cat gs://BUCKET/KEY | intramural data add - --name NAME",
}


@dataclass(frozen=True)
class SourceFile:
    """One file to be read."""

    name: str
    """What messages call it: its own name, or its path below what was named."""
    size: int
    """Bytes as they lie there, packed; 0 where nobody knows."""
    path: Path | None = None
    stream: BinaryIO | None = field(default=None, repr=False, compare=False)
    """What was piped in, instead of a path; it can be read once."""

    def open(self) -> BinaryIO:
        """Open it for reading, from its beginning; the descriptor is all that the reader needs. Raises `InvalidInput`."""
        if self.path is None:
            return cast(BinaryIO, self.stream)
        try:
            opened = open(self.path, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115 - the reader closes it
        except OSError as error:
            raise _unreadable(self.name, error) from error
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            opened.close()
            raise InvalidInput(f"{self.name} is not a regular file.", hint="Pipe it in instead, with - in its place.")
        return cast(BinaryIO, io.BufferedReader(opened))


@dataclass(frozen=True)
class Source:
    """Everything that was named, as files in the order they are read."""

    name: str
    """What messages call the whole."""
    files: tuple[SourceFile, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Files below a folder or a pattern that are not read, counted by reason."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)


def list_sources(named: Sequence[str | Path], piped: BinaryIO | None = None) -> Source:
    """
    Return the files that were *named*, each once: in the order named, and below a folder or a pattern by their paths.

    Raises `NotFound` for what is not there, `InvalidInput` for what cannot be read.
    """
    files: list[SourceFile] = []
    skipped: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    for each in map(str, named):
        for found in _listed(each, piped, skipped):
            if found.path is not None:
                status = found.path.stat()
                if (status.st_dev, status.st_ino) in seen:
                    skipped["named twice"] += 1
                    continue
                seen.add((status.st_dev, status.st_ino))
            files.append(found)
            if len(files) > MOST_FILES:
                raise InvalidInput(f"That names more than {MOST_FILES:,} files.", hint="Join them, or add them in parts.")
    if not files:
        what = f"; left out are {_told(skipped)}" if skipped else ""
        raise InvalidInput(f"There is no file to read{what}.", hint=f"Files called {', '.join(READ)} are read, also packed.")
    return Source(name=_whole_name(named, files), files=tuple(files), skipped=dict(sorted(skipped.items())))


def names_files(named: str) -> bool:
    """Tell whether *named* is a path, a pattern, what is piped in or somewhere else, rather than a data set's label."""
    return named == PIPED or glob.has_magic(named) or bool(_REMOTE.match(named)) or Path(named).exists()


def as_source(named: Path | Source) -> Source:
    """Return the files that one path names, or the source as it is."""
    return list_sources([named]) if isinstance(named, Path) else named


def one_file(path: Path) -> Source:
    """Return the one regular file *path* as a source."""
    if path.is_dir():
        raise InvalidInput(f"{path.name} is not a regular file.", hint="Give one file.")
    return list_sources([path])


def _told(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))


def _whole_name(named: Sequence[str | Path], files: Sequence[SourceFile]) -> str:
    if len(files) == 1:
        return files[0].name
    return _shown(Path(named[0]).name) if len(named) == 1 else f"{len(files)} files"


def _listed(named: str, piped: BinaryIO | None, skipped: Counter[str]) -> Iterator[SourceFile]:
    if named == PIPED:
        if piped is None:
            raise InvalidInput("Nothing is piped in.", hint="For example: zcat rows.gz | intramural data add - --name NAME")
        yield SourceFile(name=PIPED_NAME, size=0, stream=piped)
        return
    if remote := _REMOTE.match(named):
        scheme = remote[1].lower()
        copier = _COPIERS.get(scheme)
        raise InvalidInput(
            f"Rows are not read from {scheme}:// yet.",
            hint=f"Pipe them in: {copier}" if copier else "Copy the file here, or pipe it in with - in its place.",
        )
    path = Path(named)
    if path.is_dir():
        yield from _below(path, path, skipped)
    elif path.exists():
        yield SourceFile(name=_shown(path.name), size=path.stat().st_size, path=path)
    elif glob.has_magic(named):
        yield from _matching(named, skipped)
    else:
        raise NotFound(f"There is no file {_shown(named)}.", hint="Check the path.")


def _below(root: Path, folder: Path, skipped: Counter[str]) -> Iterator[SourceFile]:
    """Yield the files of *folder*, and of the folders in it, by name; links are not followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda each: os.fsencode(each.name))
    except OSError as error:
        raise _unreadable(_shown(folder.name), error) from error
    for entry in entries:
        reason = _why_not(entry.name, entry.is_symlink())
        if reason is None and entry.is_dir(follow_symlinks=False):
            yield from _below(root, Path(entry.path), skipped)
            continue
        if reason is None and not entry.is_file(follow_symlinks=False):
            reason = "not regular"
        if reason is None and not _is_read(entry.name):
            reason = "of other types"
        size = 0 if reason else entry.stat(follow_symlinks=False).st_size
        if reason is None and not size:
            reason = "empty"
        if reason:
            skipped[reason] += 1
            continue
        yield SourceFile(name=_shown(Path(entry.path).relative_to(root).as_posix()), size=size, path=Path(entry.path))


def _matching(pattern: str, skipped: Counter[str]) -> Iterator[SourceFile]:
    """Yield the files that match, by path; what lies behind a link below the pattern's fixed part is left out."""
    parts = Path(pattern).parts
    base = Path(*parts[: next(place for place, part in enumerate(parts) if glob.has_magic(part))])
    matches = sorted(glob.glob(pattern, recursive=True, include_hidden=True), key=os.fsencode)
    if not matches:
        raise NotFound(f"Nothing matches {_shown(pattern)}.", hint="Check the pattern; ** stands for folders of any depth.")
    for match in matches:
        path = Path(match)
        below = path.relative_to(base)
        steps = [base.joinpath(*below.parts[: count + 1]) for count in range(len(below.parts))]
        hidden = any(_why_not(step.name, is_link=False) for step in steps)
        if path.is_dir() and not path.is_symlink():
            continue
        if hidden or any(step.is_symlink() for step in steps):
            skipped["hidden" if hidden else "linked"] += 1
        elif not path.is_file():
            skipped["not regular"] += 1
        else:
            yield SourceFile(name=_shown(below.as_posix()), size=path.stat().st_size, path=path)


def _why_not(name: str, is_link: bool) -> str | None:
    if name.startswith("."):
        return "hidden"
    return "linked" if is_link else None


def _is_read(name: str) -> bool:
    plain = name.lower()
    for suffix in PACKED:
        plain = plain.removesuffix(suffix)
    return plain.endswith(READ)


def _shown(name: str) -> str:
    """Return *name* as text, whatever bytes it is made of."""
    return os.fsencode(name).decode("utf-8", "replace")


def _unreadable(name: str, error: OSError) -> InvalidInput:
    return InvalidInput(f"{name} cannot be read: {error.strerror}.", hint="Check the file and its rights.")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a named pipe without a writer would wait for ever
