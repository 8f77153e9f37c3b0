"""
Who may do what: actors, roles, actions, and the entry every act leaves.

Permission and audit share one word list, `Action`, written `resource:verb`.
"""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.value import Instant, ProjectId, Value


class Action(StrEnum):
    """Everything a member or the system can do to the platform's state, or with its content."""

    MODEL_ADD = "model:add"
    MODEL_REMOVE = "model:remove"
    DATASET_ADD = "dataset:add"
    DATASET_SAMPLE = "dataset:sample"
    JOB_SUBMIT = "job:submit"
    JOB_CANCEL = "job:cancel"
    JOB_PAUSE = "job:pause"
    JOB_RESUME = "job:resume"
    JOB_DRILL = "job:drill"
    RUN_START = "run:start"
    RUN_END = "run:end"
    ARTIFACT_EXPORT = "artifact:export"
    AUDIT_READ = "audit:read"


class Role(StrEnum):
    """A bundle of actions a member holds in a project."""

    OWNER = "owner"
    MEMBER = "member"
    VIEWER = "viewer"
    SYSTEM = "system"


_SYSTEM = frozenset({Action.RUN_START, Action.RUN_END})
_OWNER_ONLY = frozenset({Action.MODEL_REMOVE})

ALLOWED: dict[Role, frozenset[Action]] = {
    Role.OWNER: frozenset(Action) - _SYSTEM,
    Role.MEMBER: frozenset(Action) - _SYSTEM - _OWNER_ONLY,
    Role.VIEWER: frozenset(),
    Role.SYSTEM: _SYSTEM,
}


class Actor(Value):
    """Who acts: a subject and the roles it holds, as its authenticator found them."""

    subject: str
    """`user:alice` for a person, `system:scheduler` for the platform itself."""
    role: Role

    def may(self, action: Action) -> bool:
        """Tell whether the actor's role holds *action*."""
        return action in ALLOWED[self.role]


class Decision(StrEnum):
    """How an act ended at the door."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class AuditEntry(Value):
    """One act or one refusal, written in the transaction of the act."""

    at: Instant
    project: ProjectId
    subject: str
    action: Action
    decision: Decision
    target: str | None = None
    """What it was about, by name or digest; never content."""
    rule: str | None = None
    """The rule that refused it."""
