"""
A Python program of ours within walls, for work on foreign bytes: short-lived, ended with whoever started it.

    with worker("intramural.intake.worker", ["--level", "3"], environment=..., pass_fds=(file, pipe)) as confined:
        ...  # talk through the descriptors
        confined.wait()

It sees this interpreter and its libraries, what `read_only` names, and its run directory; of
this process's descriptors it has `pass_fds` and no other. It has no network but for `egress`.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from intramural.domain.confinement import Confinement, Destination, Level, Limits
from intramural.errors import Unavailable
from intramural.walls.confined import Confined
from intramural.walls.launch import launch, python_view
from intramural.walls.level import level as machine_level
from intramural.walls.machine import Machine

END_SECONDS = 10.0
"""How long a supervisor may take to end after it was told to."""


@contextlib.contextmanager
def worker(
    module: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    read_only: Sequence[str] = (),
    run_directory: Path | None = None,
    kept: Sequence[str] = (),
    output: int | None = None,
    pass_fds: Sequence[int] = (),
    limits: Limits | None = None,
    egress: Sequence[Destination] = (),
    level: Level | None = None,
    required: Level = Level.NONE,
    hidden: Path | None = None,
) -> Iterator[Confined]:
    """
    Run `python -m MODULE ARGUMENTS` within walls for as long as the block lasts; whatever of it still runs then is killed.

    So it is where this process is killed in the block.

    *level* is by default as firm as this machine can; below *required* `Refused` is raised.
    Without *run_directory* it has one in memory, gone at the end; of its own one it may only
    read what is *kept*. *output* takes what it prints. *hidden* is a folder that the libraries
    it sees must not show. What *limits* leaves open is limited by what the machine has.
    Raises `Unavailable` when the walls cannot be raised.
    """
    known = dict(environment or {})
    wish = Confinement(
        read_only=tuple(sorted({*library_view(known, hidden), *read_only})),
        run_directory=None if run_directory is None else os.path.realpath(run_directory),
        kept=tuple(kept),
        egress=tuple(egress),
        limits=Machine.here().limits(limits),
        required=required,
    )
    command = [sys.executable, "-P", "-m", module, *arguments]
    with tempfile.TemporaryDirectory(prefix="intramural-walls-", ignore_cleanup_errors=True) as folder:
        firmness = machine_level() if level is None else level
        confined = launch(
            command,
            wish,
            folder=Path(folder),
            level=firmness,
            environment=known,
            output=output,
            pass_fds=pass_fds,
            ends_with_us=True,
        )
        try:
            yield confined
        finally:
            confined.close()
            with confined.supervisor.handle() as handle:  # it still writes into the folder
                if handle is not None:
                    select.select([handle], [], [], END_SECONDS)


def library_view(environment: Mapping[str, str], hidden: Path | None = None) -> tuple[str, ...]:
    """Return what a confined Python of this *environment* reads beside the system; `Unavailable` where it shows *hidden*."""
    places = [*python_view(), *_search_path(environment)]
    shown = sorted({each for each in places if not _is_below(each, "/usr")})
    if hidden is not None and any(_is_below(os.path.realpath(hidden), each) for each in shown):
        raise Unavailable(
            "INTRAMURAL_HOME lies among the libraries that every run sees.", hint="Set INTRAMURAL_HOME to a folder elsewhere."
        )
    return tuple(shown)


def _search_path(environment: Mapping[str, str]) -> list[str]:
    """Return the folders that Python was told to look in."""
    named = environment.get("PYTHONPATH", "").split(os.pathsep)
    return [os.path.normpath(each) for each in named if os.path.isabs(each) and os.path.isdir(each)]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
