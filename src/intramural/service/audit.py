"""The audit trail: read, searched, verified, proved, exported; held, and pruned of bodies whose time is over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from intramural.domain.access import Action
from intramural.domain.audit import (
    AuditCheck,
    AuditEntry,
    AuditFilter,
    AuditProof,
    Exported,
    Hold,
    Pruned,
)
from intramural.domain.audit_chain import TrailCheck, record_of, trail_leaves
from intramural.domain.audit_facts import TrailFacts
from intramural.domain.audit_head import PublicKey, TrailHead, read_head
from intramural.domain.audit_tree import Tree, inclusion_path
from intramural.domain.value import Digest, check_name
from intramural.errors import Conflict, IntegrityFailure, IntramuralError, InvalidInput, NotFound, Refused, Unavailable
from intramural.service.context import Context
from intramural.service.places import check_new_file
from intramural.store import Reading

HOLDS = (Action.AUDIT_HOLD, Action.AUDIT_RELEASE)


def list_audit(ctx: Context, limit: int = 20) -> list[AuditEntry]:
    """Return the newest entries, the newest last. Raises `Refused` for a role that may not read them."""
    return search_audit(ctx, AuditFilter(limit=limit))


def search_audit(ctx: Context, wanted: AuditFilter) -> list[AuditEntry]:
    """Return the newest entries that match, the newest last. Raises `Refused` for a role that may not read them."""
    _must_read(ctx)
    with ctx.read() as tx:
        return tx.audit.search(ctx.project, wanted)


def verify_audit(ctx: Context, *, accept: bool = False) -> AuditCheck:
    """
    Check the whole trail, and the rows it tells of. Raises `IntegrityFailure` that names the first that does not hold.

    With *accept* an owner answers for entries that were not signed, for rows that were changed, or for a database that
    was restored from an older backup: that is recorded, and signing goes on from there.
    """
    if accept:
        ctx.check(Action.AUDIT_VERIFY)
    else:
        _must_read(ctx)
    key = ctx.audit_key.public() if ctx.audit_key else None
    witness = ctx.audit_key.witness() if ctx.audit_key and not accept else None  # before the reading: never newer than it
    with ctx.read() as tx:
        end = _stored_end(tx)
        notes = [*tx.audit.heads(), *(each for each in (end.note if end else None, witness) if each)]
        check, told = TrailCheck(_signed(notes, key)), TrailFacts(ctx.project)
        for rows in tx.audit.links():
            check.feed(rows)
            told.feed(rows)
        count, fault = (0, None) if accept else _rows(tx, told)
    if end is None and check.tree.size:
        raise IntegrityFailure("The row that says where the trail ends is missing.", hint="Restore the database.", seq=1)
    check.finish(None if accept else end)
    if fault is not None:
        raise fault
    signed = max((read_head(each)[0] for each in notes), default=0)
    if check.tree.size > signed and ctx.audit_key is not None:
        if notes and not accept:
            raise _unsigned(signed + 1, check.tree.size)
        signed = _sign(ctx, check, signed + 1, accept=accept)
    elif accept and ctx.audit_key is not None:
        signed = _sign(ctx, check, signed + 1, accept=True)
    return AuditCheck(
        entries=check.tree.size,
        pruned=len(check.pruned),
        signed=signed,
        clock_set_back=check.clock_set_back,
        rows=count,
        root=check.tree.root().hex(),
        key=key.line() if key else "",
    )


def _unsigned(first: int, last: int) -> IntegrityFailure:
    span = f"Entries {first} to {last} are" if last > first else f"Entry {first} is"
    return IntegrityFailure(
        f"{span} not signed: written while the signing key was away, or by somebody who does not hold it.",
        hint="If the key was away, restore keys/ and answer for them with `intramural audit verify --accept`.",
        seq=first,
        fault="unsigned",
    )


def _rows(tx: Reading, told: TrailFacts) -> tuple[int, IntramuralError | None]:
    """Return how many rows were looked at, and what is wrong with them, to be told when the trail itself is whole."""
    try:
        count = tx.check_rows()
        held = [f"{each.kind}:{each.id}" for each in tx.quarantines.all(told.project)]
        counting = [each.id for each in tx.approvals.all(told.project) if each.withdrawn_at is None]
        policy = tx.policies.present(told.project)
        told.check(held, counting, policy.digest if policy else None)
    except (IntegrityFailure, Unavailable) as error:
        return 0, error
    return count, None


def _sign(ctx: Context, check: TrailCheck, first: int, *, accept: bool) -> int:
    """Record that the trail was checked and is signed from *first* on; return how far the signature reaches."""
    assert ctx.audit_key is not None  # noqa: S101 - the caller asked
    end = TrailHead(check.tree.size, check.last_at, check.leaf, check.tree.frontier)
    ctx.audit_key.accept(end)
    with ctx.act(Action.AUDIT_VERIFY) as tx:
        if tx.audit.end().size != end.size:
            raise Unavailable("Something was recorded meanwhile.", hint="Verify again.")
        tx.audit.set_end(end)
        tx.concerns["detail"] = {"entries": end.size, "root": check.tree.root().hex(), "signed_from": first}
        if accept:
            tx.concerns["detail"] |= {"rows_accepted": tx.accept_rows()}
    return end.size + 1


def _stored_end(tx: Reading) -> TrailHead | None:
    try:
        return tx.audit.stored_end()
    except (ValueError, TypeError):
        raise IntegrityFailure(
            "The end of the trail, which the next entry is chained to, was edited.",
            hint="Compare with an export or a backup; `intramural audit verify --accept` writes it anew.",
            fault="end",
        ) from None


def _signed(notes: Iterable[str], key: PublicKey | None) -> dict[int, bytes]:
    """Return the roots that are signed, by size. Raises `IntegrityFailure` for a head that is not."""
    heads: dict[int, bytes] = {}
    for note in notes:
        if key is None:
            raise IntegrityFailure("The trail is signed, but its key is away.", hint="Restore keys/ from a backup.")
        size, root = key.verify(note)
        if heads.setdefault(size, root) != root:
            raise IntegrityFailure(
                f"Two different trails of {size} entries were signed: one was put in the other's place.",
                hint="Look for a copy of the database that was in use.",
                seq=size,
                fault="forked",
            )
    return heads


def prove_audit(ctx: Context, seq: int) -> AuditProof:
    """Return the proof that entry *seq* is in the signed trail. Raises `NotFound`."""
    _must_read(ctx)
    with ctx.read() as tx:
        end = tx.audit.end()
        link = tx.audit.link(seq)
        if link is None:
            raise NotFound(f"There is no audit entry {seq}.", hint=f"They are numbered 1 to {end.size}.")
        before = tx.audit.link(seq - 1)
        signed = read_head(end.note)[0] if end.note else 0
        size = signed if signed >= seq else end.size
        leaves = tx.audit.leaves(size)
    tree = Tree()
    tree.extend(leaves)
    entry = AuditEntry.model_validate_json(link.body) if link.body is not None else None
    if entry is not None and entry.project != ctx.project:
        raise NotFound(f"Audit entry {seq} is of another project.", hint="Ask there.")
    record = record_of(seq, link.at, link.kind, before.leaf if before else TrailHead.leaf, link.commitment)
    return AuditProof(
        entry=entry,
        seq=seq,
        record=record.hex(),
        body=link.body.decode() if link.body is not None else None,
        salt=link.salt.hex() if link.salt is not None else None,
        leaf=link.leaf.hex(),
        leaf_index=seq - 1,
        tree_size=size,
        path=tuple(each.hex() for each in inclusion_path(leaves, seq - 1)),
        root=tree.root().hex(),
        head=end.note if size == signed else None,
    )


def export_audit(ctx: Context, file: Path, form: str = "ocsf", after: int = 0) -> Exported:
    """
    Write the entries after *after* to *file*, a new one, as `ocsf`, `cef` or `syslog`; an act that is recorded, and in it.

    Raises `InvalidInput` before anything is recorded where the file exists or cannot be made.
    """
    import intramural.connectors.siem as siem  # noqa: PLC0415, PLR0402 - only this verb writes them

    if form not in siem.FORMS:
        raise InvalidInput(f"There is no form {form}.", hint=f"Choose one of {', '.join(siem.FORMS)}.")
    ctx.check(Action.AUDIT_EXPORT, target=form)
    check_new_file(file)
    with ctx.act(Action.AUDIT_EXPORT, target=form) as tx:
        if not 0 <= after <= tx.audit.end().size:
            raise InvalidInput(f"There is no entry {after}.", hint=f"The trail has {tx.audit.end().size}.")
        tx.concerns["detail"] = {"after": after}
    with ctx.read() as tx:
        end = tx.audit.end()
        start = trail_leaves(tx.audit.links(upto=after)) if after else TrailHead()
        siem.write(file, form, start, end, tx.audit.links(after))
    signed = read_head(end.note)[0] if end.note else 0
    return Exported(file=str(file), entries=end.size - after, first=after + 1, last=end.size, signed=signed)


def hold_audit(ctx: Context, name: str, subject: str | None = None, target: str | None = None) -> Hold:
    """Stop the pruning of the bodies that a dispute may need: everybody's, or those of a subject or an object."""
    check_name(name)
    subject = f"user:{subject}" if subject and ":" not in subject else subject
    with ctx.act(Action.AUDIT_HOLD, target=name) as tx:
        if name in standing_holds(tx):
            raise Conflict(f"There is a hold {name} already.", hint="Release it first, or choose another name.")
        what = {"subject": subject, "target": target}
        tx.concerns["detail"] = {key: value for key, value in what.items() if value is not None}
        return Hold(name=name, since=ctx.now(), subject=subject, target=target)


