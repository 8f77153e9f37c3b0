"""Lineage: what an object was made of, and everything that was made of it."""

from __future__ import annotations

from collections.abc import Iterator

from intramural.domain.artifact import Artifact, ArtifactKind
from intramural.domain.dataset import DatasetVersion
from intramural.domain.job import Job, JobState, Run
from intramural.domain.label import Label
from intramural.domain.lineage import Graph, LineageObject, LineageTree, ObjectKind, Quarantine
from intramural.domain.model import BaseModelVersion
from intramural.errors import InvalidInput, NotFound
from intramural.service.context import Context
from intramural.store import Reading

FORMS = ", ".join(f"{each}:…" for each in (ObjectKind.MODEL, ObjectKind.DATA, ObjectKind.JOB, ObjectKind.ARTIFACT))


def show_lineage(ctx: Context, ref: str) -> LineageTree:
    """Return what *ref* was made of and what was made of it. Raises `NotFound`, `InvalidInput`."""
    with ctx.read() as tx:
        return graph_of(ctx, tx).tree(find_object(ctx, tx, ref))


def find_object(ctx: Context, tx: Reading, ref: str) -> str:
    """
    Return the key of a model, a data set, a job, a run or an artifact, as `show` commands take them.

    `KIND:NAME` says which is meant where several have the name. Raises `NotFound`, `InvalidInput`.
    """
    kind, _, name = ref.partition(":")
    if kind in set(ObjectKind) and name:
        found = [each for each in _candidates(ctx, tx, name) if each.startswith(f"{kind}:")]
    else:
        found = list(_candidates(ctx, tx, ref))
    if not found:
        raise NotFound(f"There is no model, data set, job or artifact {ref}.", hint=f"Write its name or id, or one of {FORMS}.")
    if len(found) > 1:
        raise InvalidInput(f"{ref} is the name of several: {', '.join(found)}.", hint="Write one of these.")
    return found[0]


def _candidates(ctx: Context, tx: Reading, name: str) -> Iterator[str]:
    if not name:
        return
    if tx.models.find(ctx.project, name) is not None:
        yield f"{ObjectKind.MODEL}:{name}"
    base, at, number = name.partition("@")
    if not at or (number.isascii() and number.isdigit() and len(number) < 10):
        data = tx.datasets.find(ctx.project, base, int(number) if at else None)
        if data is not None:
            yield f"{ObjectKind.DATA}:{data.label}"
    yield from (f"{ObjectKind.JOB}:{each.id}" for each in tx.jobs.matching(ctx.project, name))
    yield from {f"{ObjectKind.ARTIFACT}:{each.id}": None for each in tx.artifacts.matching(ctx.project, name)}
    run = tx.runs.find(name)  # type: ignore[arg-type]  # a run's id is text, and what was typed may be one
    if run is not None and tx.jobs.get(run.job_id).project == ctx.project:
        yield f"{ObjectKind.RUN}:{run.id}"


def graph_of(ctx: Context, tx: Reading) -> Graph:
    """Return everything of the project and what came from what."""
    graph = Graph()
    held = tx.quarantines.all(ctx.project)
    models, versions = tx.models.all(ctx.project), {each.label: each for each in tx.datasets.all(ctx.project)}
    for model in models:
        graph.add(_model(model, held))
    for data in versions.values():
        parents = (f"{ObjectKind.DATA}:{data.parent}",) if data.parent in versions else ()
        graph.add(_data(data, held), parents)
    artifacts: dict[str, list[Artifact]] = {}
    for artifact in tx.artifacts.all(ctx.project):
        artifacts.setdefault(artifact.run_id, []).append(artifact)
    for job in tx.jobs.in_states(JobState):
        if job.project == ctx.project:
            _add_job(graph, job, models, versions.get(job.dataset_label), held)
            _add_runs(graph, job, tx.runs.of_job(job.id), artifacts, held)
    return graph


