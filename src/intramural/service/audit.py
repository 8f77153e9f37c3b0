"""The audit trail, read."""

from __future__ import annotations

from intramural.domain.access import Action, AuditEntry
from intramural.errors import Refused
from intramural.service.context import Context


def list_audit(ctx: Context, limit: int = 20) -> list[AuditEntry]:
    """Return the newest entries, the newest last. Raises `Refused` for a role that may not read them."""
    if not ctx.actor.may(Action.AUDIT_READ):
        raise ctx.refuse(Action.AUDIT_READ, Refused("Only owners and members read the audit trail.", hint="Ask an owner."))
    with ctx.read() as tx:
        return tx.audit.newest(ctx.project, limit)
