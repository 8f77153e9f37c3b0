"""
How fast job records are measured, beside pandas computing the same figures in the same run.

    python bench/bench_measure.py [--jobs 10000000] [--pandas-jobs N]

Writes made records as `sacct -P` prints them (each job with its batch step) into a temporary folder
and measures them: rows/s, peak memory of the process, and the ratio. pandas holds the whole file;
where the machine's memory does not allow that, it gets fewer jobs of the same kind, and the line says so.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil

HEADER = "JobID|JobName|Partition|State|ExitCode|Submit|Start|End|ElapsedRaw|NNodes|AllocTRES|Reason"
BLOCK = 250_000
PANDAS_BYTES_A_JOB = 1_400
"""Measured: what pandas needs at its peak for one job and its step."""
STATES = ("COMPLETED", "FAILED", "CANCELLED by 1000", "OUT_OF_MEMORY", "TIMEOUT", "PREEMPTED", "NODE_FAIL")
STATE_WEIGHTS = (0.494, 0.389, 0.074, 0.023, 0.01, 0.0055, 0.0045)
NAMES = ("eval", "sft-lora", "job", "dpo", "debug", "pretrain", "qlora")
NAME_WEIGHTS = (0.6, 0.15, 0.14, 0.04, 0.03, 0.02, 0.02)
GPUS = (0, 1, 2, 4, 8, 16, 64, 128)
GPU_WEIGHTS = (0.05, 0.58, 0.06, 0.12, 0.15, 0.02, 0.01, 0.01)
TYPES = (
    ("sft_qlora", "qlora"),
    ("preference", "dpo|orpo|kto|ppo|grpo|rlhf"),
    ("online", "serv|vllm|tgi|endpoint"),
    ("eval", "eval|bench|mmlu"),
    ("full", "pretrain|full"),
    ("sft_lora", "lora|peft|sft"),
    ("dev", "debug|dbg|test|jupyter|notebook"),
)
CLOCK = "%Y-%m-%dT%H:%M:%S"


def write_records(path: Path, jobs: int):
    rng = np.random.default_rng(7)
    with path.open("wb") as file:
        file.write(f"{HEADER}\n".encode())
        for first in range(0, jobs, BLOCK):
            _block(first, min(BLOCK, jobs - first), jobs, rng).write_csv(file, include_header=False, quote_style="never")


def _block(first: int, size: int, jobs: int, rng) -> pl.DataFrame:
    """Return one column of text: a job's line and its step's."""
    submit = 1_700_000_000 + ((first + np.arange(size)) / jobs * 89 * 86_400).astype(np.int64)
    queue = np.floor(rng.lognormal(2, 2.5, size)).clip(0, 500_000).astype(np.int64)
    run = np.floor(rng.lognormal(5, 2, size)).clip(1, 1_000_000).astype(np.int64)
    gpus = rng.choice(GPUS, size, p=GPU_WEIGHTS)
    frame = pl.DataFrame(
        {
            "id": first + 1_000_000 + np.arange(size),
            "name": rng.choice(NAMES, size, p=NAME_WEIGHTS),
            "state": rng.choice(STATES, size, p=STATE_WEIGHTS),
            "partition": rng.choice(("gpu", "long", "debug"), size, p=(0.7, 0.2, 0.1)),
            "submit": submit,
            "start": submit + queue,
            "end": submit + queue + run,
            "run": run,
            "gpus": gpus,
            "nodes": np.maximum(1, gpus // 8),
        }
    )
    code = pl.when(pl.col("state") == "FAILED").then(pl.lit("1:0")).otherwise(pl.lit("0:0"))
    times = [pl.from_epoch(each, time_unit="s").dt.strftime(CLOCK) for each in ("submit", "start", "end")]
    tres = pl.format("cpu={},gres/gpu={},mem={}G,node={}", pl.col("gpus") * 16 + 4, "gpus", pl.col("gpus") * 120 + 8, "nodes")
    name, job_parts = pl.format("{}-{}", "name", pl.col("id") % 997), ["partition", "state", code, *times, "run", "nodes", tres]
    job = pl.format("|".join(["{}"] * 11) + "|None", "id", name, *job_parts)
    step = pl.format("{}.batch|batch||{}|{}|{}|{}|{}|{}|1|{}|", "id", "state", code, times[1], times[1], times[2], "run", tres)
    return frame.select(pl.format("{}\n{}", job, step))


def measure_ours(path: Path):
    from datetime import UTC, datetime  # noqa: PLC0415 - a part holds no other library

    from intramural.measurement.detect import read_source  # noqa: PLC0415 - a part holds no other library
    from intramural.measurement.figures import measure  # noqa: PLC0415 - a part holds no other library

    found = measure([read_source(str(path))], now=datetime.now(UTC), days=90)
    return {"jobs": found.jobs, "p90": found.run_seconds.p90, "queue_p90": found.queue_seconds.p90, "success": found.success}


def measure_pandas(path: Path):
    """Compute what `measure` does, as one writes it with pandas."""
    import pandas as pd  # noqa: PLC0415 - a part holds no other library

    columns = [each for each in HEADER.split("|") if each != "Reason"]
    rows = pd.read_csv(path, sep="|", quoting=3, dtype=str, usecols=columns, encoding_errors="replace")
    jobs = rows[~rows["JobID"].str.contains(".", regex=False)].copy()
    del rows
    for name in ("Submit", "Start", "End"):
        jobs[name] = pd.to_datetime(jobs[name], format=CLOCK, errors="coerce")
    jobs = jobs[jobs["Submit"] >= jobs["Submit"].max() - pd.Timedelta(days=90)].copy()
    jobs["queue"] = (jobs["Start"] - jobs["Submit"]).dt.total_seconds()
    jobs["run"] = pd.to_numeric(jobs["ElapsedRaw"], errors="coerce")
    jobs["state"] = jobs["State"].str.split(" ").str[0]
    jobs["gpus"] = pd.to_numeric(jobs["AllocTRES"].str.extract(r"gres/gpu=(\d+)")[0], errors="coerce").fillna(0)
    jobs["hours"] = jobs["gpus"] * jobs["run"] / 3600
    jobs["exit"] = jobs["ExitCode"].str.split(":").str[0]
    jobs["type"] = "other"
    for kind, pattern in reversed(TYPES):
        jobs.loc[jobs["JobName"].str.contains(pattern, case=False), "type"] = kind
    percents = [0.5, 0.9, 0.95, 0.99]
    by_type = jobs.groupby("type")[["run", "queue", "gpus"]].quantile(percents)
    by_class = jobs.groupby("Partition")[["run", "queue"]].quantile(percents)
    whole = jobs[["run", "queue"]].quantile(percents)
    done = jobs["state"].eq("COMPLETED")
    success = done.groupby(jobs["type"]).mean()
    hours = jobs.groupby("type")["hours"].sum()
    failed = jobs[~jobs["state"].isin(["COMPLETED", "CANCELLED"])]
    causes = failed.groupby(["state", "exit"])["hours"].agg(["size", "sum"])
    shapes = jobs.loc[jobs["type"] == "other", "JobName"].str.replace(r"\d+", "#", regex=True).value_counts()
    counts = jobs["gpus"].value_counts(normalize=True)
    multi = (pd.to_numeric(jobs["NNodes"]) > 1).mean()
    assert all(len(each) for each in (by_type, by_class, success, hours, causes, shapes, counts))
    assert 0 < multi < 1
    return {
        "jobs": len(jobs),
        "p90": float(whole["run"][0.9]),
        "queue_p90": float(whole["queue"][0.9]),
        "success": 100 * float(done.mean()),
    }


def run_part(part: str, path: Path):
    began = time.perf_counter()
    figures = {"ours": measure_ours, "pandas": measure_pandas}[part](path)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    usage = {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}
    print(json.dumps(usage | figures))


def measured(part: str, path: Path):
    done = subprocess.run([sys.executable, __file__, "--part", part, "--path", str(path)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def shown(name: str, found: dict):
    rate = found["jobs"] / found["seconds"]
    peak = f"peak {found['peak_mib']:.0f} MiB"
    print(
        f"{name:10} {found['jobs']:>12,} jobs {found['seconds']:8.1f} s {2 * rate:>12,.0f} rows/s {rate:>11,.0f} jobs/s, {peak}"
    )
    return rate


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=10_000_000)
    options.add_argument("--pandas-jobs", type=int, help="without it as many as three quarters of the free memory hold")
    options.add_argument("--part", help=argparse.SUPPRESS)
    options.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.part:
        run_part(given.part, given.path)
        return
    room = int(psutil.virtual_memory().available * 0.75 / PANDAS_BYTES_A_JOB)
    fewer = min(given.jobs, given.pandas_jobs or room)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sacct.txt"
        write_records(path, given.jobs)
        print(f"{given.jobs:,} jobs and their steps, {path.stat().st_size / 1e6:,.0f} MB of `sacct -P`")
        rate = shown("intramural", ours := measured("ours", path))
        if fewer < given.jobs:
            write_records(path, fewer)
            print(f"pandas holds all rows in memory: it gets {fewer:,} of these jobs, and only its rate is compared")
            same = measured("ours", path)
        else:
            same = ours
        other = measured("pandas", path)
        ratio = rate / shown("pandas", other)
        assert all(abs(same[key] - other[key]) <= 1e-9 * abs(other[key]) for key in ("jobs", "p90", "queue_p90", "success"))
        print(
            f"the same figures; {ratio:.1f} times the jobs/s of pandas, {ours['peak_mib'] / other['peak_mib']:.2f} of its peak"
        )


if __name__ == "__main__":
    main()
