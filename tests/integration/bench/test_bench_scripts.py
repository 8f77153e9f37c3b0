"""Every benchmark runs to its end, on little work, and prints its figures; what the figures are is for quiet machines."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from workload_world import build_tiny

BENCH = Path(__file__).parents[3] / "bench"
NEEDS = {"bench_train.py": "trl", "bench_measure.py": "pandas"}
"""What a benchmark compares with, where that is a library that not everybody installs."""

TRAIN_SAYS = ("ratio to TRL's best", "; the training waited ", "LLaMA-Factory")


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.parametrize(
    ("script", "options", "says"),
    [
        ("bench_audit.py", ["--entries", "7000", "--acts", "20"], "verify the exported file"),
        ("bench_intake.py", ["--megabytes", "2"], "MB/s"),
        ("bench_measure.py", ["--jobs", "20000", "--pandas-jobs", "20000"], "times the jobs/s of pandas"),
        ("bench_start.py", ["--rounds", "1"], "warm"),
        ("bench_walls.py", ["--rounds", "2"], "goal: below"),
        ("bench_train.py", ["--rounds", "1", "--steps", "2", "--batch", "2", "--kind", "tickets"], TRAIN_SAYS),
        ("bench_train.py", ["--curve", "4", "--batch", "2"], "verdict: "),
    ],
    ids=["audit", "intake", "measure", "start", "walls", "train", "curve"],
)
def test_a_benchmark_prints_its_figures(script, options, says, tiny_model):
    if script in NEEDS and importlib.util.find_spec(NEEDS[script]) is None:
        pytest.skip(f"without {NEEDS[script]} there is nothing to compare with")
    model = ["--model", str(tiny_model)] if script == "bench_train.py" else []

    command = [sys.executable, BENCH / script, *options, *model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    for each in (says,) if isinstance(says, str) else says:
        assert each in done.stdout
