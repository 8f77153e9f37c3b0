"""What sealed bytes are and where they belong; they open under the same words only."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SealContext:
    """The place of a sealed object: bytes that were sealed for one place do not open in another."""

    project: str
    kind: str
    """`dataset`, `checkpoint`, `output`, `key`."""
    id: str
    """Which one within the kind, such as `tickets/train.jsonl`."""

    def of(self, name: str) -> SealContext:
        """Return the context of the part *name* of this one."""
        return replace(self, id=f"{self.id}/{name}")

    def encoded(self) -> bytes:
        """Return the words as bytes; different contexts never give the same."""
        return json.dumps([self.project, self.kind, self.id], ensure_ascii=True).encode()
