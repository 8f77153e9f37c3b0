"""What a policy judges by: the facts about work, about data that is taken in, and about what leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from intramural.domain.dataset import DatasetVersion
from intramural.domain.findings import FindingKind, Treatment
from intramural.domain.job import Job
from intramural.domain.keys import KeyState, dataset_scope, job_scope
from intramural.domain.label import Label, strictest
from intramural.domain.lineage import ObjectKind
from intramural.domain.policy import UNLIMITED, Logged
from intramural.domain.policy_verdict import NO_KEY, UNSTATED, Facts
from intramural.domain.spec import JobSpec
from intramural.domain.value import Digest, ProjectId
from intramural.domain.views import DatasetOptions
from intramural.errors import IntramuralError
from intramural.service.context import Context
from intramural.store import Reading

T = TypeVar("T")

RECORDS: tuple[Logged, ...] = ("metrics", "run_log")
"""What the platform writes down about a run; no part of it has a place for content."""
DAY = timedelta(days=1)

Named = tuple[ObjectKind, str, Digest | None]


def facts_of_work(
    ctx: Context,
    tx: Reading,
    project: ProjectId,
    spec: JobSpec,
    base: Digest,
    data: DatasetVersion | None,
    job: Job | None = None,
) -> Facts:
    """Return what is known of a job before it is queued; with *job*, of a run of it that would start here and now."""
    concerned: list[Named] = [(ObjectKind.MODEL, spec.base, base)]
    concerned += [(ObjectKind.JOB, job.id, None)] if job else []
    facts = Facts(
        region=ctx.region or UNSTATED,
        level=_unless_it_fails(ctx.level),
        egress=(),  # no job can ask for more than the lists of the policies give it: `grant_of`
        records=RECORDS,
        suites=spec.evaluate.suites,
        spot=ctx.spot,
        quarantined=in_quarantine(tx, project, *concerned),
    )
    if data is None:
        return facts
    label = label_of(spec, data)
    frozen = job.label if job and job.label else label
    left_in = _left_in(data)
    return facts.model_copy(
        update={
            "classification": strictest(label, frozen).classification,
            "called": spec.classification or data.classification,
            "data_classification": data.classification,
            "data": data.label,
            "data_regions": (data.region,) if data.region else (),
            **_age(ctx, tx, data),
            "data_retention": data.retain_days or UNLIMITED,
            **_providers_at_work(ctx, tx, project, data, job),
            "scanned": left_in is not None,
            "left_in": left_in or {},
            "quarantined": in_quarantine(tx, project, named(data), *concerned),
        }
    )


def facts_of_intake(ctx: Context, tx: Reading, name: str, options: DatasetOptions) -> Facts:
    """Return what is known of data before it is read."""
    own = _providers(tx, ctx.project, dataset_scope(name))
    return Facts(
        classification=options.classification,
        data=name,
        data_regions=(options.region,) if options.region else (),
        region=ctx.region or UNSTATED,
        key_providers=own,
        next_key_provider=NO_KEY if own else _provider_here(ctx),
    )


def label_of(spec: JobSpec, data: DatasetVersion) -> Label:
    """Return the label of a job: the strictest of its data's and what the spec says."""
    said = Label(classification=spec.classification) if spec.classification is not None else Label()
    return strictest(Label(classification=data.classification, kinds=data.regulated), said)


def named(data: DatasetVersion) -> Named:
    """Return how a quarantine knows a dataset version."""
    return ObjectKind.DATA, data.label, data.digest


def in_quarantine(tx: Reading, project: ProjectId, *concerned: Named) -> tuple[str, ...]:
    """Return those of the objects that are in quarantine, as a person names them."""
    held = tx.quarantines.all(project)
    return tuple(f"{kind}:{name}" for kind, name, digest in concerned if any(q.covers(kind, name, digest) for q in held))


def _age(ctx: Context, tx: Reading, data: DatasetVersion) -> dict[str, Any]:
    """
    Return how old data is, by the clock or by the trail, whichever is later: a clock that is set back makes nothing younger.

    Where the clock is before the data was added, one of the two moments was wrong, and the age is below zero.
    """
    now, since = ctx.now(), data.held_since or data.added_at
    latest = max(now, datetime.fromtimestamp(0, UTC) + timedelta(microseconds=tx.audit.latest()))
    return {
        "data_age_days": ((now if now < since else latest) - since) / DAY,
        "clock_behind_days": (latest - now) / DAY,
    }


def _providers_at_work(ctx: Context, tx: Reading, project: ProjectId, data: DatasetVersion, job: Job | None) -> dict[str, Any]:
    """
    Return who wraps the keys of the data, and of what *job* left; a job without a key gets one where its run starts.

    Who held the key of data that nothing opens is not known.
    """
    own = _providers(tx, project, dataset_scope(data.name))
    left = _providers(tx, project, job_scope(job.id)) if job else ()
    return {
        "key_providers": tuple(dict.fromkeys([*own, *left])) if own else None,
        "next_key_provider": _provider_here(ctx) if job and not left else NO_KEY,
    }


def _providers(tx: Reading, project: ProjectId, scope: str) -> tuple[str, ...]:
    """Return who wraps the keys of a scope, as the keys themselves have it: a setting says only who will wrap the next."""
    active = [each for each in tx.scope_keys.of_scopes(project, [scope]) if each.state is KeyState.ACTIVE]
    return tuple(dict.fromkeys(each.wrapped.provider for each in active))


def _provider_here(ctx: Context) -> str:
    return ctx.keys.provider if ctx.keys is not None else "local"


def _left_in(data: DatasetVersion) -> dict[FindingKind, int] | None:
    """Return the findings that were kept in the rows; None where nobody looked."""
    if "findings" not in data.model_fields_set:
        return None
    return {each.kind: each.count for each in data.findings if each.treatment is Treatment.KEEP}


def _unless_it_fails(fact: Callable[[], T]) -> T | None:
    """Return a fact, or None, which is a no, where it could not be found out."""
    try:
        return fact()
    except (IntramuralError, OSError):
        return None
