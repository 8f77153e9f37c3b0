"""Libraries that an installer left uncompiled are compiled once, outside the walls."""

import os
import subprocess
import sys
from importlib.util import cache_from_source

from intramural.scheduler.executors import bytecode
from intramural.scheduler.executors.bytecode import compile_ahead


def library(tmp_path):
    package = tmp_path / "library" / "package"
    (package / "deep").mkdir(parents=True)
    for name in ("__init__.py", "deep/module.py", "broken.py"):
        (package / name).write_text("x = (" if name == "broken.py" else "x = 1")
    return package


def test_what_is_not_compiled_is_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setattr(bytecode, "_idle", lambda: None)  # a busy machine has no idle time
    package = library(tmp_path)

    compiler = compile_ahead([package.parent])

    assert compiler is not None
    compiler.wait(300)
    assert os.path.exists(cache_from_source(str(package / "deep" / "module.py")))
    assert compile_ahead([package.parent]) is None


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path):
    package = library(tmp_path)
    package.parent.chmod(0o555)
    command = "import sys; from pathlib import Path; from intramural.scheduler.executors import bytecode as b; "
    command += "print(b.compile_ahead([Path(sys.argv[1])]))"
    drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if os.getuid() == 0 else []

    said = subprocess.run(
        [*drop, sys.executable, "-c", command, str(package.parent)], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "None"
