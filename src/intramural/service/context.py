"""
The context of an act: who acts, on what, with which parts; and the one door to writing.

`ctx.act` checks the role, opens the only kind of writing transaction, and leaves the audit
entry in it. A refusal is recorded too, in a transaction of its own, because the refused
one is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from intramural.domain.access import Action, Actor, AuditEntry, Decision
from intramural.domain.value import ProjectId
from intramural.domain.views import ModelSource
from intramural.errors import Refused
from intramural.store import Reading, Store, Transaction
from intramural.vault import Vault

OnProgress = Callable[[int, int, str], None]
"""Told how much is done, of how much, and in words what."""


class ModelBuilder(Protocol):
    """Produces or checks a model's folder; needs the workloads' libraries, so it is a process somewhere."""

    def build(self, source: ModelSource, target: Path, on_progress: OnProgress) -> dict[str, Any]:
        """Fill (or, for a folder source, only check) *target*; return what the model is."""


class RunControl(Protocol):
    """Reaches a run's process."""

    def kill(self, run_folder: Path) -> bool:
        """Send SIGKILL; tell whether there was a process."""

    def checkpoint(self, run_folder: Path) -> bool:
        """Ask for a checkpoint now; tell whether there was a process."""


@dataclass(frozen=True)
class Context:
    """Everything a verb needs."""

    store: Store
    vault: Vault
    home: Path
    actor: Actor
    project: ProjectId
    now: Callable[[], datetime]
    new_id: Callable[[str], str]
    model_builder: ModelBuilder
    run_control: RunControl
    hub_endpoint: str | None = None
    parallel_runs: int = 1

    @property
    def runs(self) -> Path:
        """Where run directories are."""
        return self.home / "runs"

    def read(self) -> AbstractContextManager[Reading]:
        """Read one consistent state."""
        return self.store.reading()

    def check(self, action: Action, project: ProjectId | None = None, *, target: str | None = None) -> None:
        """Refuse, and record it, before slow work begins that would end in *action*."""
        if not self.actor.may(action):
            self._record(action, Decision.REFUSED, target, rule=f"role:{self.actor.role}", project=project)
            raise Refused(f"{self.actor.subject} ({self.actor.role}) may not {action}.", hint="Ask an owner of the project.")

    @contextmanager
    def act(self, action: Action, project: ProjectId | None = None, *, target: str | None = None) -> Iterator[Transaction]:
        """Open the transaction of one act; record it, or the refusal that ends it."""
        project = project or self.project
        self.check(action, project, target=target)
        try:
            with self.store.writing() as tx:
                yield tx
                tx.audit.append(self._entry(action, Decision.ALLOWED, target, None, project))
        except Refused as refusal:
            self._record(action, Decision.REFUSED, target, rule=str(refusal.about.get("rule", refusal.code)), project=project)
            raise

    def refuse(self, action: Action, refusal: Refused, *, target: str | None = None) -> Refused:
        """Record a refusal that slow work came to outside a transaction; return it for raising."""
        self._record(action, Decision.REFUSED, target, rule=str(refusal.about.get("rule", refusal.code)))
        return refusal

    def _record(
        self, action: Action, decision: Decision, target: str | None, *, rule: str | None, project: ProjectId | None = None
    ) -> None:
        with self.store.writing() as tx:
            tx.audit.append(self._entry(action, decision, target, rule, project or self.project))

    def _entry(
        self, action: Action, decision: Decision, target: str | None, rule: str | None, project: ProjectId
    ) -> AuditEntry:
        return AuditEntry(
            at=self.now(),
            project=project,
            subject=self.actor.subject,
            action=action,
            decision=decision,
            target=target,
            rule=rule,
        )
