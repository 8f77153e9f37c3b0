"""The environment of a workload."""

from intramural.workloads.environment import workload_environment

SHELL = {
    "PATH": "/bin", "HOME": "/home/a", "LC_ALL": "C.UTF-8", "INTRAMURAL_HOME": "/data", "AWS_SECRET_ACCESS_KEY": "x",
    "HF_TOKEN": "x", "WANDB_API_KEY": "x", "SSH_AUTH_SOCK": "x", "HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "64",
}  # fmt: skip


def test_secrets_of_the_shell_stay_outside():
    found = workload_environment(inherited=SHELL)

    assert not {"AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "WANDB_API_KEY", "SSH_AUTH_SOCK"} & set(found)
    assert {name: found[name] for name in ("PATH", "HOME", "LC_ALL", "INTRAMURAL_HOME")} == {
        "PATH": "/bin",
        "HOME": "/home/a",
        "LC_ALL": "C.UTF-8",
        "INTRAMURAL_HOME": "/data",
    }


def test_hubs_and_telemetry_are_off_whatever_the_shell_says():
    found = workload_environment(inherited=SHELL)

    assert {found[name] for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")} == {
        "1"
    }


def test_threads_are_set_only_where_they_are_asked_for():
    assert "OMP_NUM_THREADS" not in workload_environment(inherited=SHELL)
    assert workload_environment(3, inherited=SHELL)["OMP_NUM_THREADS"] == "3"
