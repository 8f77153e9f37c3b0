import pytest
import torch

from workload_models import adapted, random_model


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_of():
    """Give the adapted random model of a type, made once."""
    made = {}

    def of(kind):
        if kind not in made:
            made[kind] = adapted(random_model(kind))
        return made[kind]

    return of
