"""
What a job process may see, use and reach, and how firmly that holds.

A `Confinement` says what is wished, and a `Level` how far this machine can keep it (what
the run tried stands in its `receipt`). The rule that decides whether data may be worked
on at a level is here too: it needs no machine.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from intramural.domain.dataset import Classification
from intramural.domain.value import Value
from intramural.errors import Refused

GIBIBYTE = 2**30


class Level(StrEnum):
    """How firmly a process is confined; a later one is firmer."""

    NONE = "none"
    """A process like any other of its user."""
    LANDLOCK = "landlock"
    """Sees only its files and opens no socket; shares process numbers, hostname and shared memory with the machine."""
    NAMESPACES = "namespaces"
    """A view, a network, process numbers and a user of its own."""

    @property
    def rank(self) -> int:
        """Return the place in the order, 0 for none."""
        return list(Level).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < Level(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Level(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Level(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Level(other).rank


def check_level(level: Level, required: Level, classification: Classification) -> None:
    """Raise `Refused` when data above `internal` would be worked on below the *required* level."""
    harmless = classification in {Classification.PUBLIC, Classification.INTERNAL}
    if harmless or level >= required:
        return
    raise Refused(
        f"Data of class {classification.value} needs the level {required.value}; this machine reaches {level.value}.",
        hint="Allow user namespaces on this machine, run elsewhere, or let the policy of the project require less.",
        rule="isolation.level",
        level=level.value,
        required=required.value,
    )


def below_required(level: Level, required: Level) -> Refused:
    """Return what is raised where a process would be started at a *level* below the *required* one."""
    return Refused(
        f"The level {required.value} is required; this machine reaches {level.value}.",
        hint="Allow user namespaces on this machine, or let `isolation` in the policy require less.",
        rule="isolation.level",
        level=level.value,
        required=required.value,
    )


def _absolute(path: str) -> str:
    parsed = PurePosixPath(path)
    if not parsed.is_absolute() or ".." in parsed.parts or "\0" in path or str(parsed) != path:
        raise ValueError("write an absolute path without `..`")
    if str(parsed) in {"/", "//", "/proc", "/sys", "/dev", "/etc"}:
        raise ValueError("this folder of the system has a view of its own inside")
    return path


Folder = Annotated[str, AfterValidator(_absolute)]
"""An absolute path in normal form."""


def _device(path: str) -> str:
    if not re.fullmatch(r"/dev/(?!.*\.\.)[A-Za-z0-9_./-]+", path):
        raise ValueError("name a device below /dev")
    return path


def _host(name: str) -> str:
    labels = name.split(".")
    if len(name) > 253 or not all(re.fullmatch(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", each) for each in labels):
        raise ValueError("write a host name in lower case")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise ValueError("name a host, not an address")
    return name


Host = Annotated[str, AfterValidator(_host)]
"""A host's name in lower case; an address is none."""


class Destination(Value):
    """One place that may be reached, exactly."""

    host: Host
    port: Annotated[int, Field(gt=0, lt=65_536)] = 443
    private: bool = False
    """The name may lead to an address that is not public, for example a mirror of the company's own."""
    up_bytes: Annotated[int, Field(ge=0)] = 1_048_576
    """What a run may send there, all its connections together."""
    down_bytes: Annotated[int, Field(ge=0)] = 10 * GIBIBYTE
    """What a run may receive from there, all its connections together."""


class Limits(Value):
    """What a run may use; what this machine cannot enforce is named in the receipt."""

    memory_bytes: Annotated[int, Field(gt=0)] | None = None
    processes: Annotated[int, Field(gt=0)] = 4096
    """Processes and threads together."""
    processors: Annotated[float, Field(gt=0)] | None = None
    open_files: Annotated[int, Field(gt=15)] = 65_536
    file_bytes: Annotated[int, Field(gt=0)] | None = None
    """The largest single file."""
    output_bytes: Annotated[int, Field(ge=0)] = 64 * 2**20
    """What it may print; the rest is not kept."""
    scratch_bytes: Annotated[int, Field(gt=0)] = GIBIBYTE
    """What `/tmp` may hold, and `/dev/shm` as much again; both lie in memory."""


class Confinement(Value):
    """What a process sees, uses and reaches."""

    read_only: tuple[Folder, ...] = ()
    """Files and folders it may read, beside the system's programs and libraries."""
    run_directory: Folder | None = None
    """A folder of this machine it may write, at the same path inside; none: one in memory, gone with the run."""
    kept: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")], ...] = ()
    """Folders in the run directory that it may only read; they are there before it starts."""
    run_bytes: Annotated[int, Field(gt=0)] = GIBIBYTE
    """What a run directory in memory may hold."""
    devices: tuple[Annotated[str, AfterValidator(_device)], ...] = ()
    """GPUs and what belongs to them."""
    egress: tuple[Destination, ...] = ()
    """Everything that may be reached outside; nothing else is."""
    limits: Limits = Limits()
    required: Level = Level.NAMESPACES
    """Below this level it is not started."""

    @model_validator(mode="after")
    def _keeps_apart(self) -> Self:
        """Refuse a run directory that would be hidden by what is read only, or hide it."""
        run = PurePosixPath(self.run_directory) if self.run_directory else None
        if run is not None and any(PurePosixPath(each).is_relative_to(run) for each in self.read_only):
            raise ValueError("a read-only path lies in the run directory")
        if run is None and self.kept:
            raise ValueError("there are no kept folders in a run directory in memory")
        places = [(each.host, each.port) for each in self.egress]
        if len(set(places)) != len(places):
            raise ValueError("a destination is listed twice")
        return self
