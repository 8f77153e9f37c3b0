"""A folder as a manifest of its files; the digest of the manifest names the folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import field_validator

from intramural.domain.value import Digest, Value
from intramural.errors import InvalidInput


class TreeFile(Value):
    """One file of a tree."""

    digest: Digest
    """Of the plain bytes."""
    size: int
    sealed: Digest | None = None
    """Of the sealed bytes, where the file is sealed; base models are not."""

    @property
    def blob(self) -> Digest:
        """What the vault keeps the file under."""
        return self.sealed or self.digest


class Tree(Value):
    """The files of a folder by their relative POSIX path."""

    files: dict[str, TreeFile]

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, TreeFile]) -> dict[str, TreeFile]:
        for name in files:
            if "\\" in name or any(part in {"..", ".", ""} for part in name.split("/")):
                raise ValueError("a path of a tree leaves its folder")
        return files

    @property
    def size_bytes(self) -> int:
        """The bytes of all files."""
        return sum(each.size for each in self.files.values())


def regular_files(folder: Path) -> dict[str, Path]:
    """Return every file under *folder* by relative path; raise `InvalidInput` for a link or a special file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidInput(f"{name} is a link or a special file.", hint="Give a folder of plain files.")
        if "\\" in name or not name.isprintable():
            raise InvalidInput("A file's name holds signs that no other system takes.", hint="Rename the files plainly.")
        if path.is_file():
            found[name] = path
    return found
