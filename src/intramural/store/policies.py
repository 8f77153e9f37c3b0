"""Policies, quarantines and approvals: the statements over their tables."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from intramural.domain.approval import Approval
from intramural.domain.lineage import ObjectKind, Quarantine
from intramural.domain.policy import StoredPolicy
from intramural.domain.value import Digest, JobId, ProjectId, digest_of
from intramural.store.policy_tables import APPROVALS, POLICIES, QUARANTINES


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


class Approvals:
    """What people approved, withdrawn approvals too."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute

    def add(self, approval: Approval) -> None:
        """Add *approval*; one that is there is a `Conflict`."""
        row = {"id": approval.id, "project": approval.project, "job_id": approval.job}
        self._run(insert(APPROVALS).values({**row, "added_at": approval.added_at.timestamp(), "document": approval.document()}))

    def save(self, approval: Approval) -> None:
        """Store *approval* anew: it was withdrawn."""
        self._run(update(APPROVALS).where(APPROVALS.c.id == approval.id).values(document=approval.document()))

    def remove_of_job(self, job: JobId) -> None:
        """Remove the approvals of a job that is removed; the trail keeps that there were some."""
        self._run(delete(APPROVALS).where(APPROVALS.c.job_id == job))

    def matching(self, project: ProjectId, begins: str) -> list[Approval]:
        """Return those whose id begins so, at most three."""
        where = (APPROVALS.c.project == project, APPROVALS.c.id.startswith(begins, autoescape=True))
        query = select(APPROVALS.c.document).where(*where).limit(3)
        return [Approval.model_validate(each) for each in self._run(query).scalars()]

    def of_job(self, job: JobId) -> list[Approval]:
        """Return the approvals of a job and of what it made, oldest first."""
        query = select(APPROVALS.c.document).where(APPROVALS.c.job_id == job).order_by(APPROVALS.c.added_at)
        return [Approval.model_validate(each) for each in self._run(query).scalars()]

    def all(self, project: ProjectId) -> list[Approval]:
        """Return every approval, oldest first."""
        query = select(APPROVALS.c.document).where(APPROVALS.c.project == project).order_by(APPROVALS.c.added_at)
        return [Approval.model_validate(each) for each in self._run(query).scalars()]
