"""
The audit trail in figures: what an act costs, how fast entries are appended, how long a verification takes.

    python bench/bench_audit.py [--entries 1000000] [--acts 500]

Prints seconds on the clock and of the processor, because a busy machine stretches only the
former. The long trail is written as rows, since nobody needs a million commits to be
measured one by one.
"""

import argparse
import json
import os
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from intramural.app.open import local_user, open_context
from intramural.connectors.audit_file import check_audit_file
from intramural.domain.access import Action
from intramural.domain.audit import AuditEntry, Decision
from intramural.domain.audit_chain import NUMBERS, SALT_BYTES, commit, leaf_of, microseconds, record_of
from intramural.domain.audit_head import TrailHead
from intramural.domain.value import digest_of_bytes
from intramural.errors import IntegrityFailure
from intramural.service.audit import export_audit, prove_audit, verify_audit
from intramural.settings import load_settings

APPENDED = 5_000
PER_BATCH = 50_000
OFFLINE = 1_000_000
"""The most entries that are exported and checked from the file, some 1.3 GB."""


def measured(what, work, count=1):
    wall, processor = time.perf_counter(), time.process_time()
    answer = work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{what:34} {wall:8.2f} s on the clock {processor:8.2f} s of processor", end="")
    print(f" {count / wall:12,.0f} /s" if count > 1 else "")
    return answer


def act(context, count):
    for _ in range(count):
        with context.act(Action.JOB_CANCEL, target="tickets-router"):
            pass


def appended(context, count):
    """Append one by one as an act does, in one transaction: the chain, the tree, the signature and the statements."""
    with context.store.writing() as tx:
        for number in range(count):
            end = tx.audit.append(an_entry(context, number), context.audit_key)
            context.audit_key.remember(end)


def an_entry(context, number):
    return AuditEntry(
        at=datetime.now(UTC),
        project=context.project,
        subject=f"user:member-{number % 97}",
        action=Action.DATASET_SAMPLE if number % 3 else Action.JOB_SUBMIT,
        decision=Decision.REFUSED if number % 41 == 0 else Decision.ALLOWED,
        target=f"tickets-{number % 1009}@1",
        digest=digest_of_bytes(str(number % 1009).encode()),
        origin=context.origin,
    )


def fill(context, count):
    """Write *count* more entries as rows, with the functions of the chain; the last act signs them."""
    with context.store.reading() as tx:
        end = tx.audit.end()
    seq, leaf, tree = end.size, end.leaf, end.tree
    kinds = [(entry, NUMBERS[entry.kind]) for entry in (an_entry(context, number) for number in range(1009))]
    bodies = [(entry.model_dump(mode="json", exclude_defaults=True), kind) for entry, kind in kinds]
    at = microseconds(datetime.now(UTC))
    with closing(sqlite3.connect(context.home / "intramural.db")) as raw, raw:
        for _ in range(0, count, PER_BATCH):
            rows = []
            for _ in range(min(PER_BATCH, end.size + count - seq)):
                seq, at, salt = seq + 1, at + 1, os.urandom(SALT_BYTES)
                document, kind = bodies[seq % len(bodies)]
                body = json.dumps({**document, "seq": seq}, sort_keys=True, separators=(",", ":"))
                commitment = commit(salt, body.encode())
                leaf = leaf_of(record_of(seq, at, kind, leaf, commitment))
                rows.append((seq, at, kind, body, salt, commitment, leaf))
            raw.executemany("INSERT INTO audit_trail VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            tree.extend([row[-1] for row in rows])
    filled = TrailHead(seq, at, leaf, tree.frontier)
    context.audit_key.accept(filled)
    with context.act(Action.AUDIT_VERIFY) as tx:
        tx.audit.set_end(filled)


def changed_entry_is_named(context, seq):
    with closing(sqlite3.connect(context.home / "intramural.db")) as raw, raw:
        raw.execute("UPDATE audit_trail SET body = replace(body, 'member', 'mumble') WHERE seq = ?", (seq,))
    named = None
    try:
        verify_audit(context)
    except IntegrityFailure as error:
        named = error.about["seq"]
    assert named == seq


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--entries", type=int, default=1_000_000)
    options.add_argument("--acts", type=int, default=500)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-audit-") as folder:
        home = Path(folder)
        context = open_context(load_settings(home), local_user())
        act(context, 20)
        measured(f"{asked.acts:,} acts, each committed", lambda: act(context, asked.acts), asked.acts)
        measured(f"append {APPENDED:,} in one transaction", lambda: appended(context, APPENDED), APPENDED)
        fill(context, asked.entries - asked.acts - APPENDED - 21)
        size = os.stat(home / "intramural.db").st_size
        check = measured(f"verify {asked.entries:,} entries", lambda: verify_audit(context), asked.entries)
        print(f"{'':34} {check.signed:,} signed, {size / check.entries:,.0f} bytes each on the disk")
        proof = measured("prove one of them", lambda: prove_audit(context, asked.entries // 3))
        print(f"{'':34} {len(proof.path)} hashes")
        after = max(0, asked.entries - OFFLINE)
        file = home / "export.jsonl"
        done = measured(f"export the last {OFFLINE:,}", lambda: export_audit(context, file, after=after), OFFLINE)
        measured("verify the exported file", lambda: check_audit_file(file, context.audit_key.public()), done.entries)
        measured("find a changed entry", lambda: changed_entry_is_named(context, asked.entries // 2))
        context.store.close()


if __name__ == "__main__":
    main()
