"""
Quarantine: an object that no new run uses and that does not leave, until an owner releases it.

What a quarantine forbids is the policy's rule `quarantine`. A run that is under way goes
on; its job gets no further attempt.
"""

from __future__ import annotations

from intramural.domain.access import Action
from intramural.domain.lineage import Graph, LineageObject, ObjectKind, Quarantine, QuarantineAnswer
from intramural.errors import Conflict, InvalidInput
from intramural.service.context import Context
from intramural.service.lineage import find_object, graph_of
from intramural.store import Transaction

MOST_LETTERS = 500
KINDS = {ObjectKind.MODEL, ObjectKind.DATA, ObjectKind.JOB, ObjectKind.ARTIFACT}
"""What can be in quarantine; runs and checkpoints are with their job."""


def quarantine_object(ctx: Context, ref: str, reason: str, *, downstream: bool = False) -> QuarantineAnswer:
    """Put an object in quarantine, with *downstream* everything made of it too. Raises `Conflict` where nothing changes."""
    if not 0 < len(reason.strip()) <= MOST_LETTERS:
        raise InvalidInput(f"A reason has 1 to {MOST_LETTERS} letters.", hint="Say why in a sentence, without any content.")
    with ctx.act(Action.OBJECT_QUARANTINE, target=ref) as tx:
        found, graph = _found(ctx, tx, ref)
        below = _below(graph, found)
        new = [each for each in (found, *(below if downstream else ())) if not each.quarantined]
        if not new:
            raise Conflict(f"{found.key} is in quarantine already.", hint="`intramural quarantine` lists everything that is.")
        for each in new:
            tx.quarantines.add(_quarantine(ctx, each, reason.strip(), None if each == found else found.key))
        tx.concerns.update(target=found.key, digest=found.digest, detail={"objects": [each.key for each in new]})
    return _answer(found, new, [each for each in below if not each.quarantined and each not in new], held=True)


def release_object(ctx: Context, ref: str, *, downstream: bool = False) -> QuarantineAnswer:
    """End an object's quarantine, with *downstream* of what went in because of it too. Raises `Conflict` if it is in none."""
    with ctx.act(Action.OBJECT_RELEASE, target=ref) as tx:
        found, graph = _found(ctx, tx, ref)
        every = tx.quarantines.all(ctx.project)
        own = [each for each in every if each.covers(found.kind, found.id, found.digest)]
        ended = own + [each for each in every if downstream and each.because_of == found.key and each not in own]
        if not ended:
            raise Conflict(f"{found.key} is not in quarantine.", hint="`intramural quarantine` lists everything that is.")
        for each in ended:
            tx.quarantines.remove(ctx.project, each.kind, each.id)
        tx.concerns.update(target=found.key, digest=found.digest, detail={"objects": [each.key for each in ended]})
    gone = {each.key for each in ended}
    out = [each for each in graph.objects.values() if each.key in gone or each == found]
    return _answer(found, out, [each for each in _below(graph, found) if each.quarantined and each.key not in gone], held=False)


def list_quarantined(ctx: Context) -> list[Quarantine]:
    """Return everything in quarantine, oldest first."""
    with ctx.read() as tx:
        return tx.quarantines.all(ctx.project)


def _found(ctx: Context, tx: Transaction, ref: str) -> tuple[LineageObject, Graph]:
    key = find_object(ctx, tx, ref)
    graph = graph_of(ctx, tx)
    found = graph.objects[key]
    if found.kind not in KINDS:
        raise InvalidInput(f"A {found.kind} is in quarantine with its job.", hint="Name the job.")
    return found, graph


def _below(graph: Graph, found: LineageObject) -> list[LineageObject]:
    return [each for each in graph.below(found.key) if each.kind in KINDS]


def _quarantine(ctx: Context, found: LineageObject, reason: str, because_of: str | None) -> Quarantine:
    return Quarantine(
        project=ctx.project,
        kind=found.kind,
        id=found.id,
        # A job's digest is that of its spec, which other jobs may share.
        digest=None if found.kind is ObjectKind.JOB else found.digest,
        reason=reason,
        by=ctx.actor.subject,
        at=ctx.now(),
        because_of=because_of,
    )


def _answer(found: LineageObject, changed: list[LineageObject], rest: list[LineageObject], *, held: bool) -> QuarantineAnswer:
    after = {"quarantined": held}
    return QuarantineAnswer(
        object=found.model_copy(update=after),
        changed=tuple(each.model_copy(update=after) for each in changed),
        downstream=tuple(rest),
    )