def release_audit(ctx: Context, name: str) -> Hold:
    """End a hold. Raises `NotFound`."""
    with ctx.act(Action.AUDIT_RELEASE, target=name) as tx:
        hold = standing_holds(tx).get(name)
        if hold is None:
            raise NotFound(f"There is no hold {name}.", hint="`intramural audit holds` shows them.")
        return hold


def list_holds(ctx: Context) -> list[Hold]:
    """Return the holds that stand, oldest first."""
    _must_read(ctx)
    with ctx.read() as tx:
        return list(standing_holds(tx).values())


def standing_holds(tx: Reading) -> dict[str, Hold]:
    """Return the holds that stand, read from the trail itself: nothing else could lift one unseen."""
    holds: dict[str, Hold] = {}
    for act in tx.audit.trail_acts(*HOLDS):
        name = act.target or ""
        if act.action is Action.AUDIT_HOLD:
            holds[name] = Hold(name=name, since=act.at, **act.detail)
        else:
            holds.pop(name, None)
    return holds


def check_not_held(ctx: Context, tx: Reading, names: Iterable[tuple[str, Digest | None]]) -> None:
    """Raise `Refused` where a legal hold covers an entry about one of the objects *names*."""
    holds = standing_holds(tx).values()
    for name, digest in names if holds else ():
        holder = next((each for each in holds if _covers(ctx, tx, each, name, digest)), None)
        if holder is not None:
            raise Refused(
                f"{name} is under the hold {holder.name}.", hint="`intramural audit release` ends a hold.", rule="audit:hold"
            )


