"""One pod of Kubernetes in the words of a job record: when it was placed, how it ended, what it asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from intramural.domain.cause import Cause
from intramural.measurement.records import State

_GPU = re.compile(r"(?:nvidia\.com/gpu(?:\.shared)?|amd\.com/gpu|gpu\.intel\.com/\w+|habana\.ai/gaudi|google\.com/tpu)")
_MIG = re.compile(r"nvidia\.com/mig-(\d+)g\..+")
_MIG_SLICES = 7
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,48}")
_SYSTEM_LABELS = ("batch.kubernetes.io/", "controller-", "job-name", "pod-template", "statefulset.kubernetes.io/", "apps.kube")
_SIGNALS = 128
"""A shell reports the death by signal N as exit code 128 + N."""

REASONS: dict[str, State] = {
    "OOMKilled": State.OUT_OF_MEMORY,
    "DeadlineExceeded": State.TIME_LIMIT,
    **dict.fromkeys(("PreemptionByScheduler", "EvictionByEvictionAPI", "Preempting", "Preempted"), State.PREEMPTED),
    **dict.fromkeys(("DeletionByTaintManager", "DeletionByPodGC", "NodeLost", "NodeShutdown"), State.NODE_FAILURE),
    **dict.fromkeys(("Shutdown", "Terminated", "UnexpectedAdmissionError"), State.NODE_FAILURE),
}
"""What Kubernetes calls it, and the state it is of a job record; everything else is `failed`."""


class Owner(NamedTuple):
    """The controller that made a pod."""

    uid: str
    kind: str
    name: str


class Ending(NamedTuple):
    """How a pod, or a job, ended badly."""

    state: State
    reason: str | None
    exit_code: int | None = None
    signal: int | None = None
    cause: Cause | None = None
    """Where Kubernetes itself tells it."""


class Pod(NamedTuple):
    """What is read of one pod."""

    owner: Owner | None
    namespace: str
    created: float | None
    placed: float | None
    """When it was bound to a node: from then on it holds its GPUs."""
    ended: float | None
    phase: str
    gpus: float
    node: str | None
    restarts: int
    ending: Ending | None


def pod_of(document: dict[str, Any]) -> Pod:
    """Read one pod's document."""
    meta, spec, status = (_mapping(document.get(each)) for each in ("metadata", "spec", "status"))
    containers = _listed(status.get("containerStatuses"))
    finished = [_mapping(_mapping(each.get("state")).get("terminated")) for each in containers]
    phase = str(status.get("phase") or "Unknown")
    return Pod(
        owner=owner_of(meta),
        namespace=str(meta.get("namespace") or "default"),
        created=instant(meta.get("creationTimestamp")),
        placed=_condition_at(status, "PodScheduled") or instant(status.get("startTime")),
        ended=_ended(status, finished) if phase in {"Succeeded", "Failed"} else None,
        phase=phase,
        gpus=gpus_of(spec),
        node=spec.get("nodeName") or None,
        restarts=sum(int(each.get("restartCount") or 0) for each in containers),
        ending=_ending(status, finished) if phase == "Failed" else None,
    )


def owner_of(meta: dict[str, Any]) -> Owner | None:
    """Return the controlling owner that *meta* names, or the first owner."""
    owners = _listed(meta.get("ownerReferences"))
    found = next((each for each in owners if each.get("controller")), owners[0] if owners else None)
    return Owner(str(found.get("uid")), str(found.get("kind")), str(found.get("name"))) if found else None


def gpus_of(pod_spec: dict[str, Any]) -> float:
    """Return the GPUs that one pod asks for; a MIG slice counts as its share of a GPU."""
    asked = [_asked(each) for each in _listed(pod_spec.get("containers"))]
    before = [_asked(each) for each in _listed(pod_spec.get("initContainers"))]
    return max([sum(asked), *before])


