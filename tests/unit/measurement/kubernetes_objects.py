"""Jobs and pods as kubectl prints them, short enough to work their figures out by hand."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def clock(minutes):
    """The time *minutes* after noon, as Kubernetes writes it."""
    return (NOON + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(minutes):
    return NOON.timestamp() + 60 * minutes


def holds(kind, minutes=0, **fields):
    return {"type": kind, "status": "True", "lastTransitionTime": clock(minutes), **fields}


def container(gpus=0, **fields):
    limits = {"cpu": "100m", "memory": "2Gi", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return {"image": "registry.corp/ml/train:7", "command": ["python", "train.py"], "resources": {"limits": limits}, **fields}


def a_k8s_job(name="sft-lora", gpus=1, conditions=(), labels=None, priority=None, status=None, **spec):
    template = {"containers": [container(gpus)], **({"priorityClassName": priority} if priority else {})}
    return {
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": "ml",
            "uid": f"uid-{name}",
            "creationTimestamp": clock(0),
            "labels": labels or {},
        },
        "spec": {"template": {"spec": template}, **spec},
        "status": {"startTime": clock(1), "conditions": list(conditions), **(status or {})},
    }


def a_pod(owner=("Job", "sft-lora"), phase="Succeeded", placed=10, ended=70, gpus=1, node="node-1", terminated=None, **status):
    """A pod placed and ended so many minutes after noon; *terminated* is how its container ended."""
    kind, name = owner or (None, "alone")
    references = [{"kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}] if owner else []
    done = {"exitCode": 0, "reason": "Completed", **(terminated or {}), "finishedAt": clock(ended)}
    state = {"terminated": done} if phase in ("Succeeded", "Failed") else {}
    return {
        "kind": "Pod",
        "metadata": {"name": f"{name}-x", "namespace": "ml", "creationTimestamp": clock(0), "ownerReferences": references},
        "spec": {"nodeName": node, "containers": [container(gpus)]},
        "status": {
            "phase": phase,
            "conditions": [holds("PodScheduled", placed), *status.pop("conditions", [])] if placed is not None else [],
            "containerStatuses": [{"restartCount": 0, "state": state}],
            **status,
        },
    }


COMPLETE = holds("Complete", 71)
FAILED = holds("Failed", 75, reason="BackoffLimitExceeded")
