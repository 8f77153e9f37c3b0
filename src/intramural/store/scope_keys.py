"""Scope keys and shred certificates: the statements over their tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from intramural.domain.keys import KeyState, ScopeKeyRecord, ShredCertificate
from intramural.domain.value import ProjectId
from intramural.store.documents import Documents
from intramural.store.key_tables import CERTIFICATES, SCOPE_KEYS


class ScopeKeys(Documents[ScopeKeyRecord]):
    """Scope keys by id and by scope."""

    TABLE, KIND = SCOPE_KEYS, ScopeKeyRecord

    def add(self, key: ScopeKeyRecord) -> None:
        """Add *key*."""
        self._insert(self._row(key))

    def save(self, key: ScopeKeyRecord) -> None:
        """Store *key* anew."""
        self._update(self._row(key))

    def _row(self, key: ScopeKeyRecord) -> dict[str, Any]:
        row = {"id": key.id, "project": key.project, "scope": key.scope, "created_at": key.created_at.timestamp()}
        return {**row, "state": key.state.value, "document": key.document()}

    def active(self, ids: Iterable[str]) -> set[str]:
        """Return those of *ids*, of every project, that are keys which still open something."""
        query = select(SCOPE_KEYS).where(SCOPE_KEYS.c.id.in_(list(ids)), SCOPE_KEYS.c.state == KeyState.ACTIVE.value)
        return {each["id"] for each in self._documents(query)}

    def of_scopes(self, project: ProjectId, scopes: Sequence[str]) -> list[ScopeKeyRecord]:
        """Return every key of *scopes*, destroyed ones too, oldest first."""
        query = select(SCOPE_KEYS).where(SCOPE_KEYS.c.project == project, SCOPE_KEYS.c.scope.in_(scopes))
        return self._values(query.order_by(SCOPE_KEYS.c.created_at))

    def all(self, project: ProjectId, state: KeyState | None = None) -> list[ScopeKeyRecord]:
        """Return the keys of a project, or those in *state*, oldest first."""
        query = select(SCOPE_KEYS).where(SCOPE_KEYS.c.project == project)
        if state is not None:
            query = query.where(SCOPE_KEYS.c.state == state.value)
        return self._values(query.order_by(SCOPE_KEYS.c.created_at))


class Certificates(Documents[ShredCertificate]):
    """Shred certificates, append only."""

    TABLE, KIND = CERTIFICATES, ShredCertificate

    def add(self, certificate: ShredCertificate) -> None:
        """Add *certificate*."""
        row = {"id": certificate.id, "project": certificate.project, "dataset": certificate.dataset}
        self._insert({**row, "at": certificate.at.timestamp(), "document": certificate.document()})

    def of_dataset(self, project: ProjectId, dataset: str) -> list[ShredCertificate]:
        """Return the certificates of a data set, oldest first."""
        query = select(CERTIFICATES).where(CERTIFICATES.c.project == project, CERTIFICATES.c.dataset == dataset)
        return self._values(query.order_by(CERTIFICATES.c.at))
