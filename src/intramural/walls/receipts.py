"""Read the receipt of a run, finished or cut short."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from intramural.domain.confinement import Level
from intramural.domain.receipt import Attempt, Receipt, Refusal
from intramural.errors import IntegrityFailure, NotFound
from intramural.walls.record import FINAL, PARTIAL


def read_receipt(folder: Path) -> Receipt:
    """Return what the run of *folder* tried to reach, as far as it is written down. Raises `NotFound`."""
    for name in (FINAL, PARTIAL, FINAL):  # it may be finished between two looks
        try:
            text = (folder / name).read_text()
        except FileNotFoundError:
            continue
        return _read(text.splitlines(keepends=True))
    raise NotFound("There is no receipt here.", hint="It appears when the process of the run is started.")


def _read(lines: list[str]) -> Receipt:
    try:
        parsed: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith("\n")]
        head, rest = parsed[0], parsed[1:]
        closed = {line["closed"]: line for line in rest if "closed" in line}
        attempts = tuple(_attempt(line, closed.get(line["attempt"], {})) for line in rest if "attempt" in line)
        end = next((line for line in rest if "ended_at" in line), None)
        facts: dict[str, Any] = {"level": Level(head["level"]), "began_at": _instant(head["began_at"]), "attempts": attempts}
        if end is not None:
            facts |= {"ended_at": _instant(end["ended_at"]), "complete": True}
            facts |= {name: end[name] for name in ("exit_code", "left_out", "around_proxy", "limits")}
            facts["stopped_for"] = end.get("stopped_for")
        return Receipt(**facts)
    except (ValueError, KeyError, IndexError, TypeError):
        raise IntegrityFailure("The receipt is damaged.", hint="Somebody or a broken disk changed it.") from None


def _attempt(line: dict[str, Any], closed: dict[str, Any]) -> Attempt:
    refusal = closed.get("refusal") or line["refusal"]
    return Attempt(
        at=_instant(line["at"]),
        host=line["host"],
        port=line["port"],
        allowed=line["refusal"] is None,
        refusal=None if refusal is None else Refusal(refusal),
        up_bytes=closed.get("up_bytes", 0),
        down_bytes=closed.get("down_bytes", 0),
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
