"""The chain across processes, kills and older databases."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress

from factories import NOON, an_audit_entry
from intramural.app.open import open_client
from intramural.domain.audit_chain import Link, TrailCheck
from intramural.store import Store
from intramural.store.tables import SCHEMA_VERSION

ACT = """
import sys
from pathlib import Path
from intramural.app.open import local_user, open_context
from intramural.domain.access import Action
from intramural.settings import load_settings
ctx = open_context(load_settings(Path(sys.argv[1])), local_user())
for n in range(int(sys.argv[3])):
    with ctx.act(Action.JOB_CANCEL, target=f"{sys.argv[2]}-{n}"):
        pass
    print(n, flush=True)
"""


def start(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def verified(home):
    check = open_client(home).verify_audit()
    return [check.entries, check.signed]


def test_processes_that_begin_and_write_at_once_make_one_chain(tmp_path):
    """As the scheduler and the command line do; also the key is made by whoever is first."""
    writers = [start(ACT, tmp_path, name, 20) for name in ("one", "two")]
    try:
        for each in writers:
            each.communicate(timeout=300)
    finally:
        for each in writers:
            each.kill()

    assert [each.returncode for each in writers] == [0, 0]
    assert verified(tmp_path) == [40, 40]
    with Store.in_file(tmp_path / "intramural.db").reading() as tx:
        targets = [each.target for each in tx.audit.newest("default", 100)]
    assert sorted(targets) == sorted(f"{name}-{n}" for name in ("one", "two") for n in range(20))


def test_a_killed_process_leaves_a_whole_and_signed_trail(tmp_path):
    written = 0
    for pause in (0.0, 0.03):
        writer = start(ACT, tmp_path, "one", 10_000)
        assert writer.stdout.readline()
        time.sleep(pause)
        os.kill(writer.pid, signal.SIGKILL)
        said = 1 + len(writer.communicate()[0].splitlines())
        entries, signed = verified(tmp_path)
        assert entries == signed >= written + said
        written = entries


OLD = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1);
CREATE TABLE audit_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at FLOAT NOT NULL, project VARCHAR NOT NULL, document JSON NOT NULL
);
"""


def test_entries_from_before_the_chain_are_taken_over_and_say_so(tmp_path):
    old = [
        {
            "at": f"2026-11-02T12:00:0{n}Z",
            "project": "default",
            "subject": "user:alice",
            "action": "job:submit",
            "decision": "allowed",
            "target": f"router-{n}",
            "rule": None,
        }
        for n in range(3)
    ]
    with closing(sqlite3.connect(tmp_path / "intramural.db")) as raw, raw:
        raw.executescript(OLD)
        for each in old:
            raw.execute("INSERT INTO audit_entries (at, project, document) VALUES (0, 'default', ?)", (json.dumps(each),))

    assert verified(tmp_path)[0] == 3
    assert verified(tmp_path) == [4, 4]
    with Store.in_file(tmp_path / "intramural.db").reading() as tx:
        entries = tx.audit.newest("default", 10)
    assert [(each.target, each.taken_over) for each in entries[:3]] == [(f"router-{n}", True) for n in range(3)]
    assert (entries[3].action, entries[3].detail["signed_from"]) == ("audit:verify", 1)
    with closing(sqlite3.connect(tmp_path / "intramural.db")) as raw:
        assert raw.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]
        assert raw.execute("SELECT count(*) FROM sqlite_master WHERE name = 'audit_entries'").fetchone() == (0,)


def test_a_transaction_that_is_rolled_back_leaves_no_gap(tmp_path):
    store = Store.in_file(tmp_path / "intramural.db")

    def broken():
        with store.writing() as tx:
            tx.audit.append(an_audit_entry(target="lost"))
            raise KeyError

    for target in ("one", "two"):
        with store.writing() as tx:
            tx.audit.append(an_audit_entry(target=target, at=NOON))
        with suppress(KeyError):
            broken()

    check = TrailCheck({})
    with store.reading() as tx:
        check.feed([Link(*each) for rows in tx.audit.links() for each in rows])
        check.finish(tx.audit.stored_end())
    assert check.tree.size == 2
