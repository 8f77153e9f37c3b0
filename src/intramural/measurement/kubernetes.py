"""
Jobs and pods of Kubernetes, `kubectl get jobs,pods -A -o json`, as job records.

A Job is one record: its pods, joined by owner reference, tell when it was placed, on which nodes,
and how it ended. Pods of another controller (a PyTorchJob, a RayCluster) are one record per owner,
a pod of its own is one record. Pods of daemon sets and of the node itself are no jobs; pods of a
deployment count where they hold a GPU. Time in the queue ends when the first pod is bound to a node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from intramural.measurement.kubernetes_pods import (
    Ending,
    Owner,
    Pod,
    condition,
    gpus_of,
    instant,
    owner_of,
    pod_of,
    reason_word,
    tags_of,
    words_of,
    worst,
)
from intramural.measurement.kubernetes_table import COMMAND, table_rows
from intramural.measurement.reading import Row, from_rows, read_json, wrong_source
from intramural.measurement.records import Source, State

KIND = "kubernetes"
_NO_JOBS = frozenset({"DaemonSet", "Node", "CronJob"})
_SERVERS = frozenset({"ReplicaSet", "StatefulSet"})
_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def read(path: Path) -> Source:
    """Return the jobs of a JSON list. Raises `InvalidInput` when it is none."""
    items = _items(read_json(path), path)
    rows, notices = rows_of(items)
    empty = f"Of its {len(items)} objects none is a job or a job's pod. Export with: {COMMAND}"
    return from_rows(KIND, rows, name=path.name, empty=empty, notices=notices)


def read_table(path: Path) -> Source:
    """Return the jobs of a table that kubectl printed. Raises `InvalidInput` when it is none."""
    rows, notices, skipped = table_rows(path)
    empty = f"Better than a table: {COMMAND}"
    return from_rows(KIND, rows, name=path.name, empty=empty, notices=notices, skipped_rows=skipped)


def rows_of(items: list[dict[str, Any]]) -> tuple[list[Row], list[str]]:
    """Return one record per job of *items*, and what the reader of the figures must know."""
    jobs = [each for each in items if each.get("kind") == "Job"]
    by_owner: dict[str, list[tuple[Pod, dict[str, Any]]]] = {}
    alone: list[tuple[Pod, dict[str, Any]]] = []
    left_out: Counter[str] = Counter()
    for document in (each for each in items if each.get("kind") == "Pod"):
        pod = pod_of(document)
        if pod.owner is None:
            alone.append((pod, document))
        elif pod.owner.kind in _NO_JOBS or (pod.owner.kind in _SERVERS and not pod.gpus):
            left_out[pod.owner.kind] += 1
        else:
            by_owner.setdefault(pod.owner.uid, []).append((pod, document))
    joined = [(each, [pod for pod, _ in by_owner.pop(_uid(each), [])]) for each in jobs]
    rows = [_job(document, pods) for document, pods in joined]
    bare = sum(1 for row, (_, pods) in zip(rows, joined, strict=True) if not pods and row["started"] is not None)
    rows += [_group(pods) for pods in by_owner.values()]
    rows += [_group([each]) for each in alone]
    owners = Counter(pods[0][0].owner.kind for pods in by_owner.values() if pods[0][0].owner)
    notices = list(_notices(bare, owners, left_out))
    if rows and not jobs:
        notices.append("The source holds pods and no Job objects: time before a pod was created does not count as queue time.")
    return rows, notices


def _items(document: Any, path: Path) -> list[dict[str, Any]]:
    """Return the objects of a List, a JobList, a PodList, or of one object."""
    if not isinstance(document, dict) or "kind" not in document:
        raise wrong_source(path, "Kubernetes", hint=f"Export with: {COMMAND}")
    kind = str(document["kind"])
    if not kind.endswith("List"):
        return [document]
    items = document.get("items")
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise wrong_source(path, "a list of Kubernetes objects", hint=f"Export with: {COMMAND}")
    one = kind.removesuffix("List")
    return [{"kind": one, **each} for each in items] if one else items


def _notices(bare: int, owners: Counter[str], left_out: Counter[str]) -> Iterator[str]:
    if bare:
        yield (
            f"{bare} Kubernetes jobs have no pods left: their queue time ends when the controller took them, "
            "and how they failed is not known."
        )
    for kind, number in sorted(owners.items()):
        if kind not in _SERVERS:
            yield f"{number} Kubernetes jobs were told from the pods of a {kind} alone."
    if left_out:
        yield f"{sum(left_out.values())} pods of {', '.join(sorted(left_out))} are no jobs and were left out."


def _job(document: dict[str, Any], pods: list[Pod]) -> Row:
    """Return the record of one Job and its pods."""
    meta, spec, status = document.get("metadata") or {}, document.get("spec") or {}, document.get("status") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    width = _width(spec)
    state, ended, ending = _job_end(spec, status, pods)
    failed = int(status.get("failed") or 0)
    final = 0 if state in {State.COMPLETED, State.RUNNING, State.PENDING} else 1
    placed = min((each.placed for each in pods if each.placed is not None), default=None)
    return {
        "job": f"{meta.get('namespace') or 'default'}/{meta.get('name')}",
        "name": str(meta.get("name") or ""),
        "command": words_of(template),
        "tags": tags_of(meta),
        "job_class": _class(meta, template),
        "submitted": instant(meta.get("creationTimestamp")),
        "started": placed if placed is not None or state is State.PENDING else instant(status.get("startTime")),
        "ended": ended,
        "state": state.value,
        "gpus": gpus_of(template) * width,
        "nodes": _nodes(pods, width),
        **_ending_columns(ending),
        "restarts": sum(each.restarts for each in pods) + max(0, failed - final),
    }


def _job_end(spec: dict[str, Any], status: dict[str, Any], pods: list[Pod]) -> tuple[State, float | None, Ending | None]:
    """Return the state of a Job, when it ended, and how its pods explain a failure."""
    complete, failed = condition(status, "Complete"), condition(status, "Failed")
    if complete:
        ended = instant(status.get("completionTime")) or instant(complete.get("lastTransitionTime"))
        return State.COMPLETED, ended, None
    if failed:
        told = instant(failed.get("lastTransitionTime"))
        if failed.get("reason") == "DeadlineExceeded":
            return State.TIME_LIMIT, told, Ending(State.TIME_LIMIT, "DeadlineExceeded")
        ending = worst(each.ending for each in pods) or Ending(State.FAILED, reason_word(failed.get("reason")))
        return ending.state, max((each.ended for each in pods if each.ended), default=told), ending
    running = any(each.phase == "Running" for each in pods) or (not pods and int(status.get("active") or 0) > 0)
    return (State.RUNNING if running and not spec.get("suspend") else State.PENDING), None, None


def _ending_columns(ending: Ending | None) -> Row:
    if ending is None:
        return {}
    return {
        "exit_code": ending.exit_code,
        "signal": ending.signal,
        "reason": ending.reason,
        "cause": ending.cause.value if ending.cause else None,
    }


def _group(members: list[tuple[Pod, dict[str, Any]]]) -> Row:
    """Return the record of pods without a Job: those of one other controller, or one pod of its own."""
    pods = [pod for pod, _ in members]
    document = members[0][1]
    meta, spec = document.get("metadata") or {}, document.get("spec") or {}
    owner = owner_of(meta)
    name = owner.name if owner else str(meta.get("name") or "")
    state = _group_state([each.phase for each in pods])
    ending = worst(each.ending for each in pods) if state is State.FAILED else None
    has_ended = state in {State.COMPLETED, State.FAILED}
    return {
        "job": f"{pods[0].namespace}/{name}",
        "name": name,
        "command": words_of(spec),
        "tags": tags_of(meta),
        "job_class": _class(meta, spec),
        "submitted": min((each.created for each in pods if each.created is not None), default=None),
        "started": min((each.placed for each in pods if each.placed is not None), default=None),
        "ended": max((each.ended for each in pods if each.ended is not None), default=None) if has_ended else None,
        "state": (ending.state if ending else state).value,
        "gpus": sum(each.gpus for each in pods),
        "nodes": _nodes(pods, len(pods)),
        **_ending_columns(ending),
        "restarts": sum(each.restarts for each in pods),
        "job_type": _type_of(owner),
    }


def _group_state(phases: list[str]) -> State:
    for phase, state in (("Running", State.RUNNING), ("Failed", State.FAILED), ("Pending", State.PENDING)):
        if phase in phases:
            return state
    return State.COMPLETED if set(phases) == {"Succeeded"} else State.UNKNOWN


def _type_of(owner: Owner | None) -> str | None:
    """Return the type where the controller alone tells it: a deployment with GPUs serves."""
    return "online" if owner and owner.kind == "ReplicaSet" else None


def _class(meta: dict[str, Any], pod_spec: dict[str, Any]) -> str:
    """Return the queue, else the priority class, else the namespace."""
    queue = (meta.get("labels") or {}).get(_QUEUE_LABEL)
    return str(queue or pod_spec.get("priorityClassName") or meta.get("namespace") or "default")


def _width(spec: dict[str, Any]) -> int:
    """Return how many pods of a Job run at the same time."""
    parallel, completions = spec.get("parallelism"), spec.get("completions")
    width = 1 if parallel is None else int(parallel)
    return min(width, int(completions)) if completions is not None else width


def _nodes(pods: list[Pod], width: int) -> float | None:
    """Return the nodes used at once; those of earlier tries do not add up."""
    if width == 1:
        return 1.0
    used = len({each.node for each in pods if each.node})
    return float(min(used, width)) if used else None


def _uid(document: dict[str, Any]) -> str:
    return str((document.get("metadata") or {}).get("uid"))
