"""
How fast the intake reads, beside plain `json.loads` per line over the same file in the same run.

    python bench/bench_intake.py [--megabytes 200] [--model FOLDER] [--sample LABELLED]

The intake screens every row on its way (see docs/concepts/findings.md): once in one process and in plain
files, once as `data add` does it, by confined readers and sealed. The rules alone are timed over the
same text. Prints MB/s of the source, peak memory of the intake's process and the ratio of the two
rates; with a model folder also tokens/s of the statistics. Each part runs in a process of
its own, in the order A B A B, and the best of each counts.

Beside the rules: Presidio's recognizers by pattern over the first megabyte of the same text, where the
package is installed (`make bench-intake` does), and with a labelled sample (the form of
`intramural data scan --sample`) precision and recall of both by kind.
"""

import argparse
import importlib.util
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from intramural.app.readers import ConfinedReaders
from intramural.intake.add import IngestOptions, ingest, score_sample
from intramural.intake.crew import Team
from intramural.intake.findings.scanner import Joined, scan
from intramural.intake.findings.screen import Screening
from intramural.intake.sources import list_sources, one_file
from intramural.intake.tokens import statistics
from intramural.sealing import Keyring, ScopeKey, SealContext, SealedFiles

WORDS = (
    "the",
    "of",
    "and",
    "in",
    "is",
    "you",
    "that",
    "meter",
    "for",
    "bill",
    "are",
    "with",
    "account",
    "they",
    "at",
    "one",
    "have",
    "this",
)
ROUNDS = 2
GOAL_MBS = 10
RULES_BATCH = 1000
SHARE_WITH_CONTACT = 0.05
PRESIDIO_BYTES = 1_000_000


def make_source(path: Path, megabytes: int):
    """Write chat rows of about 450 bytes; every fiftieth repeats an earlier one, every twentieth holds contacts."""
    rng = random.Random(7)  # noqa: S311  made data
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * 1_000_000:
            question, answer = (" ".join(rng.choices(WORDS, k=rng.randrange(10, 70))) for _ in "qa")
            if rng.random() < SHARE_WITH_CONTACT:
                question += f" Write to u{rng.randrange(10**6)}@example.com, call +49 30 {rng.randrange(10**6, 10**7)}."
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            line = json.dumps({"messages": turns}) + "\n"
            written += file.write(line)
            if rng.random() < 0.02:
                written += file.write(line)


def run_part(part: str, source: Path, work: Path, model: str | None):
    before = time.perf_counter()
    count = 0
    if part == "json":
        with source.open(encoding="utf-8") as file:
            for line in file:
                json.loads(line)
    elif part == "rules":
        count, seconds = run_rules(source)
        before = time.perf_counter() - seconds
    elif part == "ingest":
        count = ingest(source, work, IngestOptions()).rows_read
    elif part == "sealed":
        count = run_sealed(source, work)
    else:
        count = statistics(source, Path(model), "model").total
    seconds = time.perf_counter() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "count": count}))


def run_sealed(source: Path, work: Path):
    """Return the rows of the whole intake as `data add` does it: read within walls by as many as pay, and sealed."""
    key = ScopeKey.new("bench")
    files = SealedFiles(Keyring([key]), SealContext("bench", "dataset", "bench"), key.id)
    rules = work.parent / "rules"
    listed = list_sources([source])
    with Team(ConfinedReaders(work), listed.files, rules=rules) as team:
        return ingest(listed, work, IngestOptions(screening=Screening(cache_folder=rules)), files=files, team=team).rows_read


def run_rules(source: Path):
    """Return the findings and the seconds of the rules alone, over the texts of the source in batches."""
    count, seconds, batch = 0, 0.0, []
    scan(Joined(["warm"]))
    with source.open(encoding="utf-8") as file:
        for line in file:
            batch += [turn["content"] for turn in json.loads(line)["messages"]]
            if len(batch) >= RULES_BATCH:
                before = time.perf_counter()
                count += sum(map(len, scan(Joined(batch)).values()))
                seconds += time.perf_counter() - before
                batch.clear()
    return count, seconds


