"""What was removed: an object that nobody needs any more, or what killed processes left that no row names."""

from __future__ import annotations

from intramural.domain.lineage import ObjectKind
from intramural.domain.value import ArtifactId, Digest, Value


class Removed(Value):
    """One job, artifact or version that is not there any more; the trail keeps that it was."""

    kind: ObjectKind
    id: str
    digest: Digest
    size_bytes: int
    """What its files held, before they were sealed."""
    artifacts: tuple[ArtifactId, ...] = ()
    """The artifacts that went with a job."""
    keys_destroyed: int = 0
    """Keys that nothing is sealed with any more."""


class Swept(Value):
    """What a sweep removed, or would remove."""

    blobs: int
    """Sealed files and base models in the vault that no row names."""
    size_bytes: int
    """Of these."""
    keys: int
    """Own keys at the provider that were made for data that was never stored."""
    keys_left: int = 0
    """Such keys that their provider could not be asked to destroy: it is away, or another one is set now."""
    runs: int = 0
    """Directories of runs whose job was removed."""
    unfinished: tuple[str, ...] = ()
    """Data sets whose shredding was interrupted: `data shred` completes it."""

    @property
    def is_empty(self) -> bool:
        """Tell whether there was nothing to remove."""
        return not (self.blobs or self.keys or self.runs)
