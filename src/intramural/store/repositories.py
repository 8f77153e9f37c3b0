"""One repository per noun: the statements over its table, documents in and values out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from intramural.domain.artifact import Artifact
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import Job, JobState, Run
from intramural.domain.model import BaseModelVersion
from intramural.domain.value import Digest, JobId, ProjectId, RunId
from intramural.errors import NotFound
from intramural.store.tables import ARTIFACTS, DATASETS, EVENTS, JOBS, MODELS, RUNS

RESTORED = "Was the database restored from an older backup?"


class Repository:
    """Statements over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute


class Models(Repository):
    """Base models by project and name."""

    def add(self, project: ProjectId, model: BaseModelVersion) -> None:
        """Add *model*; a name that exists is a `Conflict`."""
        row = {"project": project, "name": model.name, "added_at": model.added_at.timestamp(), "document": model.document()}
        self._run(insert(MODELS).values(row))

    def find(self, project: ProjectId, name: str) -> BaseModelVersion | None:
        """Return the model of that name."""
        found = self._run(select(MODELS.c.document).where(MODELS.c.project == project, MODELS.c.name == name)).scalar()
        return BaseModelVersion.model_validate(found) if found else None

    def all(self, project: ProjectId) -> list[BaseModelVersion]:
        """Return every model, oldest first."""
        rows = self._run(select(MODELS.c.document).where(MODELS.c.project == project).order_by(MODELS.c.added_at)).scalars()
        return [BaseModelVersion.model_validate(each) for each in rows]

    def digests(self) -> set[Digest]:
        """Return the folder of every model of every project."""
        return {document["digest"] for document in self._run(select(MODELS.c.document)).scalars()}

    def remove(self, project: ProjectId, name: str) -> None:
        """Remove the model of that name."""
        self._run(delete(MODELS).where(MODELS.c.project == project, MODELS.c.name == name))


class Datasets(Repository):
    """Dataset versions by project, name and number."""

    def add(self, project: ProjectId, dataset: DatasetVersion) -> None:
        """Add *dataset*."""
        row = {
            "project": project,
            "name": dataset.name,
            "version": dataset.version,
            "digest": dataset.digest,
            "added_at": dataset.added_at.timestamp(),
            "document": dataset.document(),
        }
        self._run(insert(DATASETS).values(row))

    def replace(self, project: ProjectId, dataset: DatasetVersion) -> None:
        """Store *dataset* anew: its token statistics change, where it is sealed, and whether it was shredded."""
        where = (DATASETS.c.project == project, DATASETS.c.name == dataset.name, DATASETS.c.version == dataset.version)
        self._run(update(DATASETS).where(*where).values(document=dataset.document()))

    def find(self, project: ProjectId, name: str, version: int | None = None) -> DatasetVersion | None:
        """Return that version, or the newest."""
        query = select(DATASETS.c.document).where(DATASETS.c.project == project, DATASETS.c.name == name)
        if version is not None:
            query = query.where(DATASETS.c.version == version)
        found = self._run(query.order_by(DATASETS.c.version.desc()).limit(1)).scalar()
        return DatasetVersion.model_validate(found) if found else None

    def digests(self, *, shredded: bool = True) -> set[Digest]:
        """Return the sealed files of every version of every project; those of *shredded* ones on request only."""
        every = self._run(select(DATASETS.c.document)).scalars()
        documents = [each for each in every if shredded or not each.get("shredded_at")]
        sides = ("train_digest", "holdout_digest", "train_sealed", "holdout_sealed", "index_sealed")
        return {document[side] for document in documents for side in sides if document.get(side)}

    def with_digest(self, project: ProjectId, name: str, digest: str) -> DatasetVersion | None:
        """Return the version of *name* with that digest, unless it was shredded."""
        where = (DATASETS.c.project == project, DATASETS.c.name == name, DATASETS.c.digest == digest)
        found = [DatasetVersion.model_validate(each) for each in self._run(select(DATASETS.c.document).where(*where)).scalars()]
        return next((each for each in found if each.shredded_at is None), None)

    def remove(self, project: ProjectId, dataset: DatasetVersion) -> None:
        """Remove one version."""
        where = (DATASETS.c.project == project, DATASETS.c.name == dataset.name, DATASETS.c.version == dataset.version)
        self._run(delete(DATASETS).where(*where))

    def all(self, project: ProjectId) -> list[DatasetVersion]:
        """Return every version, by name and number."""
        query = select(DATASETS.c.document).where(DATASETS.c.project == project).order_by(DATASETS.c.name, DATASETS.c.version)
        return [DatasetVersion.model_validate(each) for each in self._run(query).scalars()]


