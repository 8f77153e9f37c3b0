import json
import os
import shutil

import pytest
from cli_world import TUNE, chat, copy_store, end_scheduler, write_rows

from intramural.cli.main import run


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """A home with a tiny base model, a data set and one finished job, made once; its scheduler ends with the session."""
    folder = tmp_path_factory.mktemp("platform")
    write_rows(folder / "tickets.jsonl", [chat(n) for n in range(60)])
    (folder / "tune.yaml").write_text(TUNE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTRAMURAL_HOME", str(folder / "home"))
        patch.setenv("INTRAMURAL_WARM_IDLE_MINUTES", "0.5")
        assert run(["model", "add", "tiny", "--starter", "tiny-random"]) == 0
        assert run(["data", "add", str(folder / "tickets.jsonl"), "--name", "tickets", "--base", "tiny"]) == 0
        assert run(["run", str(folder / "tune.yaml"), "--wait"]) == 0
    yield folder
    end_scheduler(folder / "home")


@pytest.fixture(autouse=True)
def no_home(tmp_path, monkeypatch):
    """No test works on the home of whoever runs it."""
    monkeypatch.setenv("INTRAMURAL_HOME", str(tmp_path / "nowhere"))


@pytest.fixture
def home(platform, monkeypatch):
    """The folder with `home`, `tune.yaml` and `tickets.jsonl`; commands work on that home."""
    monkeypatch.setenv("INTRAMURAL_HOME", str(platform / "home"))
    monkeypatch.setenv("INTRAMURAL_WARM_IDLE_MINUTES", "0.5")
    return platform


@pytest.fixture
def quiet_home(platform, tmp_path, monkeypatch):
    """A home of the test's own with the same model and data, which no scheduler serves and none shall train in."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    shutil.copytree(platform / "home" / "vault", home / "vault", copy_function=os.link)
    (home / "keys").mkdir(mode=0o700)
    shutil.copy(platform / "home" / "keys" / "records.key", home / "keys")
    copy_store(platform / "home" / "intramural.db", home / "intramural.db")
    monkeypatch.setenv("INTRAMURAL_HOME", str(home))
    monkeypatch.setenv("INTRAMURAL_WARM", "false")
    yield home
    end_scheduler(home)


@pytest.fixture
def document(capsys):
    """Run a command with --json and return its one document."""

    def call(*arguments, code=0):
        capsys.readouterr()
        assert run([*arguments, "--json"]) == code
        captured = capsys.readouterr()
        assert captured.err == ""
        lines = captured.out.splitlines()
        assert len(lines) == 1
        return json.loads(lines[0])

    return call
