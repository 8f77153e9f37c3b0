"""A trainer that breaks with a row of the data in its hands: by an error that quotes it, or by a crash that dumps memory."""

from __future__ import annotations

import os
from pathlib import Path

from intramural.domain.workload import INPUTS, SPEC_FILE, WorkloadSpec
from intramural.intake.stored import read_examples
from intramural.sealing import SealContext, SealedFiles
from intramural.workloads.run_keys import held

ENTRY = f"{__name__}:main"
ABORTS = "crash-abort"
"""The name of the job that crashes; any other raises."""


def main(run_folder: Path) -> int:
    """Read the training rows as every trainer does, then break."""
    spec = WorkloadSpec.model_validate_json((run_folder / SPEC_FILE).read_bytes())
    if spec.sealing is None:
        raise TypeError("the platform seals")
    files = SealedFiles(held(), SealContext(spec.sealing.project, "dataset", spec.sealing.dataset), key_id="")
    rows = list(read_examples(run_folder / INPUTS / "train.jsonl", files))
    if spec.job.name == ABORTS:
        os.abort()
    try:
        raise KeyError(rows[0])
    except KeyError as error:
        raise ValueError(f"cannot learn {rows}") from error
