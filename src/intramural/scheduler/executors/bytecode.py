"""
Compiles Python's libraries ahead, where the installer left that to the first import.

Within walls nothing can be kept beside the libraries, so every start would compile them
anew: four times the processor time. Runs share what is compiled here, and cannot write it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import intramural


def compile_ahead(places: Iterable[Path] | None = None) -> subprocess.Popen[bytes] | None:
    """Have a process compile what is not, on processor time that nobody else wants; none where there is nothing to do."""
    wanted = [str(each) for each in places or _places() if os.access(each, os.W_OK) and _lacks(each)]
    if not wanted:
        return None
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "compileall", "-qq", *wanted],
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_idle,  # noqa: PLW1509 - one system call, which takes no lock
    )


def _places() -> set[Path]:
    named = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return named | {Path(intramural.__file__).parent}


def _lacks(place: Path) -> bool:
    """Tell whether a package in *place*, or a module of the package that it is, was never compiled."""
    sources = place.glob("*.py") if (place / "__init__.py").exists() else place.glob("*/__init__.py")
    return any(not os.path.exists(importlib.util.cache_from_source(str(each))) for each in sources)


def _idle() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