def words_of(pod_spec: dict[str, Any]) -> str:
    """Return the images' own names and the commands of a pod, for the rules of job types alone."""
    parts = [
        str(part)
        for each in _listed(pod_spec.get("containers"))
        for part in (_image(str(each.get("image") or "")), *(each.get("command") or ()), *(each.get("args") or ()))
    ]
    return " ".join(parts)


def tags_of(meta: dict[str, Any]) -> str:
    """Return the labels that people set, as `key=value` words."""
    labels = _mapping(meta.get("labels"))
    return " ".join(f"{key}={value}" for key, value in labels.items() if not key.startswith(_SYSTEM_LABELS))


def _image(name: str) -> str:
    """Return an image's name without registry, folders and version."""
    return name.rpartition("/")[2].partition("@")[0].partition(":")[0]


def condition(status: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """Return the condition *kind* where it holds."""
    conditions = _listed(status.get("conditions"))
    return next((each for each in conditions if each.get("type") == kind and each.get("status") == "True"), None)


def reason_word(given: Any) -> str | None:
    """Return a reason only where it is one of Kubernetes' own single words."""
    return str(given) if _WORD.fullmatch(str(given or "")) else None


def instant(text: Any) -> float | None:
    """Return seconds since the epoch of an RFC 3339 time; none when there is none."""
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None


def worst(endings: Iterable[Ending | None]) -> Ending | None:
    """Return the ending that explains most: one with a state of its own before a plain failure."""
    known = [each for each in endings if each is not None]
    return next((each for each in known if each.state is not State.FAILED), known[-1] if known else None)


def _ending(status: dict[str, Any], finished: list[dict[str, Any]]) -> Ending:
    bad = next((each for each in finished if each.get("reason") == "OOMKilled"), None)
    bad = bad or next((each for each in finished if each.get("exitCode")), {})
    disruption = condition(status, "DisruptionTarget") or {}
    told = [reason_word(each) for each in (disruption.get("reason"), status.get("reason"), bad.get("reason"))]
    code = bad.get("exitCode")
    signal = bad.get("signal") or (code - _SIGNALS if isinstance(code, int) and code > _SIGNALS else None)
    if status.get("reason") == "Evicted":
        return _evicted(str(status.get("message") or ""), code, signal)
    for reason in told:
        if reason in REASONS:
            return Ending(REASONS[reason], reason, code, signal, Cause.HOST_MEMORY if reason == "OOMKilled" else None)
    return Ending(State.FAILED, next((each for each in told if each), None), code, signal)


def _evicted(message: str, code: int | None, signal: int | None) -> Ending:
    """Tell what the node ran short of; the message itself is not kept."""
    if "memory" in message:
        return Ending(State.OUT_OF_MEMORY, "Evicted: memory", code, signal, Cause.HOST_MEMORY)
    if "storage" in message or "inodes" in message:
        return Ending(State.FAILED, "Evicted: ephemeral-storage", code, signal, Cause.DISK_FULL)
    return Ending(State.PREEMPTED, "Evicted", code, signal)


def _ended(status: dict[str, Any], finished: list[dict[str, Any]]) -> float | None:
    ends = [end for each in finished if (end := instant(each.get("finishedAt"))) is not None]
    return max(ends, default=None) or _condition_at(status, "DisruptionTarget")


def _condition_at(status: dict[str, Any], kind: str) -> float | None:
    found = condition(status, kind)
    return instant(found.get("lastTransitionTime")) if found else None


def _asked(container: dict[str, Any]) -> float:
    resources = _mapping(container.get("resources"))
    asked = {**_mapping(resources.get("requests")), **_mapping(resources.get("limits"))}
    return sum(_share(name) * _number(number) for name, number in asked.items())


def _share(resource: str) -> float:
    """Return how much of a GPU one unit of *resource* is; 0 for what is no GPU."""
    mig = _MIG.fullmatch(resource)
    return int(mig.group(1)) / _MIG_SLICES if mig else float(bool(_GPU.fullmatch(resource)))


def _number(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        return 0.0  # `100m` of a processor, `2Gi` of memory: no GPU is written so


def _mapping(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}


def _listed(given: Any) -> list[dict[str, Any]]:
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
