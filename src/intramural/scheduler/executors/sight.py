"""What a run sees of the machine: this interpreter, its libraries, the GPUs, and its own folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from intramural.domain.confinement import Confinement, Destination, Level, Limits
from intramural.domain.workload import INPUTS
from intramural.errors import Unavailable
from intramural.walls.launch import python_view

GPUS = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm*", "nvidia-caps/*", "dri/renderD*", "kfd")
"""Below /dev."""


def run_confinement(
    home: Path,
    environment: Mapping[str, str],
    folder: Path,
    *,
    egress: Sequence[Destination] = (),
    memory_bytes: int | None = None,
) -> Confinement:
    """Return the walls of the run on *folder*. Raises `Unavailable` where they would show the home."""
    places = [*python_view(), *_search_path(environment)]
    shown = sorted({each for each in places if not _is_below(each, "/usr")})
    if any(_is_below(str(home), each) for each in shown):
        raise Unavailable(
            "INTRAMURAL_HOME lies among the libraries that every run sees.", hint="Set INTRAMURAL_HOME to a folder elsewhere."
        )
    return Confinement(
        read_only=tuple(shown),
        run_directory=str(folder),
        kept=(INPUTS,),
        devices=tuple(sorted(str(each) for name in GPUS for each in Path("/dev").glob(name))),
        egress=tuple(egress),
        limits=Limits(memory_bytes=memory_bytes),
        required=Level.NONE,  # whether the level is firm enough for the data was asked at the claim, by the policy
    )


def _search_path(environment: Mapping[str, str]) -> list[str]:
    """Return the folders that Python was told to look in."""
    named = environment.get("PYTHONPATH", "").split(os.pathsep)
    return [os.path.normpath(each) for each in named if os.path.isabs(each) and os.path.isdir(each)]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
