"""The demo where a command of it fails: the cause, the next step and the exit code, no traceback."""

import importlib.util
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[3] / "demo" / "demo.py"


@pytest.fixture
def demo(tmp_path, monkeypatch):
    monkeypatch.setenv("INTRAMURAL_HOME", str(tmp_path / "home"))
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_command_that_fails_is_told_with_its_next_step_and_its_exit_code(demo, capfd):
    with pytest.raises(SystemExit) as caught:
        demo.answer("show", "nothing")

    assert caught.value.code == 2
    said = capfd.readouterr().err
    assert "`intramural show nothing` failed: There is no job nothing." in said
    assert "→ Add one with `intramural run tune.yaml`." in said
    assert "Traceback" not in said


def test_a_command_that_says_nothing_is_told_too(demo, capfd, monkeypatch, tmp_path):
    (tmp_path / "intramural").write_text("#!/bin/sh\nexit 8\n")
    (tmp_path / "intramural").chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(SystemExit) as caught:
        demo.answer("ps")

    assert caught.value.code == 8
    assert "ended with 8" in capfd.readouterr().err


def test_a_command_that_succeeds_is_answered(demo):
    assert demo.answer("ps") == []
