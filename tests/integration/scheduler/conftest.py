import json
import os
from pathlib import Path

import pytest
from loop_world import World
from run_world import end_processes
from world import furnish

from intramural.workloads.environment import workload_environment

PATH = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
"""Where processes find the tests' entries, and this code first if it was chosen so."""


@pytest.fixture
def home(tmp_path):
    """An INTRAMURAL_HOME whose processes end with the test."""
    home = tmp_path / "home"
    (home / "runs").mkdir(parents=True, mode=0o700)
    yield home
    end_processes(home)


@pytest.fixture
def environment():
    """The environment of workloads that find the tests' entries."""
    return {**workload_environment(inherited={"PATH": os.environ["PATH"]}), "PYTHONPATH": PATH}


@pytest.fixture
def make_run(home):
    """Make a run directory that behaves as its job's name says."""

    def make(behaviour: str, attempt: str = "run_1") -> Path:
        folder = home / "runs" / attempt
        folder.mkdir(mode=0o700)
        (folder / "spec.json").write_text(json.dumps({"job": {"name": behaviour}}))
        return folder

    return make


@pytest.fixture
def furnished(home, monkeypatch):
    """A home with a model and rows, whose schedulers run the tests' entries."""
    monkeypatch.setenv("PYTHONPATH", PATH)
    furnish(home)
    return home


@pytest.fixture
def world(home):
    """A furnished home whose clock and executor the test holds."""
    return World(home)
