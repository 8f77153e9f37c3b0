"""
Who may do what: actors, roles, actions. The entry that every act leaves is in `domain.audit`.

Permission and audit share one word list, `Action`, written `resource:verb`.
"""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.value import Value


class Action(StrEnum):
    """Everything a member or the system can do to the platform's state, or with its content."""

    MODEL_ADD = "model:add"
    MODEL_REMOVE = "model:remove"
    DATASET_ADD = "dataset:add"
    DATASET_SAMPLE = "dataset:sample"
    DATASET_SCAN = "dataset:scan"
    DATASET_TRACE = "dataset:trace"
    DATASET_REDACT = "dataset:redact"
    DATASET_SHRED = "dataset:shred"
    DATASET_REMOVE = "dataset:remove"
    JOB_SUBMIT = "job:submit"
    JOB_CANCEL = "job:cancel"
    JOB_PAUSE = "job:pause"
    JOB_RESUME = "job:resume"
    JOB_DRILL = "job:drill"
    JOB_REMOVE = "job:remove"
    RUN_START = "run:start"
    RUN_END = "run:end"
    ARTIFACT_EXPORT = "artifact:export"
    ARTIFACT_REMOVE = "artifact:remove"
    HOME_SWEEP = "home:sweep"
    EVIDENCE_EXPORT = "evidence:export"
    KEYS_ROTATE = "keys:rotate"
    POLICY_SET = "policy:set"
    POLICY_ADOPT = "policy:adopt"
    OBJECT_QUARANTINE = "object:quarantine"
    OBJECT_RELEASE = "object:release"
    OBJECT_APPROVE = "object:approve"
    APPROVAL_WITHDRAW = "approval:withdraw"
    PROFILE_MEASURE = "profile:measure"
    AUDIT_READ = "audit:read"
    AUDIT_EXPORT = "audit:export"
    AUDIT_VERIFY = "audit:verify"
    AUDIT_PRUNE = "audit:prune"
    AUDIT_HOLD = "audit:hold"
    AUDIT_RELEASE = "audit:release"


class Role(StrEnum):
    """A bundle of actions a member holds in a project."""

    OWNER = "owner"
    MEMBER = "member"
    VIEWER = "viewer"
    SYSTEM = "system"


_SYSTEM = frozenset({Action.RUN_START, Action.RUN_END})
_OWNER_ONLY = frozenset(
    {
        Action.MODEL_REMOVE,
        Action.DATASET_SHRED,
        Action.DATASET_REMOVE,
        Action.JOB_REMOVE,
        Action.ARTIFACT_REMOVE,
        Action.HOME_SWEEP,
        Action.KEYS_ROTATE,
        Action.POLICY_SET,
        Action.OBJECT_RELEASE,
        Action.AUDIT_EXPORT,
        Action.AUDIT_VERIFY,
        Action.AUDIT_PRUNE,
        Action.AUDIT_HOLD,
        Action.AUDIT_RELEASE,
    }
)

ALLOWED: dict[Role, frozenset[Action]] = {
    Role.OWNER: frozenset(Action) - _SYSTEM,
    Role.MEMBER: frozenset(Action) - _SYSTEM - _OWNER_ONLY,
    Role.VIEWER: frozenset(),
    Role.SYSTEM: _SYSTEM | {Action.HOME_SWEEP, Action.POLICY_ADOPT},
}


class Actor(Value):
    """Who acts: a subject and the roles it holds, as its authenticator found them."""

    subject: str
    """`user:alice` for a person, `system:scheduler` for the platform itself."""
    role: Role

    def may(self, action: Action) -> bool:
        """Tell whether the actor's role holds *action*."""
        return action in ALLOWED[self.role]
