"""
The file `profile.yaml`: read strictly, written whole or not at all.

A file is written beside, fsynced and renamed, so that a process killed at any moment leaves the
old profile or the new one. Comments that a person wrote into it are not kept.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from intramural.domain import strict_yaml
from intramural.domain.profile import SECTIONS, Profile
from intramural.errors import InvalidInput, NotFound

MOST_BYTES = 4_000_000
"""More than any profile holds; what is larger is another kind of file."""

_HEADER = """\
# A workload in numbers. `intramural interview` asks the questions that are left,
# `intramural report` prints the page, `intramural schema profile` lists every key.
"""


def load(path: Path) -> Profile:
    """Return the profile in the file at *path*. Raises `NotFound`, or `InvalidInput` with the line and the nearest key."""
    return strict_yaml.read(read_text(path), Profile, where=str(path))


def save(path: Path, profile: Profile) -> None:
    """Write *profile* to the file at *path*, whole or not at all. Raises `InvalidInput`."""
    target = path.resolve()  # a link stays a link
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    if target.exists() and not target.is_file():
        raise InvalidInput(f"{path} is not a file.", hint="Name a file, such as profile.yaml.")
    try:
        _write_beside(beside, target, write(profile).encode("utf-8"))
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        reason = os.strerror(error.errno or 0)
        raise InvalidInput(f"{path} cannot be written: {reason}.", hint="Choose another place for the profile.") from error


def write(profile: Profile) -> str:
    """Return the text of *profile*: a few words on top, then a block for each section."""
    blocks = [_HEADER]
    for key, content in profile.document().items():
        block = yaml.dump({key: content}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        blocks.append(f"\n{block}" if key in SECTIONS else block)
    return "".join(blocks)


def read_text(path: Path) -> str:
    """Return the text of the file at *path*. Raises `NotFound` or `InvalidInput`."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"{path} is not there.", hint=f"`intramural interview {path}` writes it.") from None
    except IsADirectoryError:
        raise InvalidInput(f"{path} is a folder.", hint="Name the file in it.") from None
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "that is no path"
        raise InvalidInput(f"{path} cannot be read: {reason}.", hint="Name another file.") from error
    if len(content) > MOST_BYTES:
        raise InvalidInput(f"{path} is too large for a profile.", hint="Name a file that `intramural interview` wrote.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{path}, line {line}: this is not UTF-8 text.", hint="Save it as UTF-8.", line=line) from None


def _write_beside(beside: Path, target: Path, content: bytes) -> None:
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if target.exists():
        shutil.copymode(target, beside)
    beside.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that the strict reader would take for something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        """Indent lists below their key."""
        return super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None if strict_yaml.is_plain_text(text) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
