"""The command line opens without anything heavy, so that `--help` answers at once."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "transformers",
    "peft",
    "sqlalchemy",
    "pydantic",
    "rich",
    "numpy",
    "pyarrow",
    "prompt_toolkit",
    "typst",
    "tokenizers",
    "jinja2",
    "yaml",
    "sklearn",
    "polars",
    "mlflow",
}

PROGRAM = """
import json, sys
from intramural.cli.main import run
code = run(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted({name.partition(".")[0] for name in sys.modules})}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["show", "--help"],
        ["data", "add", "--help"],
        ["measure", "--help"],
        ["interview", "--help"],
        ["report", "--help"],
        ["portfolio", "--help"],
        ["nonsense"],
    ],
)
def test_help_imports_nothing_heavy(arguments):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)

    told = json.loads(done.stderr.splitlines()[-1])
    assert HEAVY.isdisjoint(told["modules"])
    assert told["code"] in (0, 2)
