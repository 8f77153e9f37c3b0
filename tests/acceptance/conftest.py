import sys
from pathlib import Path

import pytest

from command_world import Platform

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "scheduler"))


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """An empty home; whatever serves it ends with the module."""
    from run_world import end_processes  # noqa: PLC0415 - found through the path above

    platform = Platform(tmp_path_factory.mktemp("day"))
    yield platform
    end_processes(platform.home)
