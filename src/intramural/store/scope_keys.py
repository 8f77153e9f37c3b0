"""Scope keys and shred certificates: the statements over their tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, insert, select, update

from intramural.domain.keys import KeyState, ScopeKeyRecord, ShredCertificate
from intramural.domain.value import ProjectId
from intramural.store.key_tables import CERTIFICATES, SCOPE_KEYS


class ScopeKeys:
    """Scope keys by id and by scope."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute

    def add(self, key: ScopeKeyRecord) -> None:
        """Add *key*."""
        row = {"id": key.id, "project": key.project, "scope": key.scope, "created_at": key.created_at.timestamp()}
        self._run(insert(SCOPE_KEYS).values({**row, "state": key.state.value, "document": key.document()}))

    def save(self, key: ScopeKeyRecord) -> None:
        """Store *key* anew."""
        where = SCOPE_KEYS.c.id == key.id
        self._run(update(SCOPE_KEYS).where(where).values(state=key.state.value, document=key.document()))

    def active(self, ids: Iterable[str]) -> set[str]:
        """Return those of *ids*, of every project, that are keys which still open something."""
        query = select(SCOPE_KEYS.c.id).where(SCOPE_KEYS.c.id.in_(list(ids)), SCOPE_KEYS.c.state == KeyState.ACTIVE.value)
        return set(self._run(query).scalars())

    def of_scopes(self, project: ProjectId, scopes: Sequence[str]) -> list[ScopeKeyRecord]:
        """Return every key of *scopes*, destroyed ones too, oldest first."""
        query = select(SCOPE_KEYS.c.document).where(SCOPE_KEYS.c.project == project, SCOPE_KEYS.c.scope.in_(scopes))
        return [ScopeKeyRecord.model_validate(each) for each in self._run(query.order_by(SCOPE_KEYS.c.created_at)).scalars()]

    def all(self, project: ProjectId, state: KeyState | None = None) -> list[ScopeKeyRecord]:
        """Return the keys of a project, or those in *state*, oldest first."""
        query = select(SCOPE_KEYS.c.document).where(SCOPE_KEYS.c.project == project)
        if state is not None:
            query = query.where(SCOPE_KEYS.c.state == state.value)
        return [ScopeKeyRecord.model_validate(each) for each in self._run(query.order_by(SCOPE_KEYS.c.created_at)).scalars()]


class Certificates:
    """Shred certificates, append only."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute

    def add(self, certificate: ShredCertificate) -> None:
        """Add *certificate*."""
        row = {"id": certificate.id, "project": certificate.project, "dataset": certificate.dataset}
        self._run(insert(CERTIFICATES).values({**row, "at": certificate.at.timestamp(), "document": certificate.document()}))

    def of_dataset(self, project: ProjectId, dataset: str) -> list[ShredCertificate]:
        """Return the certificates of a data set, oldest first."""
        query = select(CERTIFICATES.c.document).where(CERTIFICATES.c.project == project, CERTIFICATES.c.dataset == dataset)
        return [ShredCertificate.model_validate(each) for each in self._run(query.order_by(CERTIFICATES.c.at)).scalars()]