def _covers(ctx: Context, tx: Reading, hold: Hold, name: str, digest: Digest | None) -> bool:
    """Tell whether a hold is about an object: by its name or digest, and its subject by having acted on it."""
    if hold.target is not None:
        beginning = f"sha256:{hold.target.removeprefix('sha256:')}"
        if hold.target not in name and not (digest or "").startswith(beginning):
            return False
    acted = AuditFilter(subject=hold.subject, target=name, limit=1)
    return hold.subject is None or bool(tx.audit.search(ctx.project, acted))


def prune_audit(ctx: Context, *, dry_run: bool = False) -> Pruned:
    """Take away the bodies whose retention is over and no hold covers; the proof of each entry stays."""
    cutoffs = ctx.audit_retention.cutoffs(ctx.now())
    if dry_run:
        ctx.check(Action.AUDIT_PRUNE)
        with ctx.read() as tx:
            found = {
                kind: tx.audit.prunable(kind, before, list(standing_holds(tx).values())) for kind, before in cutoffs.items()
            }
    elif cutoffs:
        with ctx.act(Action.AUDIT_PRUNE) as tx:
            holds = list(standing_holds(tx).values())
            found = {kind: tx.audit.prunable(kind, before, holds) for kind, before in cutoffs.items()}
            for kind, before in cutoffs.items():
                tx.audit.prune(kind, before, holds)
            tx.concerns["detail"] = {
                "through": {kind.value: last for kind, (count, _, last) in found.items() if count},
                "bodies": {kind.value: count for kind, (count, _, _) in found.items() if count},
            }
        ctx.store.forget_log()
    else:
        ctx.check(Action.AUDIT_PRUNE)
        raise InvalidInput(
            "No retention is set, so every body is kept.", hint="Set audit_keep_access_days, for example, in intramural.toml."
        )
    return Pruned(
        entries={kind.value: count for kind, (count, _, _) in found.items()}, held=sum(held for _, held, _ in found.values())
    )


def _must_read(ctx: Context) -> None:
    if not ctx.actor.may(Action.AUDIT_READ):
        raise ctx.refuse(Action.AUDIT_READ, Refused("Only owners and members read the audit trail.", hint="Ask an owner."))
