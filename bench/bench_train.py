"""
Training speed against plain TRL: same model, rows, adapter and order of processes, A B A B.

Prints, for documentation-like rows and for short tickets: tokens/s of real tokens (an
example's every token counted once per example, none of padding), the ratio to TRL's best
plain configuration round by round, the share of the machine's limit, peak memory and the
time to the first pass. The limit is 4·N FLOPs per token (forward 2·N, gradient of the
activations 2·N; the frozen weights get none) over the matrix rate measured here.
On a GPU both use bf16, and memory is what they reserved of the GPU. It also tells how long
a checkpoint held the training back, and what share that is of the time the checkpoint took.
`--curve STEPS` compares losses instead: same batches in the same order and the same rates,
beside the noise that two seeds of TRL make, with a verdict.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import loss_curves
import made_rows

from intramural.app.model_builder import ProcessModelBuilder
from intramural.domain.dataset import ExampleKind
from intramural.domain.job import Outcome
from intramural.domain.spec import JobSpec
from intramural.domain.views import ModelSource
from intramural.domain.workload import SPEC_FILE, WorkloadSpec
from intramural.intake.made_tickets import make_tickets
from intramural.workloads.environment import workload_environment

HERE = Path(__file__).resolve().parent
WORK = HERE.parent / ".bench"
STARTER = "smollm2-135m-instruct"
NOTHING = "sha256:" + "0" * 64
RATE = 2e-4
CHECKPOINT_SECONDS = 300
"""From one to the next, by default."""
SEED, OTHER_SEED = 7, 8
WARMUP = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="optimizer steps per process")
    parser.add_argument("--batch", type=int, default=8, help="examples per optimizer step")
    parser.add_argument("--kind", choices=["documentation", "tickets"], help="only these rows")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--model", type=Path, help="a model folder; default: the starter model")
    parser.add_argument("--curve", type=int, default=0, metavar="STEPS", help="compare losses over STEPS steps on tickets")
    parser.add_argument(
        "--llama-factory",
        type=Path,
        metavar="PYTHON",
        default=sys.executable if importlib.util.find_spec("llamafactory") else None,
        help="the Python of an environment that has LLaMA-Factory; by default this one, where it has it",
    )
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    model = options.model or starter()
    rate = matrix_rate(options.threads)
    dtype = max(rate, key=lambda each: rate[each])
    limit = rate[dtype] * 1e9 / (4 * parameters(model))
    print(f"matrix rate: fp32 {rate['fp32']:.0f}, bf16 {rate['bf16']:.0f} GFLOP/s on {where(options.threads)}")
    print(f"limit by 4·N FLOPs per token in {dtype}: {limit:.0f} tokens/s\n")
    if options.curve:
        compare_curves(model, options.curve, options.batch, dtype, options.threads)
        return
    for kind in (options.kind,) if options.kind else ("documentation", "tickets"):
        file = rows_of(kind, options.steps * options.batch)
        compare(kind, model, file, options.rounds, options.steps, options.batch, dtype, options.threads, limit)
        if options.llama_factory:
            compare_llama_factory(
                kind, options.llama_factory, model, file, options.rounds, options.steps, options.batch, dtype, options.threads
            )
        else:
            print("  LLaMA-Factory is not installed here: --llama-factory PYTHON names an environment that has it.\n")


def compare(
    kind: str, model: Path, file: Path, rounds: int, steps: int, batch: int, dtype: str, threads: int, limit: float
) -> None:
    """Run ours and every TRL way in turn, and print the figures of each and the ratios to the best."""
    ways = ("one-by-one", "flat", "packing", "padded")
    found: dict[str, list[dict[str, Any]]] = {each: [] for each in ("ours", *ways)}
    for n in range(rounds):
        for way in ways:
            if n and way != best(found):
                continue
            found[way].append(trl(model, file, steps, batch, way, dtype, threads))
        found["ours"].append(ours(model, file, steps, batch, threads))
    top = best(found)
    print(f"{kind} rows, mean {found['ours'][0]['tokens'] / (steps * batch):.0f} tokens, {batch} a step")
    print(f"  {'':26}{'tokens/s':>10}{'of limit':>10}{'peak GiB':>10}{'first pass s':>14}")
    for way, results in found.items():
        name = "intramural" if way == "ours" else f"TRL {way}, {dtype}"
        speed = statistics.median(each["tokens_per_second"] for each in results)
        memory = statistics.median(each["peak_memory_bytes"] for each in results) / 2**30
        start = statistics.median(each["first_pass_seconds"] for each in results)
        print(f"  {name:26}{speed:10.1f}{speed / limit:10.2f}{memory:10.2f}{start:14.1f}")
    ratios = [a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(found["ours"], found[top], strict=True)]
    listed = ", ".join(f"{each:.2f}" for each in ratios)
    print(f"  ratio to TRL's best ({top}): {listed}; median {statistics.median(ratios):.2f}")
    print_checkpoints([each for result in found["ours"] for each in result["checkpoints"]])


def print_checkpoints(written: list[dict[str, Any]]) -> None:
    """Print how long the training thread waited for the run's own checkpoints, and what share of their time that is."""
    blocked = statistics.median(each["blocked_seconds"] for each in written)
    whole = statistics.median(each["blocked_seconds"] + each["write_seconds"] for each in written)
    size = statistics.median(each["size_bytes"] for each in written) / 2**20
    print(
        f"  checkpoints: {len(written)} of {size:.1f} MiB; the training waited {1000 * blocked:.1f} ms, "
        f"{100 * blocked / whole:.0f} % of the {1000 * whole:.0f} ms that one takes; "
        f"{100 * blocked / CHECKPOINT_SECONDS:.4f} % of a training with one every {CHECKPOINT_SECONDS // 60} minutes\n"
    )


