"""What a run sees of the machine: this interpreter, its libraries, the GPUs, and its own folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from intramural.domain.confinement import Confinement, Destination, Level, Limits
from intramural.domain.workload import INPUTS
from intramural.walls.worker import library_view

GPUS = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm*", "nvidia-caps/*", "dri/renderD*", "kfd")
"""Below /dev."""
VISIBLE = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
NOTHING = {"", "-1", "none", "void", "NoDevFiles"}
"""What each of them says where an operator gives the platform no GPU."""


def run_confinement(
    home: Path,
    environment: Mapping[str, str],
    folder: Path,
    *,
    limits: Limits,
    required: Level,
    egress: Sequence[Destination] = (),
    gpus: bool = True,
) -> Confinement:
    """
    Return the walls of the run on *folder*; below *required* it is not started.

    Raises `Unavailable` where they would show the home.
    """
    return Confinement(
        read_only=library_view(environment, home),
        run_directory=str(folder),
        kept=(INPUTS,),
        devices=gpu_nodes(environment) if gpus else (),
        egress=tuple(egress),
        limits=limits,
        required=required,
    )


def gpu_nodes(environment: Mapping[str, str], devices: Path = Path("/dev")) -> tuple[str, ...]:
    """Return the nodes of the GPUs that runs may use: those of the machine, none where the operator hides them."""
    if any(environment.get(name, "all").strip() in NOTHING for name in VISIBLE):
        return ()
    found = {each for name in GPUS for each in devices.glob(name) if stat.S_ISCHR(os.lstat(each).st_mode)}
    return tuple(sorted(str(each) for each in found))
