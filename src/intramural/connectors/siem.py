"""
The audit trail as other systems read it: OCSF as JSON lines, CEF, and syslog.

OCSF lines carry, under `unmapped.intramural`, all that verifying them offline needs; the
first also where the trail stood before it, the last the signed head. CEF and syslog carry
each entry's place and leaf hash, which lead back to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import intramural
from intramural.domain.audit import AuditEntry, Decision
from intramural.domain.audit_chain import KINDS, Link, instant
from intramural.domain.audit_head import TrailHead
from intramural.errors import InvalidInput

LOG_AUDIT = 13
"""The facility of syslog."""
ENTERPRISE = 32473
"""The number that RFC 5612 keeps for examples; the platform has none of its own."""


def cef(link: Link) -> str:
    """Return an entry as a line of the Common Event Format."""
    entry = AuditEntry.model_validate_json(link.body) if link.body is not None else None
    refused = entry is not None and entry.decision is Decision.REFUSED
    action = entry.action.value if entry else "pruned"
    header = ["CEF:0", "intramural", "intramural", intramural.__version__, action, action, "5" if refused else "2"]
    origin = entry.origin if entry else None
    fields = {
        "rt": link.at // 1000,
        "externalId": link.seq,
        "cat": KINDS[link.kind].value,
        "outcome": entry.decision.value if entry else None,
        "suser": entry.subject if entry else None,
        "suid": origin.uid if origin else None,
        "spid": origin.pid if origin else None,
        "shost": origin.host if origin else None,
        "src": origin.address if origin else None,
        "reason": entry.rule if entry else None,
        "cs1Label": "object",
        "cs1": entry.target if entry else None,
        "cs2Label": "digest",
        "cs2": entry.digest if entry else None,
        "cs3Label": "leaf",
        "cs3": link.leaf.hex(),
    }
    extension = " ".join(f"{key}={_in_extension(str(value))}" for key, value in fields.items() if value is not None)
    return "|".join(_in_header(each) for each in header) + "|" + extension


def _in_header(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("|", "\\|")


def _in_extension(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("=", "\\=")


def syslog(link: Link) -> str:
    """Return an entry as a message of RFC 5424."""
    entry = AuditEntry.model_validate_json(link.body) if link.body is not None else None
    refused = entry is not None and entry.decision is Decision.REFUSED
    origin = entry.origin if entry else None
    action = entry.action.value if entry else "pruned"
    fields = {
        "seq": link.seq,
        "kind": KINDS[link.kind].value,
        "subject": entry.subject if entry else None,
        "decision": entry.decision.value if entry else None,
        "object": entry.target if entry else None,
        "digest": entry.digest if entry else None,
        "rule": entry.rule if entry else None,
        "uid": origin.uid if origin else None,
        "leaf": link.leaf.hex(),
    }
    data = " ".join(f'{key}="{_in_parameter(str(value))}"' for key, value in fields.items() if value is not None)
    priority = LOG_AUDIT * 8 + (4 if refused else 6)
    moment = f"{instant(link.at):%Y-%m-%dT%H:%M:%S.%fZ}"
    host = _word(origin.host if origin else None, 255)
    process = str(origin.pid) if origin and origin.pid is not None else "-"
    return f"<{priority}>1 {moment} {host} intramural {process} {_word(action, 32)} [intramural@{ENTERPRISE} {data}] {action}"


def _in_parameter(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _word(text: str | None, most: int) -> str:
    return "".join(char for char in text or "" if "!" <= char <= "~")[:most] or "-"


def _one_line(text: str) -> str:
    """Return *text* without what could begin a line of its own, or an escape sequence."""
    return "".join(char if char.isprintable() else " " for char in text)


FORMS: dict[str, Callable[[Link], str] | None] = {"ocsf": None, "cef": cef, "syslog": syslog}


def write(file: Path, form: str, start: TrailHead, end: TrailHead, batches: Iterable[Sequence[Any]]) -> None:
    """Write the entries between two ends to *file*, whole or not at all, for its owner only. Raises `InvalidInput`."""
    is_new = not file.is_symlink() and (not file.exists() or file.is_file())  # a device, a pipe or a link stays what it is
    beside = file.with_name(f".{file.name}.{os.getpid()}") if is_new else file
    try:
        with open(beside, "wb", opener=_private) as output:
            for lines in _lines(form, start, end, batches):
                output.write(lines)
        if is_new:
            beside.replace(file)
    except OSError as error:
        raise InvalidInput(
            f"{file} cannot be written: {os.strerror(error.errno or 0)}.", hint="Choose another place for the file."
        ) from error
    finally:
        if is_new:
            beside.unlink(missing_ok=True)


def _lines(form: str, start: TrailHead, end: TrailHead, batches: Iterable[Sequence[Any]]) -> Iterable[bytes]:
    from intramural.connectors.ocsf import ocsf_line  # noqa: PLC0415 - its library is slow to import, and only this needs it

    before, line_of = start.leaf, FORMS[form]
    for rows in batches:
        for row in rows:
            link = Link(*row)
            if line_of is not None:
                yield line_of(link).encode() + b"\n"
                continue
            more: dict[str, Any] = {}
            if link.seq == start.size + 1:
                more["start"] = {"last_at": start.last_at, "frontier": start.frontier.hex()}
            if link.seq == end.size and end.note is not None:
                more["head"] = end.note
            yield ocsf_line(link, before, more)
            before = link.leaf


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
