"""What the machine offers a run: cores, memory, number formats; and what the run was made with."""

from __future__ import annotations

import os
import platform
import resource
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from intramural.domain.spec import Precision

LIBRARIES = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")

COMPILED_SIZES = 32
"""
On a processor oneDNN compiles a bf16 product for each shape it comes in, and keeps about half a MiB of it. Passes of any size
have ever new shapes: 120 steps of a two-layer model took 2.3 GiB for them, and 0.2 GiB in multiples of 32.
"""


def device() -> torch.device:
    """Return the first GPU, or the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def idle_gpu() -> str | None:
    """Return why a GPU that this process was given is not used; None where there is none, or where it is used."""
    if torch.cuda.is_available() or not any(Path("/dev").glob("nvidia[0-9]*")):
        return None
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in {"", "-1"}:
        return None
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA"
    try:
        torch.cuda.init()
    except RuntimeError as error:
        return str(error).partition(". ")[0]
    return "PyTorch does not find it"


def make_repeatable(where: torch.device) -> None:
    """Have a GPU add up in the same order every time, as a processor does; exact resume stands on it."""
    if where.type == "cuda":
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads memory it did not write


def sizes_multiple_of(weight: torch.Tensor) -> int:
    """Return what sizes of a pass through *weight* are to be multiples of: `COMPILED_SIZES` where shapes are compiled."""
    compiles = weight.device.type == "cpu" and weight.dtype == torch.bfloat16
    return COMPILED_SIZES if compiles else 1


def cores() -> int:
    """Return how many cores this process may use: its affinity, bounded by its cgroup's quota."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


def free_memory() -> int:
    """Return bytes of memory this process could still take: the system's or its cgroup's, whichever is less."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return max(0, min(free, limit - used))


def peak_memory() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_gpu_memory() -> int | None:
    """Return the most memory of the GPU that was reserved so far, in bytes; None where no GPU was used."""
    return torch.cuda.max_memory_reserved() if torch.cuda.is_initialized() else None


def best_precision(where: torch.device) -> Precision:
    """Return the format whose matrix products are fast here.

    bf16 where the hardware multiplies it (GPUs of compute capability 8, AVX-512 BF16, AMX);
    elsewhere fp32: a core without it emulates bf16 at about a tenth of its fp32 rate.
    """
    if where.type == "cuda":
        return Precision.BF16 if torch.cuda.is_bf16_supported(including_emulation=False) else Precision.FP32
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Precision.BF16 if fast else Precision.FP32


def environment(where: torch.device) -> dict[str, str]:
    """Return the versions and hardware that a result depends on; compared at resume."""
    hardware = torch.cuda.get_device_name(where) if where.type == "cuda" else _processor()
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "device": hardware,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
