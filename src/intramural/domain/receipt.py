"""What a run tried to reach, allowed or not, and under which walls it ran."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from intramural.domain.confinement import Level
from intramural.domain.value import Instant, Value


class Refusal(StrEnum):
    """Why an attempt to reach something was refused or cut."""

    NOT_LISTED = "not_listed"
    ADDRESS = "address"
    """An address instead of a name."""
    PRIVATE_ADDRESS = "private_address"
    """The name leads to an address that is not public."""
    NO_ANSWER = "no_answer"
    """It was allowed; the name is unknown, or nobody listens there."""
    NOT_TUNNEL = "not_tunnel"
    """Something else than CONNECT was asked of the proxy."""
    MALFORMED = "malformed"
    NOT_TLS = "not_tls"
    OTHER_NAME = "other_name"
    """The TLS handshake names another host, or none."""
    HIDDEN_NAME = "hidden_name"
    """The TLS handshake encrypts the host's name."""
    UP_BYTES = "up_bytes"
    DOWN_BYTES = "down_bytes"
    TOO_MANY = "too_many"
    """More connections at a time than the proxy serves."""


class Attempt(Value):
    """One connection a run asked for."""

    at: Instant
    host: str
    """As the run wrote it, cut to what a host's name may hold; empty where it was none."""
    port: int
    allowed: bool
    refusal: Refusal | None = None
    """Why it was refused; with `allowed`, why it was cut."""
    up_bytes: int = 0
    down_bytes: int = 0


UNSEEN = {
    Level.NAMESPACES: (
        "where connections around the proxy were meant to go: the kernel counts them and keeps no address",
        "sockets of forbidden kinds: they fail at once and nobody counts them",
        "what travels inside an allowed connection: it is encrypted",
    ),
    Level.LANDLOCK: ("attempts to open a socket: they fail at once and nobody counts them",),
    Level.NONE: ("everything: nothing stands between this run and the network",),
}
"""What a receipt of a level cannot know."""


class Receipt(Value):
    """What a run tried to reach, allowed or not, and under which walls it ran."""

    level: Level
    began_at: Instant
    ended_at: Instant | None = None
    complete: bool = False
    """False while the run goes on, or when its supervisor was killed before it could finish this."""
    exit_code: int | None = None
    """As a shell tells it: 128 and the signal's number for one that a signal ended."""
    stopped_for: str | None = None
    """The limit that its supervisor ended it for: `disk`."""
    attempts: tuple[Attempt, ...] = ()
    left_out: int = 0
    """Attempts beyond the number that is written down."""
    around_proxy: int | None = None
    """Packets and connections that found no way out, as the kernel of the run's own network counted them."""
    limits: Annotated[dict[str, str], Field(default_factory=dict)]
    """Each limit, and what enforces it: `cgroup`, `rlimit`, `namespace`, `mount`, `supervisor`, or `nothing`."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """What this receipt cannot know."""
        return UNSEEN[self.level]

    @property
    def summary(self) -> WallsSummary:
        """Return what may be told outside the seal."""
        return WallsSummary(
            level=self.level,
            complete=self.complete,
            reached=_reached(self.attempts),
            refusals=dict(Counter(each.refusal for each in self.attempts if each.refusal is not None and not each.allowed)),
            allowed=sum(each.allowed for each in self.attempts),
            refused=sum(not each.allowed for each in self.attempts) + self.left_out,
            around_proxy=self.around_proxy,
            up_bytes=sum(each.up_bytes for each in self.attempts),
            down_bytes=sum(each.down_bytes for each in self.attempts),
            limits=self.limits,
        )


class Reached(Value):
    """What went to one destination of the policy's list and came from there."""

    host: str
    port: int
    connections: int
    up_bytes: int
    down_bytes: int
    cut: dict[Refusal, int] = {}
    """Why connections were cut, and how many."""


class WallsSummary(Value):
    """
    How a run was confined and what it tried.

    Hosts are named where the policy lists them. One that was refused is the run's own word,
    which may carry content: its reason is counted, its name stays in the sealed receipt.
    """

    level: Level
    complete: bool = False
    """False where the supervisor was killed before it could finish the receipt."""
    allowed: int = 0
    """Connections that the policy's list let through."""
    reached: tuple[Reached, ...] = ()
    """The destinations of those, by name."""
    refused: int = 0
    """Connections that were asked for and refused."""
    refusals: dict[Refusal, int] = {}
    """Why, and how many; those beyond what a receipt holds have no reason."""
    around_proxy: int | None = None
    """Packets and connections that found no way out."""
    up_bytes: int = 0
    down_bytes: int = 0
    limits: Annotated[dict[str, str], Field(default_factory=dict)]
    """Each limit, and what enforces it."""

    @property
    def sentence(self) -> str:
        """Return it in words."""
        if self.level is Level.NONE:
            return "not confined: nothing stood between this run and the machine"
        reasons = ", ".join(f"{count} {reason.value.replace('_', ' ')}" for reason, count in sorted(self.refusals.items()))
        tried = [f"{self.refused} attempts to connect refused{f' ({reasons})' if reasons else ''}"] if self.refused else []
        tried += [f"{self.allowed} connections allowed"] if self.allowed else []
        tried += [f"{self.around_proxy} packets found no way out"] if self.around_proxy else []
        cut = "" if self.complete else "; its receipt was cut short"
        return f"confined by {self.level.value}; {', '.join(tried) or 'it tried to reach nothing'}{cut}"


def _reached(attempts: tuple[Attempt, ...]) -> tuple[Reached, ...]:
    """Add up the allowed attempts by destination."""
    by_place: dict[tuple[str, int], list[Attempt]] = {}
    for each in attempts:
        if each.allowed:
            by_place.setdefault((each.host, each.port), []).append(each)
    return tuple(
        Reached(
            host=host,
            port=port,
            connections=len(tried),
            up_bytes=sum(each.up_bytes for each in tried),
            down_bytes=sum(each.down_bytes for each in tried),
            cut=dict(Counter(each.refusal for each in tried if each.refusal is not None)),
        )
        for (host, port), tried in sorted(by_place.items())
    )
