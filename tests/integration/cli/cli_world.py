"""What the command line's tests share: rows, a job, and who schedules a home."""

import json
import sqlite3
import time
from contextlib import closing

from intramural.walls.processes import Process, boot_id

QUEUES = ["cards", "cash", "loans"]
TUNE = """
name: router
base: tiny
data: tickets
train:
  steps: 4
  effective_batch: 4
evaluate:
  max_new_tokens: 4
class: dev
"""


def chat(number):
    queue = QUEUES[number % 3]
    answer = json.dumps({"queue": queue})
    return {
        "messages": [{"role": "user", "content": f"SECRET-{number} about {queue}"}, {"role": "assistant", "content": answer}]
    }


def write_rows(path, rows):
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def scheduler_of(home):
    """The process that schedules *home*, or that did last; none while the next one is writing its name."""
    try:
        _, pid, start_time = (home / "scheduler.lock").read_text().split(":")
    except (FileNotFoundError, ValueError):
        return None
    return Process(int(pid), int(start_time), boot_id())


def end_scheduler(home):
    """Kill the process that schedules *home*, if one was ever started; it may be about to say who it is."""
    if (home / "scheduler.log").exists():
        until(lambda: scheduler_of(home)).kill()


def copy_store(source, target):
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copy:
        database.backup(copy)


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found
