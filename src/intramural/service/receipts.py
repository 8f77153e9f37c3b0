"""
The receipt of a run: sealed with what the run left, and gone from the disk in clear.

    HOME/walls/RUN    a link to the folder that the walls of the run's process write; no run sees it
"""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from pathlib import Path

from intramural.domain.confinement import Level
from intramural.domain.receipt import WallsSummary
from intramural.domain.value import RunId
from intramural.errors import IntramuralError
from intramural.service.context import Context

WALLS = "walls"
RECEIPT_FILES = ("receipt.jsonl", "receipt.jsonl.partial")


def receipt_file(ctx: Context, run_id: RunId) -> Path | None:
    """Return where the receipt of a run lies until it is sealed; None where the run had no walls."""
    folder = ctx.home / WALLS / run_id
    return next((path for name in RECEIPT_FILES if (path := folder / name).is_file()), None)


def walls_summary(ctx: Context, run_id: RunId) -> WallsSummary | None:
    """Return how a run was confined; None for one that did not begin, or whose receipt is damaged."""
    from intramural.walls.receipts import read_receipt  # noqa: PLC0415 - the command line imports this module

    with suppress(IntramuralError):
        return read_receipt(ctx.home / WALLS / run_id).summary
    return WallsSummary(level=Level.NONE, limits=_limits_without_walls()) if (ctx.runs / run_id / "pid.json").exists() else None


def _limits_without_walls() -> dict[str, str]:
    """Return what enforces each limit on a run without walls."""
    from intramural.walls.swap import is_swap_on  # noqa: PLC0415 - as above

    swap = "nothing" if is_swap_on() else "machine"
    kept = "rlimit" if sys.platform == "linux" else "nothing"  # elsewhere the system takes the limit and does not keep it
    return {"memory": kept, "processes": "nothing", "processors": "nothing", "swap": swap}


def clear_receipt(ctx: Context, run_id: RunId) -> None:
    """Remove what the walls of a run that ended wrote: a host's name there was the run's choice."""
    link = ctx.home / WALLS / run_id
    with suppress(OSError):
        shutil.rmtree(link.resolve(strict=True))
    with suppress(OSError):
        link.unlink()
