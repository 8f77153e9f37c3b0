"""
What a project's work must obey, by how private its data is; read from `policy.yaml`.

`PolicyFile` is what people write: only what differs from the defaults. `Policy` is what
holds: every rule of every class written out, so that its digest means the same for good.
A stricter class is never ruled more laxly than a lower one: otherwise a job could shed
a rule by calling its data more private.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from intramural.domain.confinement import Destination, Level
from intramural.domain.dataset import Classification
from intramural.domain.findings import FindingKind, Treatment
from intramural.domain.strict_yaml import read
from intramural.domain.treatments import treatments_for
from intramural.domain.value import Digest, Instant, Value, digest_of
from intramural.errors import InvalidInput

Region = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""A place as the company or its cloud calls it, such as `eu-central-1`."""
Logged = Literal["metrics", "run_log", "content"]
"""`metrics`: numbers of training and evaluation. `run_log`: what a run prints, no content by contract. `content`: rows,
prompts, outputs."""
KeyProviderName = Literal["local", "keyring", "openbao", "aws", "gcp", "pkcs11"]
Suite = Literal["loss", "structured", "memorisation"]

ANYWHERE: Literal["anywhere"] = "anywhere"
ANY: Literal["any"] = "any"
UNLIMITED: Literal["unlimited"] = "unlimited"

Regions = tuple[Region, ...] | Literal["anywhere"]
Providers = tuple[KeyProviderName, ...] | Literal["any"]
Days = Annotated[int, Field(ge=1, le=36_500)] | Literal["unlimited"]
Approvals = Annotated[int, Field(ge=0, le=9)]


class Rules(Value):
    """What holds for the data of one class."""

    regions: Regions = ANYWHERE
    """Where the data may be worked on."""
    isolation: Level = Level.NONE
    """How firmly a run must be confined, at least."""
    egress: tuple[Destination, ...] = ()
    """Everything a run may reach outside; nothing else."""
    gpus: bool = True
    """Whether a run is given the GPUs of its machine."""
    key_providers: Providers = ANY
    """Who may hold the key that wraps the keys of the data."""
    log: tuple[Logged, ...] = ("metrics", "run_log")
    """What may be written down about a run."""
    retention_days: Days = UNLIMITED
    """For how many days after it was added the data may be used."""
    redaction: dict[FindingKind, Treatment] = {}
    """What must be done about findings of a kind; the others follow the defaults of the scan."""
    suites: tuple[Suite, ...] = ()
    """What every job must measure on the hold-out."""
    approvals: Approvals = 0
    """Persons, other than who submitted the job, who must have approved an artifact before it is exported or served."""
    start_approvals: Approvals = 0
    """The same for a job, before it starts."""
    spot: bool = True
    """Whether a run may be on a machine that can be taken away at any moment."""


class Terms(Value):
    """What a `policy.yaml` says of one class, or of every class; what is left out is as by default."""

    regions: Regions | None = None
    isolation: Level | None = None
    egress: tuple[Destination, ...] | None = None
    gpus: bool | None = None
    key_providers: Providers | None = None
    log: tuple[Logged, ...] | None = None
    retention_days: Days | None = None
    redaction: dict[FindingKind, Treatment] | None = None
    suites: tuple[Suite, ...] | None = None
    approvals: Approvals | None = None
    start_approvals: Approvals | None = None
    spot: bool | None = None


DEFAULTS: dict[Classification, Rules] = {
    Classification.PUBLIC: Rules(),
    Classification.INTERNAL: Rules(),
    Classification.CONFIDENTIAL: Rules(isolation=Level.LANDLOCK),
    Classification.RESTRICTED: Rules(isolation=Level.NAMESPACES, spot=False),
}
"""What holds with no file."""


class Policy(Value):
    """What holds for every class, written out."""

    public: Rules
    internal: Rules
    confidential: Rules
    restricted: Rules

    def of(self, classification: Classification) -> Rules:
        """Return what holds for data of that class."""
        found: Rules = getattr(self, classification.value)
        return found

    @property
    def digest(self) -> Digest:
        """Return what a job freezes."""
        return digest_of(self.document())


