"""
What came from what: base models, dataset versions, jobs, runs, checkpoints and artifacts as one graph.

An object is named by its kind and its name, written `data:tickets@1`; the graph holds
which objects an object was made of, and is walked both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from intramural.domain.label import Label
from intramural.domain.value import ArtifactId, Digest, Instant, JobId, ProjectId, Value


class ObjectKind(StrEnum):
    """What an object of the graph is."""

    MODEL = "model"
    DATA = "data"
    JOB = "job"
    RUN = "run"
    CHECKPOINT = "checkpoint"
    ARTIFACT = "artifact"


class LineageObject(Value):
    """One object of the graph."""

    kind: ObjectKind
    id: str
    """What a person types: a model's name, `tickets@1`, a job's or an artifact's id."""
    title: str
    """What it is, in a few words."""
    digest: Digest | None = None
    label: Label | None = None
    """How private it is; none where nothing is known, as of base models."""
    quarantined: bool = False
    shredded: bool = False

    @property
    def key(self) -> str:
        """`data:tickets@1`"""
        return f"{self.kind}:{self.id}"


class Branch(Value):
    """An object, and what lies beyond it in one direction."""

    object: LineageObject
    branches: tuple[Branch, ...] = ()


class LineageTree(Value):
    """One object with everything it was made of, and everything made of it."""

    object: LineageObject
    up: tuple[Branch, ...]
    down: tuple[Branch, ...]


@dataclass
class Graph:
    """Objects by key, and what each was made of."""

    objects: dict[str, LineageObject] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)

    def add(self, found: LineageObject, made_of: Iterable[str] = ()) -> None:
        """Add an object; what it was made of and is not there any more is left out."""
        self.objects[found.key] = found
        for parent in made_of:
            if parent in self.objects:
                self.parents.setdefault(found.key, []).append(parent)
                self.children.setdefault(parent, []).append(found.key)

    def tree(self, key: str) -> LineageTree:
        """Return both directions from one object."""
        return LineageTree(
            object=self.objects[key],
            up=self._branches(key, self.parents),
            down=self._branches(key, self.children),
        )

    def below(self, key: str) -> list[LineageObject]:
        """Return everything made of an object, each once, nearest first."""
        return [self.objects[each] for each in self._walk(key)]

    def _walk(self, key: str) -> Iterator[str]:
        seen, waiting = {key}, [key]
        while waiting:
            for each in self.children.get(waiting.pop(0), ()):
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
                    yield each

    def _branches(self, key: str, direction: dict[str, list[str]]) -> tuple[Branch, ...]:
        return tuple(
            Branch(object=self.objects[each], branches=self._branches(each, direction)) for each in direction.get(key, ())
        )


class Quarantine(Value):
    """An object that may not be used, exported or served until somebody releases it."""

    project: ProjectId
    kind: ObjectKind
    id: str
    digest: Digest | None = None
    """The same bytes under another name are in quarantine too."""
    reason: str
    by: str
    at: Instant
    because_of: str | None = None
    """The object whose quarantine reached this one."""

    @property
    def key(self) -> str:
        """`data:tickets@1`"""
        return f"{self.kind}:{self.id}"

    def covers(self, kind: ObjectKind, name: str, digest: Digest | None) -> bool:
        """Tell whether an object is this one, or has its bytes."""
        return kind is self.kind and (name == self.id or (digest is not None and digest == self.digest))


class QuarantineAnswer(Value):
    """What a quarantine, or its end, came to."""

    object: LineageObject
    changed: tuple[LineageObject, ...]
    """The objects that went in, or came out."""
    downstream: tuple[LineageObject, ...]
    """What was made of it and was left as it is: free after a quarantine, held after a release."""


class TracedVersion(Value):
    """How many of the rows a dataset version holds, and what saw them there."""

    label: str
    digest: Digest
    quarantined: bool
    train_rows: int
    """Of the rows asked for, those in the training side."""
    holdout_rows: int
    """Those in the hold-out: models were measured on them, not trained."""
    rows: tuple[int, ...]
    """Their numbers in the file, 1 for the first example; the first thousand."""
    jobs: tuple[JobId, ...]
    """Jobs that began to work on this version."""
    artifacts: tuple[ArtifactId, ...]
    """Adapters and merged models that were trained on it."""


class Trace(Value):
    """Which versions, jobs and models saw some rows."""

    examples: int
    """Distinct examples in the file."""
    found: int
    """Those that at least one version holds."""
    versions: tuple[TracedVersion, ...]
    searched: int
    """Versions that were looked through."""
    unreadable: tuple[str, ...] = ()
    """Versions that do not open any more, shredded or damaged: nothing is known of them."""
