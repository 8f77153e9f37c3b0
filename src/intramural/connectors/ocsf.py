"""
An entry of the audit trail as one line of OCSF, API Activity.

Under `unmapped.intramural` a line carries all that verifying it offline needs. A line is
written from the entry's body, and a check writes it anew and compares: so there is one
place that says what a line is, and it is written as text because a trail has millions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from orjson import dumps, loads

from intramural.domain.audit import Decision
from intramural.domain.audit_chain import KINDS, Link

VERSION = "1.6.0"
API_ACTIVITY = 6003
UNKNOWN, CREATE, READ, UPDATE, DELETE, OTHER = 0, 1, 2, 3, 4, 99
ACTIVITIES = {
    **dict.fromkeys(("add", "submit", "hold", "start"), CREATE),
    **dict.fromkeys(("sample", "export", "read", "verify"), READ),
    **dict.fromkeys(("pause", "resume", "approve", "release"), UPDATE),
    **dict.fromkeys(("remove", "prune", "shred", "withdraw"), DELETE),
}
"""What a verb is in OCSF; a verb that is not here is another activity."""
INFORMATIONAL, LOW = 1, 2
UNMAPPED = b'"unmapped":'
"""Begins the last member of a line. In a string its quotes would be escaped."""
KIND_NAMES = {number: kind.value for number, kind in KINDS.items()}
_REFUSED = Decision.REFUSED.value
_PRODUCT = f'"metadata":{{"version":"{VERSION}","product":{{"name":"intramural","vendor_name":"intramural"}},'
_PRUNED = '"actor":{"app_name":"intramural"},"src_endpoint":{"name":"unknown"},"api":{"operation":"pruned"},'


def ocsf_line(link: Link, before: bytes, more: dict[str, Any] | None = None) -> bytes:
    """Return an entry's line; *more* is what the first and the last of a file say of the chain beside. Raises `KeyError`."""
    seq, at, number, body, salt, commitment, leaf = link
    text = body.decode() if body is not None else None
    return written(
        seq, at, KIND_NAMES[number], text, salt.hex() if salt else None, before.hex(), commitment.hex(), leaf.hex(), more
    )


def written(
    seq: int,
    at: int,
    kind: str,
    body: str | None,
    salt: str | None,
    before: str,
    commitment: str,
    leaf: str,
    more: dict[str, Any] | None = None,
) -> bytes:
    """Return the line of an entry whose bytes are in hex. Raises what reading another body than one of ours may raise."""
    activity, severity, tenant, said, kept = UNKNOWN, INFORMATIONAL, "", _PRUNED, ""
    if body is not None:
        entry = loads(body)
        origin = entry.get("origin")
        activity, severity, tenant, said = _said(
            entry["action"],
            entry["decision"],
            entry["project"],
            entry["subject"],
            entry.get("rule"),
            entry.get("target"),
            entry.get("digest"),
            None if origin is None else (origin["host"], origin.get("uid"), origin.get("pid"), origin.get("address")),
        )
        kept = f',"body":{dumps(body).decode()},"salt":"{salt}"'
    extra = "" if not more else f",{dumps(more)[1:-1].decode()}"
    return (
        f'{{"category_uid":{API_ACTIVITY // 1000},"class_uid":{API_ACTIVITY},"activity_id":{activity},'
        f'"type_uid":{API_ACTIVITY * 100 + activity},"time":{at // 1000},"severity_id":{severity},'
        f'{_PRODUCT}"uid":"{seq}","sequence":{seq},"log_name":"{kind}"{tenant}}},{said}'
        f'"unmapped":{{"intramural":{{"seq":{seq},"at":{at},"kind":"{kind}","before":"{before}",'
        f'"commitment":"{commitment}","leaf":"{leaf}"{kept}{extra}}}}}}}\n'
    ).encode()


@lru_cache(65_536)
def _said(
    action: str,
    decision: str,
    project: str,
    subject: str,
    rule: str | None,
    target: str | None,
    digest: str | None,
    origin: tuple[str, int | None, int | None, str | None] | None,
) -> tuple[int, int, str, str]:
    """Return what a body says: activity, severity, tenant, and the members of the event that follow from it."""
    refused = decision == _REFUSED
    status = '"status_id":2,"status":"Failure",' if refused else '"status_id":1,"status":"Success",'
    because = f'"status_code":{_quoted(rule)},' if rule else ""
    operation = f'"api":{{"operation":{_quoted(action)}}},'
    said = f"{_who(subject, origin)}{operation}{status}{because}{_about(target, digest)}"
    activity = ACTIVITIES.get(action.partition(":")[2], OTHER)
    return activity, LOW if refused else INFORMATIONAL, f',"tenant_uid":{_quoted(project)}', said


def _who(subject: str, origin: tuple[str, int | None, int | None, str | None] | None) -> str:
    name = _quoted(subject)
    if origin is None:
        return f'"actor":{{"user":{{"name":{name}}}}},"src_endpoint":{{"name":"unknown"}},'
    host, uid, pid, address = origin
    user = f'{{"name":{name}}}' if uid is None else f'{{"name":{name},"uid":"{int(uid)}"}}'
    process = "" if pid is None else f',"process":{{"pid":{int(pid)}}}'
    ip = f',"ip":{_quoted(address)}' if address else ""
    return f'"actor":{{"user":{user}{process}}},"src_endpoint":{{"hostname":{_quoted(host)}{ip}}},'


def _about(target: str | None, digest: str | None) -> str:
    if not target:
        return f'"resources":[{{"uid":{_quoted(digest)}}}],' if digest else ""
    uid = f',"uid":{_quoted(digest)}' if digest else ""
    return f'"resources":[{{"name":{_quoted(target)}{uid}}}],'


def _quoted(text: str) -> str:
    return dumps(text).decode()
