"""Policies, quarantines and approvals: the statements over their tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select

from intramural.domain.approval import Approval
from intramural.domain.lineage import ObjectKind, Quarantine
from intramural.domain.policy import StoredPolicy
from intramural.domain.value import Digest, JobId, ProjectId, digest_of
from intramural.store.documents import Documents
from intramural.store.policy_tables import APPROVALS, POLICIES, QUARANTINES


class Policies(Documents[StoredPolicy]):
    """Policies by digest; the newest that was set is the present one."""

    TABLE, KIND = POLICIES, StoredPolicy

    def add(self, project: ProjectId, policy: StoredPolicy, *, is_set: bool) -> None:
        """Add *policy*; a set one becomes the present one."""
        row = {"project": project, "digest": policy.digest, "is_set": int(is_set), "document": policy.document()}
        self._insert(row)

    def present(self, project: ProjectId) -> StoredPolicy | None:
        """Return the policy that was set last."""
        query = select(POLICIES).where(POLICIES.c.project == project, POLICIES.c.is_set == 1)
        found = self._values(query.order_by(POLICIES.c.id.desc()).limit(1))
        return found[0] if found else None

    def with_digest(self, project: ProjectId, digest: Digest) -> StoredPolicy | None:
        """Return the policy of that digest; none where what is stored has another by now."""
        query = select(POLICIES).where(POLICIES.c.project == project, POLICIES.c.digest == digest)
        found = next(self._documents(query.order_by(POLICIES.c.id.desc()).limit(1)), None)
        # Of the document as it stands: a later version of the platform may write the same policy with more in it.
        return StoredPolicy.model_validate(found) if found and digest_of(found["policy"]) == digest else None

    def matching(self, project: ProjectId, digest: str) -> StoredPolicy | None:
        """Return the newest policy whose digest, with or without `sha256:`, begins so."""
        begins = POLICIES.c.digest.startswith(f"sha256:{digest.removeprefix('sha256:')}", autoescape=True)
        query = select(POLICIES).where(POLICIES.c.project == project, begins)
        found = self._values(query.order_by(POLICIES.c.id.desc()).limit(1))
        return found[0] if found else None


class Quarantines(Documents[Quarantine]):
    """What is in quarantine."""

    TABLE, KIND = QUARANTINES, Quarantine

    def add(self, quarantine: Quarantine) -> None:
        """Add *quarantine*."""
        row = {"project": quarantine.project, "kind": quarantine.kind.value, "name": quarantine.id}
        self._insert({**row, "at": quarantine.at.timestamp(), "document": quarantine.document()})

    def remove(self, project: ProjectId, kind: ObjectKind, name: str) -> None:
        """End the quarantine of an object."""
        where = (QUARANTINES.c.project == project, QUARANTINES.c.kind == kind.value, QUARANTINES.c.name == name)
        self._run(delete(QUARANTINES).where(*where))

    def all(self, project: ProjectId) -> list[Quarantine]:
        """Return everything in quarantine, oldest first."""
        return self._values(select(QUARANTINES).where(QUARANTINES.c.project == project).order_by(QUARANTINES.c.id))


class Approvals(Documents[Approval]):
    """What people approved, withdrawn approvals too."""

    TABLE, KIND = APPROVALS, Approval

    def add(self, approval: Approval) -> None:
        """Add *approval*; one that is there is a `Conflict`."""
        self._insert(self._row(approval))

    def save(self, approval: Approval) -> None:
        """Store *approval* anew: it was withdrawn."""
        self._update(self._row(approval))

    def _row(self, approval: Approval) -> dict[str, Any]:
        row = {"id": approval.id, "project": approval.project, "job_id": approval.job}
        return {**row, "added_at": approval.added_at.timestamp(), "document": approval.document()}

    def remove_of_job(self, job: JobId) -> None:
        """Remove the approvals of a job that is removed; the trail keeps that there were some."""
        self._run(delete(APPROVALS).where(APPROVALS.c.job_id == job))

    def matching(self, project: ProjectId, begins: str) -> list[Approval]:
        """Return those whose id begins so, at most three."""
        where = (APPROVALS.c.project == project, APPROVALS.c.id.startswith(begins, autoescape=True))
        return self._values(select(APPROVALS).where(*where).limit(3))

    def of_job(self, job: JobId) -> list[Approval]:
        """Return the approvals of a job and of what it made, oldest first."""
        return self._values(select(APPROVALS).where(APPROVALS.c.job_id == job).order_by(APPROVALS.c.added_at))

    def all(self, project: ProjectId) -> list[Approval]:
        """Return every approval, oldest first."""
        return self._values(select(APPROVALS).where(APPROVALS.c.project == project).order_by(APPROVALS.c.added_at))