def compare_llama_factory(
    kind: str, python: Path, model: Path, file: Path, rounds: int, steps: int, batch: int, dtype: str, threads: int
) -> None:
    """Run LLaMA-Factory and ours in turn; both rates count every step, the first included."""
    ratios = []
    for _ in range(rounds):
        command = [str(python), "-W", "ignore", str(HERE / "peer_llama_factory.py"), "--model", str(model), "--rows", str(file)]
        command += ["--out", str(WORK / "llama-factory"), "--steps", str(steps), "--batch", str(batch), "--dtype", dtype]
        theirs = result_of([*command, "--rate", str(RATE), "--threads", str(threads)], threads)
        mine = ours(model, file, steps, batch, threads)
        speed = mine["tokens"] / theirs["train_seconds"]
        ratios.append(mine["tokens_per_second_with_first"] / speed)
        print(
            f"  LLaMA-Factory 1 x {batch}, {dtype}: {speed:.1f} tokens/s, {theirs['peak_memory_bytes'] / 2**30:.2f} GiB; "
            f"intramural {mine['tokens_per_second_with_first']:.1f}, {mine['peak_memory_bytes'] / 2**30:.2f} GiB"
        )
    listed = ", ".join(f"{each:.2f}" for each in ratios)
    print(f"  {kind}: ratio to LLaMA-Factory: {listed}; median {statistics.median(ratios):.2f}\n")


def best(found: dict[str, list[dict[str, Any]]]) -> str:
    return max((each for each in found if each != "ours" and found[each]), key=lambda each: found[each][0]["tokens_per_second"])


def compare_curves(model: Path, steps: int, batch: int, dtype: str, threads: int) -> None:
    """Train both on the same batches in the same order, TRL with two seeds, and print how far their losses lie apart."""
    file = rows_of("tickets", steps * batch)
    mine = ours(model, file, steps, batch, threads, warmup=0.0)  # both count its steps differently: TRL's first has a rate of 0
    # TRL reads rows in order; ours permutes them, so TRL is given the order that ours used.
    lines = file.read_text().splitlines()
    file.with_suffix(".ordered").write_text("".join(lines[each] + "\n" for each in order_of(len(lines), batch)))
    theirs, other = (
        trl(model, file.with_suffix(".ordered"), steps, batch, "one-by-one", dtype, threads, seed=seed, warmup=0.0)
        for seed in (SEED, OTHER_SEED)
    )
    speeds = f"intramural {mine['tokens_per_second']:.0f}, TRL {theirs['tokens_per_second']:.0f}"
    print(f"{steps} steps of {batch} tickets; tokens/s: {speeds}")
    print("\n".join(loss_curves.compared(mine["losses"], theirs["losses"], other["losses"])))


