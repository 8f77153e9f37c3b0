"""
The environment variables a workload process gets, and no others.

A run inherits an allow-list, so that secrets of the shell that submitted it never
reach it; hubs and telemetry are switched off, because a job reaches nothing. Only
the standard library is imported here: the control plane calls it too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

INHERITED = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH"}
)
INHERITED_PREFIXES = ("LC_", "INTRAMURAL_")

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}

THREADING = {
    "TOKENIZERS_PARALLELISM": "false",
    # OpenBLAS starts its threads when it is imported; a parent that forks must have none.
    "OPENBLAS_NUM_THREADS": "1",
    # So does pyarrow's allocator; scikit-learn imports pandas, where that is installed, and pandas imports pyarrow.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}

PRODUCTS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "4096"}
"""
Compiled bf16 products that oneDNN keeps, one for each shape (see `machine.COMPILED_SIZES`): some 2 GiB, at half a MiB each.
Its own 1,024 were too few for passes of any size: it dropped them before they came again, and not all memory came back.
"""

REPEATABLE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""cuBLAS adds up in the same order every time only with workspaces of its own, sized before the GPU is first used."""


def workload_environment(threads: int | None = None, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return the environment of a workload process.

    *threads* sets OpenMP's count at the start; without it the run chooses with its own
    settings. *inherited* is the environment to choose from, by default this process's.
    """
    source = os.environ if inherited is None else inherited
    kept = {name: text for name, text in source.items() if name in INHERITED or name.startswith(INHERITED_PREFIXES)}
    count = {"OMP_NUM_THREADS": str(threads)} if threads is not None else {}
    return {**kept, **OFFLINE, **THREADING, **PRODUCTS, **REPEATABLE, **count, "PYTHONUNBUFFERED": "1"}
