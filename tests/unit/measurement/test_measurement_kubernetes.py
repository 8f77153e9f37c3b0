import pytest
from kubernetes_objects import COMPLETE, FAILED, a_k8s_job, a_pod, at, holds

from intramural.measurement.kubernetes import rows_of


def only(items):
    ((row,), _) = rows_of(items)
    return row


def test_a_job_waits_until_its_first_pod_is_placed_and_runs_until_it_is_complete():
    row = only([a_k8s_job(conditions=[COMPLETE]), a_pod(placed=10, ended=70)])

    assert (row["submitted"], row["started"], row["ended"]) == (at(0), at(10), at(71))
    assert (row["job"], row["state"], row["gpus"], row["nodes"], row["restarts"]) == ("ml/sft-lora", "completed", 1, 1, 0)
    assert row["job_class"] == "ml"


def test_a_wide_job_holds_the_gpus_of_all_pods_that_run_at_once():
    pods = [a_pod(node=f"node-{n}", placed=10 + n, gpus=4) for n in range(2)]

    row = only([a_k8s_job(gpus=4, parallelism=8, completions=2, conditions=[COMPLETE]), *pods])

    assert (row["gpus"], row["nodes"], row["started"]) == (8, 2, at(10))


def test_the_nodes_of_earlier_tries_do_not_add_up():
    pods = [a_pod(phase="Failed", node="node-1", terminated={"exitCode": 1}), a_pod(node="node-2", placed=80)]

    row = only([a_k8s_job(conditions=[COMPLETE], status={"failed": 1}), *pods])

    assert (row["nodes"], row["restarts"], row["state"]) == (1, 1, "completed")


def test_the_last_failure_of_a_failed_job_is_no_restart():
    pods = [a_pod(phase="Failed", terminated={"exitCode": 1, "reason": "Error"}, placed=n, ended=n + 5) for n in (1, 20, 40)]

    row = only([a_k8s_job(conditions=[FAILED], status={"failed": 3}), *pods])

    assert (row["state"], row["restarts"], row["exit_code"], row["ended"]) == ("failed", 2, 1, at(45))


@pytest.mark.parametrize(
    ("ending", "state", "cause"),
    [
        ({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "out_of_memory", "host_out_of_memory"),
        ({"terminated": {"exitCode": 2, "reason": "Error"}}, "failed", None),
        ({"reason": "Evicted", "message": "The node was low on resource: memory."}, "out_of_memory", "host_out_of_memory"),
        ({"reason": "Evicted", "message": "low on resource: ephemeral-storage"}, "failed", "disk_full"),
        ({"reason": "NodeLost"}, "node_failure", None),
        ({"conditions": [holds("DisruptionTarget", 30, reason="PreemptionByScheduler")]}, "preempted", None),
        ({"conditions": [holds("DisruptionTarget", 30, reason="DeletionByTaintManager")]}, "node_failure", None),
    ],
)
def test_a_failure_is_told_by_the_pods(ending, state, cause):
    row = only([a_k8s_job(conditions=[FAILED]), a_pod(phase="Failed", **ending)])

    assert (row["state"], row["cause"]) == (state, cause)
    assert "low on" not in str(row["reason"])


def test_a_signal_is_told_by_the_exit_code_of_a_shell():
    row = only([a_k8s_job(conditions=[FAILED]), a_pod(phase="Failed", terminated={"exitCode": 139, "reason": "Error"})])

    assert (row["exit_code"], row["signal"], row["reason"]) == (139, 11, "Error")


def test_the_deadline_of_a_job_is_a_time_limit_whatever_its_pods_say():
    late = holds("Failed", 60, reason="DeadlineExceeded")

    row = only([a_k8s_job(conditions=[late]), a_pod(phase="Failed", terminated={"exitCode": 143})])

    assert (row["state"], row["ended"]) == ("time_limit", at(60))


@pytest.mark.parametrize(
    ("job", "pods", "state"),
    [
        ({}, [a_pod(phase="Running")], "running"),
        ({}, [a_pod(phase="Pending", placed=None)], "pending"),
        ({"suspend": True}, [], "pending"),
        ({"status": {"active": 1}}, [], "running"),
    ],
)
def test_an_open_job_has_no_end(job, pods, state):
    row = only([a_k8s_job(**job), *pods])

    assert (row["state"], row["ended"]) == (state, None)


def test_a_job_that_waits_has_not_started():
    assert only([a_k8s_job(suspend=True)])["started"] is None


def test_a_job_whose_pods_are_gone_starts_when_the_controller_took_it_and_says_so():
    (row,), notices = rows_of([a_k8s_job(conditions=[COMPLETE])])

    assert (row["started"], row["gpus"]) == (at(1), 1)
    assert "no pods left" in notices[0]


def test_the_queue_is_the_class_before_priority_and_namespace():
    queued = a_k8s_job(labels={"kueue.x-k8s.io/queue-name": "gpu-queue"}, priority="high")

    assert only([queued])["job_class"] == "gpu-queue"
    assert only([a_k8s_job(priority="high")])["job_class"] == "high"


def test_pods_of_another_controller_are_one_record():
    pods = [a_pod(owner=("PyTorchJob", "dpo"), node=f"node-{n}", placed=5 + n, ended=65 + n, gpus=8) for n in range(2)]

    (row,), notices = rows_of(pods)

    assert (row["name"], row["state"], row["gpus"], row["nodes"]) == ("dpo", "completed", 16, 2)
    assert (row["started"], row["ended"]) == (at(5), at(66))
    assert any("PyTorchJob" in each for each in notices)


def test_a_pod_of_its_own_is_a_record_and_pods_of_the_system_are_none():
    daemon, static = a_pod(owner=("DaemonSet", "dcgm")), a_pod(owner=("Node", "node-1"))
    idle, server = a_pod(owner=("ReplicaSet", "web"), gpus=0), a_pod(owner=("ReplicaSet", "chat"), phase="Running", gpus=2)

    rows, notices = rows_of([a_pod(owner=None), daemon, static, idle, server])

    assert [(each["name"], each["job_type"]) for each in rows] == [("chat", "online"), ("alone-x", None)]
    assert any("3 pods of DaemonSet, Node, ReplicaSet" in each for each in notices)


def test_a_slice_of_a_gpu_counts_as_its_share():
    pod = a_pod(owner=None)
    pod["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/mig-2g.10gb": "1", "amd.com/gpu": 1}

    assert only([pod])["gpus"] == pytest.approx(1 + 2 / 7)


def test_words_for_the_rules_leave_out_registries_versions_and_the_labels_of_the_system():
    job = a_k8s_job(labels={"controller-uid": "ft-0", "team": "nlp"})

    row = only([job])

    assert (row["command"], row["tags"]) == ("train python train.py", "team=nlp")
