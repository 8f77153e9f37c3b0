"""One repository per noun: the statements over its table, documents in and values out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from intramural.domain.artifact import Artifact
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import Job, JobState, Run
from intramural.domain.model import BaseModelVersion
from intramural.domain.value import Digest, JobId, ProjectId, RunId
from intramural.errors import NotFound
from intramural.store.documents import Documents
from intramural.store.tables import ARTIFACTS, DATASETS, EVENTS, JOBS, MODELS, RUNS

RESTORED = "Was the database restored from an older backup?"


class Models(Documents[BaseModelVersion]):
    """Base models by project and name."""

    TABLE, KIND = MODELS, BaseModelVersion

    def add(self, project: ProjectId, model: BaseModelVersion) -> None:
        """Add *model*; a name that exists is a `Conflict`."""
        row = {"project": project, "name": model.name, "added_at": model.added_at.timestamp(), "document": model.document()}
        self._insert(row)

    def find(self, project: ProjectId, name: str) -> BaseModelVersion | None:
        """Return the model of that name."""
        found = self._values(select(MODELS).where(MODELS.c.project == project, MODELS.c.name == name))
        return found[0] if found else None

    def all(self, project: ProjectId) -> list[BaseModelVersion]:
        """Return every model, oldest first."""
        return self._values(select(MODELS).where(MODELS.c.project == project).order_by(MODELS.c.added_at))

    def digests(self) -> set[Digest]:
        """Return the folder of every model of every project."""
        return {document["digest"] for document in self._documents(select(MODELS))}

    def remove(self, project: ProjectId, name: str) -> None:
        """Remove the model of that name."""
        self._run(delete(MODELS).where(MODELS.c.project == project, MODELS.c.name == name))


class Datasets(Documents[DatasetVersion]):
    """Dataset versions by project, name and number."""

    TABLE, KIND = DATASETS, DatasetVersion

    def add(self, project: ProjectId, dataset: DatasetVersion) -> None:
        """Add *dataset*."""
        self._insert(self._row(project, dataset))

    def replace(self, project: ProjectId, dataset: DatasetVersion) -> None:
        """Store *dataset* anew: its token statistics change, where it is sealed, and whether it was shredded."""
        self._update(self._row(project, dataset))

    def _row(self, project: ProjectId, dataset: DatasetVersion) -> dict[str, Any]:
        return {
            "project": project,
            "name": dataset.name,
            "version": dataset.version,
            "digest": dataset.digest,
            "added_at": dataset.added_at.timestamp(),
            "document": dataset.document(),
        }

    def find(self, project: ProjectId, name: str, version: int | None = None) -> DatasetVersion | None:
        """Return that version, or the newest."""
        query = select(DATASETS).where(DATASETS.c.project == project, DATASETS.c.name == name)
        if version is not None:
            query = query.where(DATASETS.c.version == version)
        found = self._values(query.order_by(DATASETS.c.version.desc()).limit(1))
        return found[0] if found else None

    def digests(self, *, shredded: bool = True) -> set[Digest]:
        """Return the sealed files of every version of every project; those of *shredded* ones on request only."""
        documents = [each for each in self._documents(select(DATASETS)) if shredded or not each.get("shredded_at")]
        sides = ("train_digest", "holdout_digest", "train_sealed", "holdout_sealed", "index_sealed")
        return {document[side] for document in documents for side in sides if document.get(side)}

    def with_digest(self, project: ProjectId, name: str, digest: str) -> DatasetVersion | None:
        """Return the version of *name* with that digest, unless it was shredded."""
        where = (DATASETS.c.project == project, DATASETS.c.name == name, DATASETS.c.digest == digest)
        return next((each for each in self._values(select(DATASETS).where(*where)) if each.shredded_at is None), None)

    def remove(self, project: ProjectId, dataset: DatasetVersion) -> None:
        """Remove one version."""
        where = (DATASETS.c.project == project, DATASETS.c.name == dataset.name, DATASETS.c.version == dataset.version)
        self._run(delete(DATASETS).where(*where))

    def all(self, project: ProjectId) -> list[DatasetVersion]:
        """Return every version, by name and number."""
        query = select(DATASETS).where(DATASETS.c.project == project).order_by(DATASETS.c.name, DATASETS.c.version)
        return self._values(query)


class Jobs(Documents[Job]):
    """Jobs by id."""

    TABLE, KIND = JOBS, Job

    def add(self, job: Job) -> None:
        """Add *job*."""
        self._insert(self._row(job))

    def save(self, job: Job) -> None:
        """Store *job* anew."""
        self._update(self._row(job))

    def _row(self, job: Job) -> dict[str, Any]:
        row = {"id": job.id, "project": job.project, "name": job.spec.name, "submitted_at": job.submitted_at.timestamp()}
        return {**row, "state": job.state.value, "document": job.document()}

    def remove(self, job_id: JobId) -> None:
        """Remove the job of that id with its runs and their events."""
        runs = select(RUNS.c.id).where(RUNS.c.job_id == job_id)
        self._run(delete(EVENTS).where(EVENTS.c.run_id.in_(runs)))
        self._run(delete(RUNS).where(RUNS.c.job_id == job_id))
        self._run(delete(JOBS).where(JOBS.c.id == job_id))

    def get(self, job_id: JobId) -> Job:
        """Return the job of that id. Raises `NotFound`."""
        found = self._values(select(JOBS).where(JOBS.c.id == job_id))
        if not found:
            raise NotFound(f"The store knows no job {job_id}.", hint=RESTORED)
        return found[0]

    def matching(self, project: ProjectId, ref: str) -> list[Job]:
        """Return the job of that id, else the newest of that name, else up to three whose ids begin so."""
        mine = select(JOBS).where(JOBS.c.project == project)
        ways = (
            mine.where(JOBS.c.id == ref),
            mine.where(JOBS.c.name == ref).order_by(JOBS.c.submitted_at.desc(), JOBS.c.id.desc()).limit(1),
            mine.where(JOBS.c.id.startswith(ref, autoescape=True)).limit(3),
        )
        return next((found for each in ways if (found := self._values(each))), [])

    def all(self, project: ProjectId, limit: int = 1000) -> list[Job]:
        """Return jobs, newest first."""
        query = select(JOBS).where(JOBS.c.project == project)
        return self._values(query.order_by(JOBS.c.submitted_at.desc(), JOBS.c.id.desc()).limit(limit))

    def in_states(self, states: Iterable[JobState]) -> list[Job]:
        """Return the jobs of every project in *states*, oldest first."""
        wanted = [each.value for each in states]
        return self._values(select(JOBS).where(JOBS.c.state.in_(wanted)).order_by(JOBS.c.submitted_at, JOBS.c.id))


class Runs(Documents[Run]):
    """Runs by id."""

    TABLE, KIND = RUNS, Run

    def add(self, run: Run) -> None:
        """Add *run*."""
        self._insert(self._row(run))

    def save(self, run: Run) -> None:
        """Store *run* anew."""
        self._update(self._row(run))

    def _row(self, run: Run) -> dict[str, Any]:
        row = {"id": run.id, "job_id": run.job_id, "attempt": run.attempt, "ended": int(run.ended_at is not None)}
        return {**row, "document": run.document()}

    def get(self, run_id: RunId) -> Run:
        """Return the run of that id. Raises `NotFound`."""
        found = self.find(run_id)
        if found is None:
            raise NotFound(f"The store knows no run {run_id}.", hint=RESTORED)
        return found

    def find(self, run_id: RunId) -> Run | None:
        """Return the run of that id, or None."""
        found = self._values(select(RUNS).where(RUNS.c.id == run_id))
        return found[0] if found else None

    def of_job(self, job_id: JobId) -> list[Run]:
        """Return a job's runs, first attempt first."""
        return self._values(select(RUNS).where(RUNS.c.job_id == job_id).order_by(RUNS.c.attempt))

    def open(self) -> list[Run]:
        """Return every run that has not ended."""
        return self._values(select(RUNS).where(RUNS.c.ended == 0))


