"""
Scope keys as the store keeps them: wrapped by a key provider, and what became of them.

A scope is what is shredded at once: the versions of one data set (`dataset:NAME`), or
what one job left (`job:ID`). A key is active or destroyed, never again active.
"""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.value import ArtifactId, Digest, Instant, JobId, Name, ProjectId, Value
from intramural.errors import Conflict


class KeyState(StrEnum):
    """Whether a key still opens anything."""

    ACTIVE = "active"
    DESTROYED = "destroyed"


class WrappedKey(Value):
    """A scope key as its provider wrapped it; worth nothing without the provider's key."""

    provider: str
    key: str
    """The provider's name of the key that wraps."""
    version: str
    """Of the provider's key."""
    body: str
    """Base 64."""
    own: bool = False
    """The provider's key wraps this scope key alone, and is destroyed with it."""


class ScopeKeyRecord(Value):
    """One scope key: where it belongs, wrapped, and its state."""

    id: str
    project: ProjectId
    scope: str
    wrapped: WrappedKey
    """Of a destroyed key the body is empty."""
    state: KeyState = KeyState.ACTIVE
    created_at: Instant
    rewrapped_at: Instant | None = None
    destroyed_at: Instant | None = None
    probe: WrappedKey | None = None
    """
    Of a destroyed key with a provider's key of its own: random bytes that this one wrapped before. While they open, it was
    not destroyed, whatever the provider says.
    """

    def rewrapped(self, wrapped: WrappedKey, *, now: Instant) -> ScopeKeyRecord:
        """Return the key under another wrap. Raises `Conflict` for a destroyed one."""
        self._check_active()
        return self.model_copy(update={"wrapped": wrapped, "rewrapped_at": now})

    def destroyed(self, *, now: Instant, probe: WrappedKey | None = None) -> ScopeKeyRecord:
        """Return the record of the key's end; destroying it again changes nothing."""
        if self.state is KeyState.DESTROYED:
            return self
        gone = self.wrapped.model_copy(update={"body": ""})
        return self.model_copy(update={"wrapped": gone, "state": KeyState.DESTROYED, "destroyed_at": now, "probe": probe})

    def _check_active(self) -> None:
        if self.state is KeyState.DESTROYED:
            raise Conflict(f"Key {self.id} was destroyed.", hint="What it sealed cannot be opened any more.")


def dataset_scope(name: str) -> str:
    """Return the scope of every version of a data set."""
    return f"dataset:{name}"


def job_scope(job_id: JobId) -> str:
    """Return the scope of what a job's runs leave."""
    return f"job:{job_id}"


class ProviderDescription(Value):
    """A key provider as an operator knows it."""

    provider: str
    key: str
    version: str | None
    """None while there is no key yet, or the provider does not answer."""
    where: str
    """The file, address or token that holds the key."""
    available: bool
    problem: str | None = None
    """Why it is not available."""
    own_keys: bool
    """Whether a data set gets a provider key of its own, so that backups of the database do not outlive a shredding."""


class KeysStatus(Value):
    """The keys of a project: counts, never the keys."""

    provider: ProviderDescription
    active: int
    destroyed: int
    dataset_keys: int
    job_keys: int
    behind: int
    """Active keys that another version or provider than the present one wraps; `keys rotate` wraps them anew."""


class Rotation(Value):
    """What a rotation did."""

    provider: str
    version: str
    """The version that wraps now."""
    rewrapped: int
    """Scope keys that were wrapped anew; the sealed data was not touched."""


class ShreddedObject(Value):
    """One sealed object of a shredded data set, and what trying to open it gave."""

    dataset: str
    """`name@version`"""
    file: str
    """`train.jsonl` or `holdout.jsonl`"""
    digest: Digest
    """Of the plain bytes."""
    sealed_digest: Digest
    result: str
    """`does not open`, or `absent`."""


class ShredCheck(Value):
    """One thing that was tried on a key after its end, and what came of it."""

    tried: str
    result: str


class DestroyedKey(Value):
    """One key that a shredding destroyed."""

    id: str
    provider: str
    provider_key: str
    version: str
    own: bool
    provider_destroyed: bool
    """Whether the provider's own key was destroyed too."""
    checks: tuple[ShredCheck, ...] = ()
    """None in a certificate from before they were recorded."""


class ShredCertificate(Value):
    """What was shredded, when, by whom, and what that cannot reach."""

    id: str
    project: ProjectId
    dataset: Name
    at: Instant
    by: str
    keys: tuple[DestroyedKey, ...]
    objects: tuple[ShreddedObject, ...]
    trained: tuple[ArtifactId, ...]
    """Artifacts of jobs that were trained on it; they still open."""
    not_reached: tuple[str, ...]
    """In words, what a destroyed key does not take back."""
