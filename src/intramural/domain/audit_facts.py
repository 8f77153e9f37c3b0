"""What the trail says stands now: read along while it is checked, and compared with the tables that acts decide by."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from intramural.domain.access import Action
from intramural.domain.value import Digest, ProjectId
from intramural.errors import IntegrityFailure

ACTS = (
    Action.OBJECT_QUARANTINE,
    Action.OBJECT_RELEASE,
    Action.POLICY_SET,
    Action.APPROVAL_WITHDRAW,
    Action.AUDIT_VERIFY,
)
_BEGINNINGS = tuple(f'{{"action":"{each}"'.encode() for each in ACTS)
"""A body is canonical JSON, and no key comes before this one."""


class TrailFacts:
    """What a project's acts left in quarantine, withdrawn and set; each with the place of the entry that says so."""

    def __init__(self, project: ProjectId) -> None:
        self.project = project
        self.quarantined: dict[str, int] = {}
        """By key, as `data:tickets@1`."""
        self.withdrawn: dict[str, int] = {}
        """By the approval's id."""
        self.policy: tuple[Digest, int] | None = None

    def feed(self, links: Iterable[tuple[int, int, int, bytes | None, bytes | None, bytes, bytes]]) -> None:
        """Read the next entries, as they are stored. A pruned one says nothing."""
        for seq, _, _, body, *_ in links:
            if body is not None and body.startswith(_BEGINNINGS):
                self._read(seq, json.loads(body))

    def _read(self, seq: int, entry: dict[str, Any]) -> None:
        if entry["project"] != self.project or entry["decision"] != "allowed":
            return
        objects = entry.get("detail", {}).get("objects", [])
        match entry["action"]:
            case Action.OBJECT_QUARANTINE:
                self.quarantined.update(dict.fromkeys(objects, seq))
            case Action.OBJECT_RELEASE:
                for each in objects:
                    self.quarantined.pop(each, None)
            case Action.POLICY_SET:
                self.policy = entry["digest"], seq
            case Action.APPROVAL_WITHDRAW:
                self.withdrawn[entry["target"]] = seq
            case Action.AUDIT_VERIFY if "rows_accepted" in entry.get("detail", {}):
                # an owner answered for the tables as they stood
                self.quarantined.clear()
                self.withdrawn.clear()
                self.policy = None

    def check(self, quarantined: Iterable[str], counting: Iterable[str], policy: Digest | None) -> None:
        """
        Compare with the tables: what is in quarantine, the approvals that are not withdrawn, and the policy that is set.

        Raises `IntegrityFailure`: rows were removed, or put back as they once were.
        """
        if gone := self.quarantined.keys() - set(quarantined):
            key = min(gone, key=lambda each: self.quarantined[each])
            raise _fault(f"{key} was put in quarantine, and nobody released it, but its row is gone", self.quarantined[key])
        if back := self.withdrawn.keys() & set(counting):
            approval = min(back, key=lambda each: self.withdrawn[each])
            raise _fault(f"The approval {approval} was withdrawn, but its row says that it counts", self.withdrawn[approval])
        if self.policy is not None and self.policy[0] != policy:
            raise _fault(f"The policy {self.policy[0]} was set, but the database has {policy or 'none'}", self.policy[1])


def _fault(what: str, seq: int) -> IntegrityFailure:
    return IntegrityFailure(
        f"{what}: entry {seq} of the trail and the database's tables do not agree.",
        hint="Restore intramural.db from a backup, or, after looking at it, answer for it: `intramural audit verify --accept`.",
        seq=seq,
        fault="row",
    )