class Jobs(Repository):
    """Jobs by id."""

    def add(self, job: Job) -> None:
        """Add *job*."""
        row = {"id": job.id, "project": job.project, "name": job.spec.name, "submitted_at": job.submitted_at.timestamp()}
        self._run(insert(JOBS).values({**row, "state": job.state.value, "document": job.document()}))

    def save(self, job: Job) -> None:
        """Store *job* anew."""
        self._run(update(JOBS).where(JOBS.c.id == job.id).values(state=job.state.value, document=job.document()))

    def remove(self, job_id: JobId) -> None:
        """Remove the job of that id with its runs and their events."""
        runs = select(RUNS.c.id).where(RUNS.c.job_id == job_id)
        self._run(delete(EVENTS).where(EVENTS.c.run_id.in_(runs)))
        self._run(delete(RUNS).where(RUNS.c.job_id == job_id))
        self._run(delete(JOBS).where(JOBS.c.id == job_id))

    def get(self, job_id: JobId) -> Job:
        """Return the job of that id. Raises `NotFound`."""
        found = self._run(select(JOBS.c.document).where(JOBS.c.id == job_id)).scalar()
        if found is None:
            raise NotFound(f"The store knows no job {job_id}.", hint=RESTORED)
        return Job.model_validate(found)

    def matching(self, project: ProjectId, ref: str) -> list[Job]:
        """Return the job of that id, else the newest of that name, else up to three whose ids begin so."""
        mine = select(JOBS.c.document).where(JOBS.c.project == project)
        ways = (
            mine.where(JOBS.c.id == ref),
            mine.where(JOBS.c.name == ref).order_by(JOBS.c.submitted_at.desc(), JOBS.c.id.desc()).limit(1),
            mine.where(JOBS.c.id.startswith(ref, autoescape=True)).limit(3),
        )
        found = (self._run(each).scalars().all() for each in ways)
        return [Job.model_validate(each) for each in next((rows for rows in found if rows), [])]

    def all(self, project: ProjectId, limit: int = 1000) -> list[Job]:
        """Return jobs, newest first."""
        query = select(JOBS.c.document).where(JOBS.c.project == project)
        query = query.order_by(JOBS.c.submitted_at.desc(), JOBS.c.id.desc()).limit(limit)
        return [Job.model_validate(each) for each in self._run(query).scalars()]

    def in_states(self, states: Iterable[JobState]) -> list[Job]:
        """Return the jobs of every project in *states*, oldest first."""
        wanted = [each.value for each in states]
        rows = self._run(
            select(JOBS.c.document).where(JOBS.c.state.in_(wanted)).order_by(JOBS.c.submitted_at, JOBS.c.id)
        ).scalars()
        return [Job.model_validate(each) for each in rows]


class Runs(Repository):
    """Runs by id."""

    def add(self, run: Run) -> None:
        """Add *run*."""
        row = {"id": run.id, "job_id": run.job_id, "attempt": run.attempt, "ended": int(run.ended_at is not None)}
        self._run(insert(RUNS).values({**row, "document": run.document()}))

    def save(self, run: Run) -> None:
        """Store *run* anew."""
        self._run(update(RUNS).where(RUNS.c.id == run.id).values(ended=int(run.ended_at is not None), document=run.document()))

    def get(self, run_id: RunId) -> Run:
        """Return the run of that id. Raises `NotFound`."""
        found = self.find(run_id)
        if found is None:
            raise NotFound(f"The store knows no run {run_id}.", hint=RESTORED)
        return found

    def find(self, run_id: RunId) -> Run | None:
        """Return the run of that id, or None."""
        found = self._run(select(RUNS.c.document).where(RUNS.c.id == run_id)).scalar()
        return Run.model_validate(found) if found else None

    def of_job(self, job_id: JobId) -> list[Run]:
        """Return a job's runs, first attempt first."""
        rows = self._run(select(RUNS.c.document).where(RUNS.c.job_id == job_id).order_by(RUNS.c.attempt)).scalars()
        return [Run.model_validate(each) for each in rows]

    def open(self) -> list[Run]:
        """Return every run that has not ended."""
        return [Run.model_validate(each) for each in self._run(select(RUNS.c.document).where(RUNS.c.ended == 0)).scalars()]