def _add_job(
    graph: Graph, job: Job, models: list[BaseModelVersion], data: DatasetVersion | None, held: list[Quarantine]
) -> None:
    names = [each.name for each in models if each.digest == job.base_digest]
    base = job.spec.base if job.spec.base in names or not names else names[0]
    base_key = f"{ObjectKind.MODEL}:{base}"
    if not names:
        # Removed, or its name belongs to another model by now: what the job had is known by digest alone.
        gone = LineageObject(
            kind=ObjectKind.MODEL, id=job.base_digest, title=f"base model {base}, removed", digest=job.base_digest
        )
        graph.add(gone) if gone.key not in graph.objects else None
        base_key = gone.key
    label = job.label or (_label(data) if data else None)
    found = LineageObject(
        kind=ObjectKind.JOB,
        id=job.id,
        title=f"job {job.spec.name}, {job.state}",
        digest=job.spec_digest,
        label=label,
        quarantined=_is_held(held, ObjectKind.JOB, job.id),
    )
    graph.add(found, (base_key, f"{ObjectKind.DATA}:{job.dataset_label}"))


def _add_runs(graph: Graph, job: Job, runs: list[Run], artifacts: dict[str, list[Artifact]], held: list[Quarantine]) -> None:
    """Add a job's attempts: the first is made of the job, a later one of the checkpoint it went on from."""
    label = graph.objects[f"{ObjectKind.JOB}:{job.id}"].label
    source, step = f"{ObjectKind.JOB}:{job.id}", 0
    for run in runs:
        title = f"attempt {run.attempt}, {run.outcome or 'under way'}"
        found = LineageObject(kind=ObjectKind.RUN, id=run.id, title=title, label=label)
        graph.add(found, (source,))
        if run.checkpoint_step > step:
            step = run.checkpoint_step
            checkpoint = LineageObject(
                kind=ObjectKind.CHECKPOINT, id=f"{run.id}/step-{step}", title=f"checkpoint of step {step}", label=label
            )
            graph.add(checkpoint, (found.key,))
            source = checkpoint.key
        left = artifacts.get(run.id, [])
        adapter = next((each for each in left if each.kind is ArtifactKind.ADAPTER), None)
        for each in sorted(left, key=lambda one: one.kind is not ArtifactKind.ADAPTER):
            merged_from = adapter if each.kind is ArtifactKind.MERGED_MODEL else None
            parent = f"{ObjectKind.ARTIFACT}:{merged_from.id}" if merged_from else found.key
            graph.add(_artifact(each, label, held), (parent,))


def _model(model: BaseModelVersion, held: list[Quarantine]) -> LineageObject:
    return LineageObject(
        kind=ObjectKind.MODEL,
        id=model.name,
        title=f"base model from {model.source}",
        digest=model.digest,
        quarantined=_is_held(held, ObjectKind.MODEL, model.name, model.digest),
    )


def _data(data: DatasetVersion, held: list[Quarantine]) -> LineageObject:
    return LineageObject(
        kind=ObjectKind.DATA,
        id=data.label,
        title=f"{data.train_examples} training and {data.holdout_examples} hold-out examples",
        digest=data.digest,
        label=_label(data),
        quarantined=_is_held(held, ObjectKind.DATA, data.label, data.digest),
        shredded=data.shredded_at is not None,
    )


def _artifact(artifact: Artifact, label: Label | None, held: list[Quarantine]) -> LineageObject:
    return LineageObject(
        kind=ObjectKind.ARTIFACT,
        id=artifact.id,
        title=f"{artifact.kind.replace('_', ' ')} of {artifact.job_name}",
        digest=artifact.digest,
        label=artifact.label or label,
        quarantined=_is_held(held, ObjectKind.ARTIFACT, artifact.id, artifact.digest),
    )


def _label(data: DatasetVersion) -> Label:
    return Label(classification=data.classification, kinds=data.regulated)


def _is_held(held: list[Quarantine], kind: ObjectKind, name: str, digest: str | None = None) -> bool:
    return any(each.covers(kind, name, digest) for each in held)