def order_of(count: int, batch: int) -> list[int]:
    from intramural.workloads.passes import Plan  # noqa: PLC0415

    plan = Plan(count, -(-count // batch), batch, SEED)
    return [each for step in range(plan.total_steps) for each in plan.step_examples(step)]


def ours(model: Path, file: Path, steps: int, batch: int, threads: int, *, warmup: float = WARMUP) -> dict[str, Any]:
    """Run the product's workload on a run directory and read its events."""
    folder = WORK / "run"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "inputs").mkdir(parents=True)
    (folder / "inputs" / "model").symlink_to(model)
    shutil.copy(file, folder / "inputs" / "train.jsonl")
    (folder / "inputs" / "holdout.jsonl").touch()
    job = JobSpec.model_validate(
        {
            "name": "bench",
            "base": "bench",
            "data": "bench",
            "train": {
                "steps": steps,
                "effective_batch": batch,
                "learning_rate": RATE,
                "warmup": warmup,
                "sequence_length": 1024,
                "seed": SEED,
            },
            "evaluate": {"before": False},
            "resources": {"threads": threads},
        }
    )
    spec = WorkloadSpec(
        run_id="run-bench",
        attempt=1,
        job=job,
        example_kind=ExampleKind.CHAT,
        base_digest=NOTHING,
        dataset_digest=NOTHING,
        submitted_at=time.time(),
        asked_at=time.time(),
    )
    (folder / SPEC_FILE).write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "intramural.workloads.train", str(folder)]
    subprocess.run(command, check=True, env=workload_environment(threads), stderr=subprocess.DEVNULL)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    outcome = events[-1]
    assert outcome["outcome"] == Outcome.SUCCEEDED, outcome
    done = [each for each in events if each["type"] == "step"]
    warm = done[1:] or done
    return {
        "tokens_per_second": sum(each["tokens"] for each in warm) / sum(each["seconds"] for each in warm),
        "tokens_per_second_with_first": sum(each["tokens"] for each in done) / sum(each["seconds"] for each in done),
        "tokens": sum(each["tokens"] for each in done),
        "first_pass_seconds": next(each["seconds_since_submit"] for each in events if each["type"] == "first_pass"),
        "peak_memory_bytes": outcome["peak_gpu_memory_bytes"] or outcome["peak_memory_bytes"],
        "losses": [each["loss"] for each in done],
        "checkpoints": [each for each in events if each["type"] == "checkpoint"],
    }


def trl(
    model: Path,
    file: Path,
    steps: int,
    batch: int,
    way: str,
    dtype: str,
    threads: int,
    *,
    seed: int = SEED,
    warmup: float = WARMUP,
) -> dict[str, Any]:
    """Run plain TRL in a process of its own."""
    command = [sys.executable, "-W", "ignore", str(HERE / "peer_trl.py"), "--model", str(model), "--rows", str(file)]
    command += ["--out", str(WORK / "trl"), "--steps", str(steps), "--batch", str(batch), "--way", way, "--dtype", dtype]
    command += ["--rate", str(RATE), "--threads", str(threads), "--seed", str(seed)]
    command += ["--warmup", str(warmup)]
    return result_of(command, threads)


def result_of(command: list[str], threads: int) -> dict[str, Any]:
    """Run a peer in a process of its own and return the document it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    line = next((each for each in done.stdout.splitlines() if each.startswith("RESULT ")), None)
    if line is None:
        sys.exit(f"{command[3]} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(line.removeprefix("RESULT ")))


def rows_of(kind: str, count: int) -> Path:
    file = WORK / f"{kind}.jsonl"
    if kind == "documentation":
        made_rows.write(file, count)
    else:
        file.write_text("".join(json.dumps(each) + "\n" for each in make_tickets(count, 7)))
    return file


def starter() -> Path:
    """Build the starter model once, under .bench."""
    folder = WORK / STARTER
    if not (folder / "model.safetensors").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        ProcessModelBuilder(None).build(ModelSource(starter=STARTER), folder, lambda *_: None)
    return folder


def parameters(model: Path) -> int:
    from safetensors import safe_open  # noqa: PLC0415

    total = 0
    for file in model.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            for key in weights.keys():  # noqa: SIM118  a safetensors reader is no mapping
                shape = weights.get_slice(key).get_shape()
                total += int(shape[0]) * int(shape[1]) if len(shape) == 2 else int(shape[0])
    return total


def where(threads: int) -> str:
    import torch  # noqa: PLC0415

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{threads} threads"


def matrix_rate(threads: int) -> dict[str, float]:
    """Return GFLOP/s of a product in both formats, best of several: of the model's shape; on a GPU of one that fills it."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(threads)
    gpu = torch.cuda.is_available()
    rows, width, columns = (8192, 8192, 8192) if gpu else (2048, 576, 1536)
    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        shapes = ((rows, width), (width, columns))
        a, b = (torch.randn(shape, dtype=dtype, device="cuda" if gpu else "cpu") for shape in shapes)
        seconds = []
        for _ in range(12):
            began = time.perf_counter()
            torch.mm(a, b)
            if gpu:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        rates[name] = 2 * rows * width * columns / min(seconds) / 1e9
    return rates


if __name__ == "__main__":
    main()
