"""What libraries' errors quote is cleaned in one place each: nobody reads it elsewhere."""

import ast
from pathlib import Path

import pytest
from pydantic import BaseModel

import intramural
from intramural.domain.value import Value

ROOT = Path(intramural.__file__).parent
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


def calls(name):
    """Every call of something called *name*, with its file."""
    return [
        (file, node)
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name
    ]


def test_what_a_validation_found_wrong_leaves_by_one_way():
    assert {file for file, call in calls("errors") if "json" not in ast.unparse(call.func)} == {"domain/value.py"}


@pytest.mark.parametrize("setting", ["ConfigDict"])
def test_every_model_and_adapter_hides_its_input(setting):
    loud = [file for file, call in calls(setting) if "hide_input_in_errors=True" not in ast.unparse(call)]

    assert loud == []
    assert Value.model_config["hide_input_in_errors"] is True


def test_every_model_is_a_value():
    """So that none has a configuration of its own that shows what was given."""
    bare = [
        f"{file}: {node.name}"
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == BaseModel.__name__ for base in node.bases)
    ]

    assert bare == ["domain/value.py: Value"]


def test_the_database_hides_its_parameters():
    engines = calls("create_engine")

    assert engines
    assert all("hide_parameters=True" in ast.unparse(call) for _, call in engines)


def test_no_error_is_logged_with_its_trace():
    """A trace ends with the error's own words."""
    traced = [file for name in ("exception", "print_exc", "format_exc") for file, _ in calls(name)]
    traced += [
        file for name in ("error", "warning", "critical") for file, call in calls(name) if "exc_info" in ast.unparse(call)
    ]

    assert traced == []
