"""Compiled patterns of hyperscan, kept in a folder from one process to the next: compiling takes longer than starting."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any


def database(expressions: Sequence[bytes], folder: Path | None) -> Any:
    """Return *expressions*, numbered in their order, as one database; from *folder* where it is there, else put there."""
    import hyperscan  # noqa: PLC0415 - loaded by the first scan

    kept = None if folder is None else folder / _name(expressions)
    if kept is not None:
        with suppress(OSError, hyperscan.error):  # not there yet, or made on another machine
            found = hyperscan.loadb(kept.read_bytes(), mode=hyperscan.HS_MODE_BLOCK)
            found.scratch = hyperscan.Scratch(found)
            return found
    compiled = hyperscan.Database()
    compiled.compile(expressions=list(expressions), ids=list(range(len(expressions))), elements=len(expressions))
    if kept is not None:
        with suppress(OSError):  # within walls the folder is only read
            _keep(kept, hyperscan.dumpb(compiled))
    return compiled


def _name(expressions: Sequence[bytes]) -> str:
    import hyperscan  # noqa: PLC0415 - as above

    whole = b"\0".join((getattr(hyperscan, "__version__", "").encode(), *expressions))
    return f"patterns-{sha256(whole).hexdigest()[:16]}.hs"


def _keep(path: Path, content: bytes) -> None:
    beside = path.with_suffix(f".{secrets.token_hex(4)}")
    with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
    beside.replace(path)
