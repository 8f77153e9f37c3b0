"""What a leak test found: where a planted canary came out that had no business there."""

from __future__ import annotations

from enum import StrEnum

from intramural.domain.value import Value


class Planted(StrEnum):
    """What a canary stands for, and with it where it may be seen."""

    CONTENT = "content"
    """Rows, prompts, labels, names that are no plain names: printed by `data sample`, and nowhere else."""
    FIELD = "field"
    """The plain name of a field: it is schema, so it may be on the terminal, in the database and among the figures."""
    NAME = "name"
    """What a person typed, such as a file's name: on the terminal and the command line of that person's own command."""
    SAID = "said"
    """Free text that a person gives to be kept, such as a reason: on terminals, in the database, and in what shows it."""
    SHELL = "shell"
    """A secret in the shell's environment: in the environment of the commands, never in that of a run."""


class LeakHit(Value):
    """One canary in one place."""

    canary: str
    """What was planted, in words; never its letters."""
    planted: Planted
    place: str
    """The file, the output or the process."""
    offset: int
    """Bytes from the place's beginning; within `inside`, from the beginning of what was unpacked."""
    encoding: str
    inside: str = ""
    """How what holds it is packed: `gzip at 120`; empty where it stands as it is."""


class LeakReport(Value):
    """What a leak test planted, did, searched and found."""

    canaries: tuple[str, ...]
    commands: tuple[str, ...]
    """What was called, in order, each with its exit code."""
    files: int
    """Files that were searched, those among them that were gone at the end."""
    bytes: int
    processes: int
    """Processes whose command line and environment were searched while they ran."""
    unread: tuple[str, ...]
    """What could not be searched, and why."""
    seen: dict[str, int]
    """The controls: canaries that were seen where they belong, which shows that the search sees."""
    hits: tuple[LeakHit, ...]
    problems: tuple[str, ...] = ()
    """Why the test proves less than it should: a command that ended otherwise than expected, a control that was not seen."""
    seconds: float

    @property
    def passed(self) -> bool:
        """Tell whether everything was searched and nothing was found."""
        return not self.hits and not self.problems
