"""Policies and quarantines: the statements over their tables."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from intramural.domain.lineage import ObjectKind, Quarantine
from intramural.domain.policy import StoredPolicy
from intramural.domain.value import Digest, ProjectId, digest_of
from intramural.store.policy_tables import POLICIES, QUARANTINES


class Policies:
    """Policies by digest; the newest that was set is the present one."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute

    def add(self, project: ProjectId, policy: StoredPolicy, *, is_set: bool) -> None:
        """Add *policy*; a set one becomes the present one."""
        row = {"project": project, "digest": policy.digest, "is_set": int(is_set), "document": policy.document()}
        self._run(insert(POLICIES).values(row))

    def present(self, project: ProjectId) -> StoredPolicy | None:
        """Return the policy that was set last."""
        query = select(POLICIES.c.document).where(POLICIES.c.project == project, POLICIES.c.is_set == 1)
        found = self._run(query.order_by(POLICIES.c.id.desc()).limit(1)).scalar()
        return StoredPolicy.model_validate(found) if found else None

    def with_digest(self, project: ProjectId, digest: Digest) -> StoredPolicy | None:
        """Return the policy of that digest; none where what is stored has another by now."""
        query = select(POLICIES.c.document).where(POLICIES.c.project == project, POLICIES.c.digest == digest)
        found = self._run(query.order_by(POLICIES.c.id.desc()).limit(1)).scalar()
        # Of the document as it stands: a later version of the platform may write the same policy with more in it.
        return StoredPolicy.model_validate(found) if found and digest_of(found["policy"]) == digest else None

    def matching(self, project: ProjectId, digest: str) -> StoredPolicy | None:
        """Return the newest policy whose digest, with or without `sha256:`, begins so."""
        begins = POLICIES.c.digest.startswith(f"sha256:{digest.removeprefix('sha256:')}", autoescape=True)
        query = select(POLICIES.c.document).where(POLICIES.c.project == project, begins)
        found = self._run(query.order_by(POLICIES.c.id.desc()).limit(1)).scalar()
        return StoredPolicy.model_validate(found) if found else None


class Quarantines:
    """What is in quarantine."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute

    def add(self, quarantine: Quarantine) -> None:
        """Add *quarantine*."""
        row = {"project": quarantine.project, "kind": quarantine.kind.value, "name": quarantine.id}
        self._run(insert(QUARANTINES).values({**row, "at": quarantine.at.timestamp(), "document": quarantine.document()}))

    def remove(self, project: ProjectId, kind: ObjectKind, name: str) -> None:
        """End the quarantine of an object."""
        where = (QUARANTINES.c.project == project, QUARANTINES.c.kind == kind.value, QUARANTINES.c.name == name)
        self._run(delete(QUARANTINES).where(*where))

    def all(self, project: ProjectId) -> list[Quarantine]:
        """Return everything in quarantine, oldest first."""
        query = select(QUARANTINES.c.document).where(QUARANTINES.c.project == project).order_by(QUARANTINES.c.id)
        return [Quarantine.model_validate(each) for each in self._run(query).scalars()]
