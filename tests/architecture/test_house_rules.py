"""The rules of the house that no import contract can say: one door for acts, one route per method, sizes, exit codes."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import intramural
from intramural import errors
from intramural.app.transport import ROUTES
from intramural.cli.exit_codes import _BY_CLASS, ExitCode, exit_code
from intramural.client import Client
from intramural.domain.access import Action

ROOT = Path(intramural.__file__).parent
HOUSE = ROOT.parent.parent
LEASED = {"adopt_runs", "renew_lease", "record_events", "collect_artifacts", "add_job_key", "note_waiting"}
"""What a scheduler writes under its lease many times a minute; its fence is the guard, `run:start` and `run:end` the record."""


def modules(folder=ROOT):
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))}


def test_imports_follow_the_contracts():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=HOUSE, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def writers(tree):
    """The functions in which a writing transaction is opened."""
    return {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "writing"
    }


def test_there_is_one_door_to_writing():
    """Only `ctx.act`, its record of refusals, and the lease's own verbs open a writing transaction."""
    found = {name: writers(tree) for name, tree in modules().items() if writers(tree)}

    assert found == {"service/context.py": {"act", "_record"}, "service/runs.py": LEASED}


@pytest.mark.parametrize("name", sorted(LEASED - {"adopt_runs", "renew_lease"}))
def test_what_is_written_under_a_lease_proves_its_fence(name):
    (function,) = [each for each in modules()["service/runs.py"].body if getattr(each, "name", "") == name]

    assert "run.lease.check(fence)" in ast.unparse(function)


def test_every_action_is_some_verbs():
    used = "\n".join(ast.unparse(tree) for name, tree in modules(ROOT / "service").items() if name != "service/context.py")

    assert {each for each in Action if f"Action.{each.name}" not in used} == set()


def routes_of_client():
    """What every public method of the SDK asks for, as (method, path with stars)."""
    found = {}
    (client,) = [each for each in modules()["client/client.py"].body if getattr(each, "name", "") == "Client"]
    for method in client.body:
        if not isinstance(method, ast.FunctionDef) or method.name.startswith("_"):
            continue
        paths = {ast.unparse(each.targets[0]): each.value for each in ast.walk(method) if isinstance(each, ast.Assign)}
        calls = [each for each in ast.walk(method) if isinstance(each, ast.Call) and ast.unparse(each.func) == "self._call"]
        found[method.name] = {
            (call.args[0].value, path_of(paths.get(ast.unparse(call.args[1]), call.args[1]))) for call in calls
        }
    return found


def path_of(node):
    return re.sub(r"\{[^}]*\}", "*", ast.unparse(node)).strip("f'\"").lstrip("/")


def test_every_method_of_the_sdk_has_its_routes_and_every_route_a_method():
    found = routes_of_client()

    assert found.keys() == {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert [name for name, routes in found.items() if not routes] == []
    assert set.union(*found.values()) == ROUTES.keys()


def test_a_method_and_its_verb_share_a_name():
    verbs = set()
    for name in (
        "approvals",
        "artifacts",
        "audit",
        "datasets",
        "drill",
        "evidence",
        "jobs",
        "keys",
        "lineage",
        "measurements",
        "models",
        "policies",
        "quarantines",
        "redactions",
        "removals",
        "run_logs",
        "scans",
        "sweeping",
        "traces",
    ):
        verbs |= {each.name for each in modules()[f"service/{name}.py"].body if isinstance(each, ast.FunctionDef)}

    assert routes_of_client().keys() - verbs == set()


def test_every_error_class_has_an_exit_code_of_its_own_choice():
    for module in pkgutil.walk_packages([str(ROOT)], "intramural."):
        if ".workloads." not in module.name:
            importlib.import_module(module.name)

    def below(kind):
        return {kind, *(each for child in kind.__subclasses__() for each in below(child))}

    named = tuple(kind for kind, _ in _BY_CLASS)
    for kind in below(errors.IntramuralError) - {errors.IntramuralError}:
        assert issubclass(kind, named)
        assert exit_code(kind.__new__(kind)) not in (ExitCode.OK, ExitCode.RUN_FAILED)


def test_no_file_is_longer_than_a_reader_bears():
    long = {
        path.relative_to(HOUSE).as_posix(): lines
        for folder in (ROOT, HOUSE / "tests")
        for path in folder.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 500
    }

    assert long == {}


def test_no_function_is_longer_than_two_screens():
    long = {
        f"{name}:{each.name}"
        for name, tree in modules().items()
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef) and (each.end_lineno or 0) - each.lineno >= 80
    }

    assert long == set()


def test_no_module_is_named_by_what_it_is_not():
    shunned = {"utils", "util", "helper", "helpers", "manager", "handler", "info", "common", "misc"}

    assert {name for name in modules() if Path(name).stem in shunned} == set()


def test_every_module_says_what_it_is():
    assert {name for name, tree in modules().items() if ast.get_docstring(tree) is None} == set()


def test_nothing_names_a_path_of_one_machine_or_the_host_of_an_index():
    found = {
        path.relative_to(HOUSE).as_posix()
        for folder in (ROOT, HOUSE / "docs")
        for path in folder.rglob("*")
        if path.suffix in {".py", ".md", ".html", ".toml", ".jinja"}
        and re.search(r"/work/|/root/|pypi\.org|pythonhosted", path.read_text())
    }

    assert found == set()
