"""
The policy that holds: of the home's file, as it was set, or the defaults; and how it comes to be in the trail.

Whoever can write the home can put another file there, and no act says so. So the first act that would decide by
another policy than the last one on record is preceded by an act of its own, `policy:adopt`. An act that finds a policy
which is not on record goes no further: nothing is decided by a policy that the trail does not name.
"""

from __future__ import annotations

from intramural.domain.access import Action
from intramural.domain.policy import StoredPolicy, default_policy, read_policy
from intramural.domain.value import ProjectId
from intramural.errors import Conflict, InvalidInput
from intramural.service.context import Context
from intramural.store import Reading, Transaction

POLICY_FILE = "policy.yaml"
FROM_HOME = "policy.yaml of the home"
DEFAULTS = "defaults"
LARGEST_FILE = 1 << 20


class PolicyMoved(Conflict):
    """Another policy came to hold between the act that records it and the act that decides by it."""


class _OnRecord(Exception):
    """Somebody was faster; the act is rolled back and leaves no entry."""


def present_policy(ctx: Context, tx: Reading, project: ProjectId) -> StoredPolicy:
    """Return the policy that holds. Raises `InvalidInput` for a file that says none; within an act `PolicyMoved`."""
    present = _found(ctx, tx, project)
    if isinstance(tx, Transaction) and not _is_on_record(tx, project, present):
        raise PolicyMoved("The policy changed while this was decided.", hint="Do it again.")
    return present


def adopt_policy(ctx: Context, project: ProjectId | None = None) -> None:
    """
    Record the policy that holds where it is not the last one on record, before an act decides by it.

    A file that says no policy is not recorded: it allows nothing.
    """
    project = project or ctx.project
    if not ctx.actor.may(Action.POLICY_ADOPT):
        return  # who may not record it may do nothing that decides by it
    try:
        with ctx.read() as tx:
            if _is_on_record(tx, project, _found(ctx, tx, project)):
                return
        with ctx.act(Action.POLICY_ADOPT, project, target="policy") as tx:
            present, before = _found(ctx, tx, project), _last(tx, project)
            if _is_on_record(tx, project, present):
                raise _OnRecord
            tx.policies.add(project, kept(ctx, present), is_set=False)
            was = {"before": before.digest, "source_before": before.source} if before is not None else {}
            tx.concerns.update(target=f"policy: {present.source}", digest=present.digest)
            tx.concerns["detail"] = {"source": present.source, **was}
    except (_OnRecord, InvalidInput):
        return


def kept(ctx: Context, policy: StoredPolicy) -> StoredPolicy:
    """Return *policy* as it is stored: with who came upon it and when, where nobody set it."""
    return policy if policy.at is not None else policy.model_copy(update={"by": ctx.actor.subject, "at": ctx.now()})


def _found(ctx: Context, tx: Reading, project: ProjectId) -> StoredPolicy:
    path = ctx.home / POLICY_FILE
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LARGEST_FILE)
    except FileNotFoundError:
        return tx.policies.present(project) or _defaults()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {type(error).__name__}.", hint="Mend the file.") from None
    policy = read_policy(text, where=POLICY_FILE)
    return StoredPolicy(digest=policy.digest, policy=policy, source=FROM_HOME)


def _is_on_record(tx: Reading, project: ProjectId, present: StoredPolicy) -> bool:
    last = _last(tx, project) or _defaults()
    return (last.digest, last.source) == (present.digest, present.source)


def _last(tx: Reading, project: ProjectId) -> StoredPolicy | None:
    """Return the policy that was recorded last: set, adopted, or the defaults that a job froze before there was another."""
    return tx.policies.matching(project, "")  # every digest begins so: the newest row


def _defaults() -> StoredPolicy:
    policy = default_policy()
    return StoredPolicy(digest=policy.digest, policy=policy, source=DEFAULTS)