class Events:
    """Events of runs, in order. Their rows carry no tag: there are too many, and nothing is decided by them."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute

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


class Artifacts(Documents[Artifact]):
    """Artifacts by id."""

    TABLE, KIND = ARTIFACTS, Artifact

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
        self._insert(row)

    def remove(self, artifact: Artifact) -> None:
        """Remove *artifact*."""
        self._run(delete(ARTIFACTS).where(ARTIFACTS.c.id == artifact.id))

    def matching(self, project: ProjectId, ref: str) -> list[Artifact]:
        """Return up to three artifacts whose id or digest, with or without `sha256:`, begins with *ref*, newest first."""
        begins = or_(
            ARTIFACTS.c.id.startswith(ref, autoescape=True),
            ARTIFACTS.c.digest.startswith(f"sha256:{ref.removeprefix('sha256:')}", autoescape=True),
        )
        query = select(ARTIFACTS).where(ARTIFACTS.c.project == project, begins)
        return self._values(query.order_by(ARTIFACTS.c.created_at.desc()).limit(3))

    def all(self, project: ProjectId, job_id: JobId | None = None) -> list[Artifact]:
        """Return the artifacts of a job, or all, oldest first."""
        query = select(ARTIFACTS).where(ARTIFACTS.c.project == project)
        if job_id is not None:
            query = query.where(ARTIFACTS.c.job_id == job_id)
        return self._values(query.order_by(ARTIFACTS.c.created_at, ARTIFACTS.c.kind))

    def digests(self) -> set[Digest]:
        """Return the folder of every artifact of every project."""
        return {document["digest"] for document in self._documents(select(ARTIFACTS))}
