import pytest

from workload_world import Runner, build_tiny, make_run


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a random model."""
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def runner(tmp_path_factory):
    """Starts runs in processes; they end with the tests."""
    runner = Runner(tmp_path_factory.mktemp("warm"))
    yield runner
    runner.close()


@pytest.fixture
def new_run(tmp_path, model):
    """Make run directories of one test."""

    def make(name, **options):
        return make_run(tmp_path / name, model, **options)

    return make
