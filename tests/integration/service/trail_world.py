"""A trail to attack: acts through the one door, and a hand in the database behind its back."""

import sqlite3
from contextlib import closing

from intramural.domain.access import Action
from intramural.domain.audit_chain import commit, leaf_of, record_of
from intramural.domain.audit_tree import Tree


def acts(ctx, *targets, action=Action.JOB_CANCEL):
    for target in targets:
        with ctx.act(action, target=target):
            pass


def behind(ctx, *statements):
    """What somebody does who can write the database, but has neither the key nor the home."""
    with closing(sqlite3.connect(ctx.home / "intramural.db")) as raw, raw:
        for statement in statements:
            raw.execute(*([statement] if isinstance(statement, str) else statement))


def rows(ctx):
    with closing(sqlite3.connect(ctx.home / "intramural.db")) as raw:
        return raw.execute("SELECT seq, at, kind, body, salt, commitment, leaf FROM audit_trail ORDER BY seq").fetchall()


def write_anew(ctx, found, *, note="note", heads=True):
    """Put a consistent chain of *found* in the place of the trail: every hash fits, only no signature."""
    before, tree, made = bytes(32), Tree(), []
    for seq, (_, at, kind, body, salt, _, _) in enumerate(found, 1):
        commitment = commit(salt, body.encode())
        before = leaf_of(record_of(seq, at, kind, before, commitment))
        tree.extend([before])
        made.append((seq, at, kind, body, salt, commitment, before))
    behind(ctx, "DELETE FROM audit_trail", *([] if heads else ["DELETE FROM audit_heads"]))
    with closing(sqlite3.connect(ctx.home / "intramural.db")) as raw, raw:
        raw.executemany("INSERT INTO audit_trail VALUES (?, ?, ?, ?, ?, ?, ?)", made)
        raw.execute(
            f"UPDATE audit_end SET size = ?, last_at = ?, leaf = ?, frontier = ?, note = {note}",  # noqa: S608  a test's words
            (tree.size, made[-1][1] if made else 0, before, tree.frontier),
        )