def texts_of(source: Path, target: Path, size: int):
    """Write the first *size* bytes of the source's turns as labelled lines without labels; return the characters."""
    characters = 0
    with source.open(encoding="utf-8") as rows, target.open("w", encoding="utf-8") as file:
        for row in rows:
            for turn in json.loads(row)["messages"]:
                characters += len(turn["content"])
                file.write(json.dumps({"text": turn["content"], "spans": []}) + "\n")
            if characters >= size:
                break
    return characters


def compare_presidio(texts: Path, characters: int, rules_rate: float, sample: Path | None):
    """Print how fast Presidio's patterns are on the same text, and how well both find what a sample labels."""
    theirs = peer(texts)
    rate = characters / 1e6 / theirs["seconds"]
    print(f"Presidio's rules   {rate:9.2f} MB/s, {theirs['count']} findings in {characters / 1e6:.1f} MB")
    print(f"ratio              {rules_rate / rate:9.0f}")
    if sample is None:
        return
    ours = {each.kind.value: each for each in score_sample(one_file(sample), Screening(), lambda *_: None).scores}
    print(f"\n{'kind':8}{'labelled':>9}{'recall':>9}{'Presidio':>9}{'precision':>11}{'Presidio':>9}")
    for kind, counts in peer(sample)["scores"].items():
        if counts["labelled"] and kind in ours:
            recall = counts["labelled_found"] / counts["labelled"]
            precision = counts["found_labelled"] / counts["found"] if counts["found"] else 0.0
            mine = ours[kind]
            print(
                f"{kind:8}{counts['labelled']:9}{mine.recall or 0:9.3f}{recall:9.3f}{mine.precision or 0:11.3f}{precision:9.3f}"
            )


def peer(texts: Path):
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("peer_presidio.py")), "--texts", str(texts)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measured(part: str, source: Path, work: Path, model: str | None):
    command = [sys.executable, __file__, "--part", part, "--source", str(source), "--work", str(work)]
    done = subprocess.run([*command, *(["--model", model] if model else [])], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--megabytes", type=int, default=200)
    options.add_argument("--model", help="a model folder: count tokens too")
    options.add_argument("--sample", type=Path, help="labelled texts: compare precision and recall with Presidio's")
    options.add_argument("--part", help=argparse.SUPPRESS)
    options.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.part:
        run_part(given.part, given.source, given.work, given.model)
        return
    with tempfile.TemporaryDirectory() as folder:
        source, work = Path(folder) / "source.jsonl", Path(folder) / "work"
        make_source(source, given.megabytes)
        megabytes = source.stat().st_size / 1e6
        best = {}
        for part in ("json", "ingest", "sealed", "rules") * ROUNDS:
            found = measured(part, source, work, None)
            if part not in best or found["seconds"] < best[part]["seconds"]:
                best[part] = found
        rates = {part: megabytes / found["seconds"] for part, found in best.items()}
        print(f"source             {megabytes:9.0f} MB, {best['ingest']['count']} rows")
        print(f"json.loads by line {rates['json']:9.1f} MB/s, peak {best['json']['peak_mib']:.0f} MiB")
        print(f"ingest             {rates['ingest']:9.1f} MB/s, peak {best['ingest']['peak_mib']:.0f} MiB")
        print(f"sealed, in walls   {rates['sealed']:9.1f} MB/s on {len(os.sched_getaffinity(0))} cores; goal {GOAL_MBS}")
        print(f"rules alone        {rates['rules']:9.1f} MB/s, {best['rules']['count']} findings")
        print(f"ratio              {rates['ingest'] / rates['json']:9.2f}")
        if importlib.util.find_spec("presidio_analyzer"):
            texts = Path(folder) / "texts.jsonl"
            compare_presidio(texts, texts_of(source, texts, PRESIDIO_BYTES), rates["rules"], given.sample)
        if given.model:
            found = measured("statistics", work / "train.jsonl", work, given.model)
            print(f"statistics         {found['count'] / found['seconds']:9.0f} tokens/s, peak {found['peak_mib']:.0f} MiB")


if __name__ == "__main__":
    main()
