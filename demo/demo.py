"""
The main job, from nothing: a starter model, made tickets, one fine-tune, a report.

Every step is a command a person could type; each is printed before it runs. What is there
already is used again, and a job that an earlier call left running is followed to its end.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from intramural.intake.made_tickets import write_tickets

HERE = Path(__file__).resolve().parent
FOLDER = Path(".demo")
BASE = "smollm2-135m-instruct"
DATA = "demo-tickets"
JOB = "tickets-router"
ROWS = int(os.environ.get("DEMO_ROWS", "3000"))
"""Thousands are read and checked in seconds; the job trains on 720 of them, because `tune.yaml` bounds its steps."""
SEED = 7


def main() -> int:
    """Run the demo; return its exit code."""
    began = time.monotonic()
    os.chdir(HERE.parent)
    FOLDER.mkdir(exist_ok=True)
    os.environ["INTRAMURAL_HOME"] = str((FOLDER / "home").absolute())
    tickets = FOLDER / "tickets.jsonl"
    print(f"\nMaking {ROWS:,} support tickets of an invented company: {tickets}", flush=True)
    write_tickets(tickets, ROWS, SEED)
    if BASE not in {each["name"] for each in answer("model", "list")}:
        step("model", "add", BASE, "--starter", BASE)
    step("data", "add", str(tickets), "--name", DATA, "--class", "confidential", "--base", BASE)
    running = [each for each in answer("ps") if each["spec"]["name"] == JOB and each["state"] in {"queued", "running"}]
    if running:
        print(f"\nJob {running[0]['id']} of an earlier call is still under way.", flush=True)
        step("watch", running[0]["id"])
    else:
        checks = answer("run", "demo/tune.yaml", "--dry-run")["checks"]
        print("", *[each for each in checks if "confined" in each], sep="\n", flush=True)
        step("run", "demo/tune.yaml", "--wait")
    job = answer("ps")[0]
    report = FOLDER / "report.html"
    step("show", job["id"], "--html", "-o", str(report))
    print(f"\nDone in {time.monotonic() - began:.0f} s. The report: {report.absolute()}")
    print("More: INTRAMURAL_HOME=.demo/home .venv/bin/intramural --help")
    return 0 if job["state"] == "succeeded" else 1


def command(words: tuple[str, ...]) -> list[str]:
    """Return the command line of *words* in this environment."""
    return [str(Path(sys.executable).parent / "intramural"), *words]


def step(*words: str) -> None:
    """Print a command and run it; leave with its exit code when it fails."""
    print(f"\n$ intramural {shlex.join(words)}", flush=True)
    code = subprocess.run(command(words), check=False).returncode
    if code:
        sys.exit(code)


def answer(*words: str) -> Any:
    """Return the JSON document that a command prints; where that is an error, tell it and leave with its exit code."""
    done = subprocess.run(command((*words, "--json")), check=False, stdout=subprocess.PIPE)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = {"error": {"message": f"It said nothing and ended with {done.returncode}.", "hint": None}}
    if isinstance(document, dict) and "error" in document:
        print(f"\n`intramural {shlex.join(words)}` failed: {document['error']['message']}", file=sys.stderr)
        if document["error"]["hint"]:
            print(f"→ {document['error']['hint']}", file=sys.stderr)
        sys.exit(max(done.returncode, 1))
    return document


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nStopped. `make demo` goes on where this ended.")
        sys.exit(130)
