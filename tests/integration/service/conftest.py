import itertools

import pytest
from service_world import Clock, FolderBuilder, NoProcesses

from factories import a_dataset_version, a_model, a_spec
from intramural.domain.access import Actor, Role
from intramural.domain.confinement import Level
from intramural.service.context import Context
from intramural.service.jobs import submit_job
from intramural.service.scope_keys import dataset_files
from intramural.store import Store
from intramural.vault import Vault


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_context(tmp_path, clock):
    """Make contexts over one home, each with an actor of its own."""
    home = tmp_path / "home"
    numbers = itertools.count(1)

    def make(role=Role.OWNER, **parts):
        defaults = {
            "store": Store.in_file(home / "intramural.db"),
            "vault": Vault.in_folder(home / "vault"),
            "home": home,
            "actor": Actor(subject=f"user:{role}", role=role),
            "project": "default",
            "now": clock,
            "new_id": lambda prefix: f"{prefix}-{next(numbers):03}",
            "model_builder": FolderBuilder(),
            "run_control": NoProcesses(),
            "level": lambda: Level.NAMESPACES,
        }
        return Context(**{**defaults, **parts})

    return make


@pytest.fixture
def owner(make_context):
    return make_context()


@pytest.fixture
def system(make_context):
    return make_context(Role.SYSTEM)


@pytest.fixture
def a_stored_job(owner, tmp_path):
    """Submit jobs on a base model and a data set whose bytes are in the vault."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    base, _ = owner.vault.put_tree(folder)
    data = a_dataset_version()
    sealed = dataset_files(owner, data.name)
    train = owner.vault.put_bytes(sealed.files.body(b'{"messages": [1]}\n', "train.jsonl"))
    holdout = owner.vault.put_bytes(sealed.files.body(b'{"messages": [2]}\n', "holdout.jsonl"))
    with owner.store.writing() as tx:
        tx.models.add("default", a_model(digest=base))
        tx.datasets.add("default", data.model_copy(update={"train_sealed": train, "holdout_sealed": holdout}))
        sealed.write_down(tx, "default")

    def submit(**spec):
        return submit_job(owner, a_spec(**spec))

    return submit


@pytest.fixture
def decisions(owner):
    """What the audit holds: (action, decision, rule) of each entry, oldest first."""

    def read():
        with owner.read() as tx:
            return [(each.action.value, each.decision.value, each.rule) for each in tx.audit.newest("default", 100)]

    return read
