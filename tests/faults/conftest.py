import os
import sys
from pathlib import Path

import pytest

RUNS = Path(__file__).parents[1] / "integration" / "scheduler"
sys.path.insert(0, str(RUNS))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a model and rows, whose schedulers run the tests' entries; its processes end with the test."""
    from run_world import end_processes  # noqa: PLC0415 - found through the path above
    from world import furnish  # noqa: PLC0415

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(RUNS), *filter(None, [os.environ.get("PYTHONPATH")])]))
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "intramural.toml").write_text("lease_seconds = 2\n")  # what a scheduler leaves that died before it could adopt
    furnish(home)
    yield home
    end_processes(home)