class Events(Repository):
    """Events of runs, in order."""

    def append(self, run_id: RunId, first_seq: int, events: Sequence[dict[str, Any]]) -> None:
        """Append *events*, numbered from *first_seq*; those that are there already are left as they are."""
        rows = [{"run_id": run_id, "seq": first_seq + n, "type": body["type"], "body": body} for n, body in enumerate(events)]
        if rows:
            self._run(insert_or(EVENTS).on_conflict_do_nothing(index_elements=["run_id", "seq"]), rows)

    def last_seq(self, run_id: RunId) -> int:
        """Return the number of the newest event, 0 for none."""
        return int(self._run(select(func.coalesce(func.max(EVENTS.c.seq), 0)).where(EVENTS.c.run_id == run_id)).scalar_one())

    def of_runs(
        self, run_ids: Sequence[RunId], *, after: int = 0, limit: int | None = None, types: Sequence[str] | None = None
    ) -> list[tuple[int, RunId, dict[str, Any]]]:
        """Return (place, run, event) in the order in which they came, from *after* on."""
        query = select(EVENTS.c.id, EVENTS.c.run_id, EVENTS.c.body).where(EVENTS.c.run_id.in_(run_ids), EVENTS.c.id > after)
        if types is not None:
            query = query.where(EVENTS.c.type.in_(types))
        rows = self._run(query.order_by(EVENTS.c.id).limit(limit))
        return [(row.id, row.run_id, row.body) for row in rows]

    def newest(self, run_id: RunId, types: Sequence[str]) -> dict[str, Any] | None:
        """Return the newest event of one of *types*."""
        query = select(EVENTS.c.body).where(EVENTS.c.run_id == run_id, EVENTS.c.type.in_(types))
        found: dict[str, Any] | None = self._run(query.order_by(EVENTS.c.seq.desc()).limit(1)).scalar()
        return found


class Artifacts(Repository):
    """Artifacts by id."""

    def add(self, project: ProjectId, artifact: Artifact) -> None:
        """Add *artifact*; a run has at most one of a kind."""
        row = {
            "id": artifact.id,
            "project": project,
            "job_id": artifact.job_id,
            "run_id": artifact.run_id,
            "kind": artifact.kind.value,
            "digest": artifact.digest,
            "created_at": artifact.created_at.timestamp(),
            "document": artifact.document(),
        }
        self._run(insert(ARTIFACTS).values(row))

    def remove(self, artifact: Artifact) -> None:
        """Remove *artifact*."""
        self._run(delete(ARTIFACTS).where(ARTIFACTS.c.id == artifact.id))

    def matching(self, project: ProjectId, ref: str) -> list[Artifact]:
        """Return up to three artifacts whose id or digest, with or without `sha256:`, begins with *ref*, newest first."""
        begins = or_(
            ARTIFACTS.c.id.startswith(ref, autoescape=True),
            ARTIFACTS.c.digest.startswith(f"sha256:{ref.removeprefix('sha256:')}", autoescape=True),
        )
        query = (
            select(ARTIFACTS.c.document).where(ARTIFACTS.c.project == project, begins).order_by(ARTIFACTS.c.created_at.desc())
        )
        return [Artifact.model_validate(each) for each in self._run(query.limit(3)).scalars()]

    def all(self, project: ProjectId, job_id: JobId | None = None) -> list[Artifact]:
        """Return the artifacts of a job, or all, oldest first."""
        query = select(ARTIFACTS.c.document).where(ARTIFACTS.c.project == project)
        if job_id is not None:
            query = query.where(ARTIFACTS.c.job_id == job_id)
        rows = self._run(query.order_by(ARTIFACTS.c.created_at, ARTIFACTS.c.kind)).scalars()
        return [Artifact.model_validate(each) for each in rows]

    def digests(self) -> set[Digest]:
        """Return the folder of every artifact of every project."""
        return set(self._run(select(ARTIFACTS.c.digest).distinct()).scalars())
