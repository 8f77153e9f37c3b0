"""A trainer that leaks in every way, for the test that the leak test sees it."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time

from intramural.domain.workload import INPUTS, SPEC_FILE, WorkloadSpec
from intramural.intake.stored import read_examples
from intramural.sealing import SealContext, SealedFiles
from intramural.workloads.run_keys import held


def main(run_folder):
    spec = WorkloadSpec.model_validate_json((run_folder / SPEC_FILE).read_bytes())
    files = SealedFiles(held(), SealContext(spec.sealing.project, "dataset", spec.sealing.dataset), key_id="")
    [row, *_] = read_examples(run_folder / INPUTS / "train.jsonl", files)
    text = row["messages"][1]["content"]
    print("cannot learn", row, flush=True)
    (run_folder / "rows.json").write_text(json.dumps(row))
    (run_folder / "cache.gz").write_bytes(gzip.compress(text.encode("utf-16")))
    short_lived = run_folder / "short-lived"
    short_lived.write_text(text)
    with (
        tempfile.TemporaryFile() as nameless,
        subprocess.Popen(["sleep", "3"], env={**os.environ, "ROW": text}),
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)", text]),
    ):
        nameless.write(text.encode())
        nameless.flush()
        time.sleep(3)
    short_lived.unlink()
    return 1
