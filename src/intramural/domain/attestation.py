"""
The signed statement of a run: an in-toto Statement v1 with SLSA provenance v1, in a DSSE envelope.

Tools that are not ours read all three: the forms are in-toto's attestation framework,
slsa.dev's build provenance, and the Dead Simple Signing Envelope.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from intramural.domain.value import Digest, Value

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:intramural:fine-tune:1"


class Resource(Value):
    """One thing that a statement names by its digest."""

    name: str
    digest: Digest | None = None
    uri: str | None = None
    of: str | None = None
    """What the digest is of, where that is not the bytes of one file."""

    def descriptor(self) -> dict[str, Any]:
        """Return in-toto's resource descriptor."""
        found: dict[str, Any] = {"name": self.name}
        if self.uri is not None:
            found["uri"] = self.uri
        if self.digest is not None:
            found["digest"] = {"sha256": self.digest.removeprefix("sha256:")}
        if self.of is not None:
            found["annotations"] = {"digestOf": self.of}
        return found


class Provenance(Value):
    """What SLSA's predicate says about how the subjects were made."""

    asked: dict[str, Any]
    """What the member gave."""
    resolved: dict[str, Any]
    """What `auto` became, and the policy it was accepted under."""
    materials: tuple[Resource, ...]
    builder: str
    version: str
    """Of intramural."""
    invocation: str
    started_at: datetime | None
    ended_at: datetime | None

    def predicate(self) -> dict[str, Any]:
        """Return the predicate."""
        times = {"startedOn": self.started_at, "finishedOn": self.ended_at}
        return {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": self.asked,
                "internalParameters": self.resolved,
                "resolvedDependencies": [each.descriptor() for each in self.materials],
            },
            "runDetails": {
                "builder": {"id": self.builder, "version": {"intramural": self.version}},
                "metadata": {
                    "invocationId": self.invocation,
                    **{name: f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in times.items() if at is not None},
                },
            },
        }


def statement(subjects: list[Resource], provenance: Provenance) -> bytes:
    """Return the statement over *subjects*, as the bytes that are signed."""
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [each.descriptor() for each in subjects],
        "predicateType": PREDICATE_TYPE,
        "predicate": provenance.predicate(),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def signed_bytes(payload: bytes) -> bytes:
    """Return what DSSE signs: the payload with its type, each with its length before it."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def envelope(payload: bytes, key_id: str, signature: bytes) -> dict[str, Any]:
    """Return the envelope."""
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
    }