class PolicyFile(Value):
    """`policy.yaml`: what differs from the defaults."""

    version: Literal[1] = 1
    every_class: Terms = Terms()
    """Holds for all four, where a class does not say otherwise; what a class says holds for the stricter ones too."""
    public: Terms = Terms()
    internal: Terms = Terms()
    confidential: Terms = Terms()
    restricted: Terms = Terms()

    def policy(self) -> Policy:
        """Return what the file and the defaults come to. Raises `InvalidInput` where a stricter class is ruled more laxly."""
        rules: dict[str, Rules] = {}
        lower: Rules | None = None
        for each in Classification:
            own: Terms = getattr(self, each.value)
            lower = rules[each.value] = _at_least_as(
                lower, DEFAULTS[each].model_copy(update=_said(self.every_class))
            ).model_copy(update=_said(own))
        policy = Policy(**rules)
        _check_order(policy)
        return policy


class Grant(Value):
    """What the policies give a run beyond its walls."""

    egress: tuple[Destination, ...] = ()
    """All that it may reach."""
    gpus: bool = True
    level: Level = Level.NONE
    """Below this level it is not started."""


class StoredPolicy(Value):
    """A policy as the platform keeps it, and how it came to hold."""

    digest: Digest
    policy: Policy
    source: str
    """`defaults`, `policy.yaml of the home`, or `set`."""
    by: str | None = None
    at: Instant | None = None


def read_policy(text: str, *, where: str = "policy.yaml") -> Policy:
    """Return the policy that *text* describes. Raises `InvalidInput` with the line of every mistake."""
    return read(text, PolicyFile, where=where).policy()


def default_policy() -> Policy:
    """Return what holds with no file."""
    return PolicyFile().policy()


def common(one: tuple[Destination, ...], other: tuple[Destination, ...]) -> tuple[Destination, ...]:
    """Return the destinations that both lists have, each with the tighter of its bounds."""
    known = {(each.host, each.port): each for each in other}
    pairs = [(each, known[each.host, each.port]) for each in one if (each.host, each.port) in known]
    return tuple(
        Destination(
            host=left.host,
            port=left.port,
            private=left.private and right.private,
            up_bytes=min(left.up_bytes, right.up_bytes),
            down_bytes=min(left.down_bytes, right.down_bytes),
        )
        for left, right in pairs
    )


def _said(terms: Terms) -> dict[str, Any]:
    return {name: found for name in Terms.model_fields if (found := getattr(terms, name)) is not None}


def _at_least_as(lower: Rules | None, rules: Rules) -> Rules:
    """Return *rules*, in each respect in which they ask less than those of the class below with the latter's."""
    if lower is None:
        return rules
    laxer = [name for name, is_at_least in _AT_LEAST.items() if not is_at_least(getattr(rules, name), getattr(lower, name))]
    return rules.model_copy(update={name: getattr(lower, name) for name in laxer})


def _check_order(policy: Policy) -> None:
    for each in Classification:
        treatments_for(each, policy.of(each).redaction)  # raises for what cannot be done about a kind
    for lower, higher in pairwise(Classification):
        for name, is_at_least in _AT_LEAST.items():
            if not is_at_least(getattr(policy.of(higher), name), getattr(policy.of(lower), name)):
                raise InvalidInput(
                    f"`{name}` is laxer for {higher} data than for {lower} data.",
                    hint=f"Leave `{higher}.{name}` out, as `{lower}` holds for it too; or say the laxer under `every_class`.",
                )


def _within(high: Any, low: Any) -> bool:
    return isinstance(low, str) or (not isinstance(high, str) and set(high) <= set(low))


def _places(egress: tuple[Destination, ...]) -> set[tuple[str, int]]:
    return {(each.host, each.port) for each in egress}


_AT_LEAST: dict[str, Callable[[Any, Any], bool]] = {
    "regions": _within,
    "isolation": lambda high, low: high >= low,
    "egress": lambda high, low: _places(high) <= _places(low),
    "gpus": lambda high, low: low or not high,
    "key_providers": _within,
    "log": _within,
    "retention_days": lambda high, low: low == UNLIMITED or (high != UNLIMITED and high <= low),
    "suites": lambda high, low: set(high) >= set(low),
    "approvals": lambda high, low: high >= low,
    "start_approvals": lambda high, low: high >= low,
    "spot": lambda high, low: low or not high,
}
"""
Whether what a stricter class says asks at least as much as a lower one.

Not so for `redaction`: a low class may refuse what a high one keeps masked.
"""
