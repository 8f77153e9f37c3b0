"""
The context of an act: who acts, on what, with which parts; and the one door to writing.

`ctx.act` checks the role, opens the only kind of writing transaction, and leaves the audit
entry in it. A refusal is recorded too, in a transaction of its own, because the refused
one is rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from intramural.domain.access import Action, Actor
from intramural.domain.audit import AuditEntry, AuditRetention, Decision, Origin
from intramural.domain.audit_head import TrailHead
from intramural.domain.confinement import Level
from intramural.domain.value import ProjectId
from intramural.domain.views import ModelSource
from intramural.errors import Refused
from intramural.service.audit_key import AuditKey
from intramural.store import Reading, Store, Transaction
from intramural.vault import Vault
from intramural.vault.providers import KeyChoice, KeyProvider, open_provider

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


class ApproversFile(NamedTuple):
    """The list of approvers, outside the home, and who alone may be able to change it."""

    path: Path
    owner: int = 0
    """The user id of the administrator."""


class StartReader(Protocol):
    """Starts a program of ours on foreign bytes, confined as this machine can."""

    def __call__(
        self, module: str, arguments: Sequence[str], *, pass_fds: Sequence[int], read_only: Sequence[str]
    ) -> AbstractContextManager[object]:
        """Run `python -m MODULE ARGUMENTS` with nothing but *pass_fds* until the block ends."""


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
    keys: KeyChoice | None = None
    """Who holds the customer's key; by default key files in the home."""
    region: str | None = None
    """Where this machine is, if its operator said so."""
    spot: bool = False
    """Whether this machine can be taken away at any moment."""
    level: Callable[[], Level] = lambda: Level.NONE
    """How firmly runs are confined here; none until the executor says otherwise."""
    level_reasons: Callable[[], tuple[str, ...]] = tuple
    """Why they are not confined more firmly."""
    swap: Callable[[], str] = lambda: "machine"
    """What keeps runs out of swap, as a receipt says it: `cgroup`, the `machine` that has none, or `nothing`."""
    origin: Origin | None = None
    """From where the actor acts."""
    audit_key: AuditKey | None = None
    """Signs the trail; without one it is chained, and nobody vouches for it."""
    audit_retention: AuditRetention = field(default_factory=AuditRetention)
    start_reader: StartReader | None = None
    """Starts what reads foreign files; without it they are read in this process."""
    approvers: ApproversFile | None = None
    """Who may approve; without a list nobody may."""

    @property
    def runs(self) -> Path:
        """Where run directories are."""
        return self.home / "runs"

    @cached_property
    def key_provider(self) -> KeyProvider:
        """Who wraps and unwraps the scope keys."""
        return open_provider(self.keys or KeyChoice(folder=self.home / "keys"))

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
        """
        Open the transaction of one act; record it, or the refusal that ends it.

        What is known only inside goes into `tx.concerns`: the object's `digest`, its `target`, a `detail`.
        """
        project = project or self.project
        self.check(action, project, target=target)
        try:
            with self.store.writing() as tx:
                yield tx
                entry = self._entry(action, Decision.ALLOWED, target, None, project)
                end = self._append(tx, entry.model_copy(update=tx.concerns))
        except Refused as refusal:
            self._record(action, Decision.REFUSED, target, rule=str(refusal.about.get("rule", refusal.code)), project=project)
            raise
        self._committed(end)

    def refuse(self, action: Action, refusal: Refused, *, target: str | None = None) -> Refused:
        """Record a refusal that slow work came to outside a transaction; return it for raising."""
        self._record(action, Decision.REFUSED, target, rule=str(refusal.about.get("rule", refusal.code)))
        return refusal

    def _record(
        self, action: Action, decision: Decision, target: str | None, *, rule: str | None, project: ProjectId | None = None
    ) -> None:
        with self.store.writing() as tx:
            end = self._append(tx, self._entry(action, decision, target, rule, project or self.project))
        self._committed(end)

    def _append(self, tx: Transaction, entry: AuditEntry) -> TrailHead:
        return tx.audit.append(entry, self.audit_key)

    def _committed(self, end: TrailHead) -> None:
        """Only what is on the disk is witnessed: a head of an act that was rolled back would be a false alarm."""
        if self.audit_key is not None:
            self.audit_key.remember(end)

    def _entry(
        self, action: Action, decision: Decision, target: str | None, rule: str | None, project: ProjectId
    ) -> AuditEntry:
        name, digest = _name_and_digest(target)
        return AuditEntry(
            at=self.now(),
            project=project,
            subject=self.actor.subject,
            action=action,
            decision=decision,
            target=name,
            digest=digest,
            rule=rule,
            origin=self.origin,
        )


def _name_and_digest(target: str | None) -> tuple[str | None, str | None]:
    """Part `name sha256:…`."""
    found = re.fullmatch(r"(.+) (sha256:[0-9a-f]{64})", target or "", re.DOTALL)
    return (found[1], found[2]) if found else (target, None)
