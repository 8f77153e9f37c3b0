"""What a policy judges by, and what it says: facts, denials, a verdict."""

from __future__ import annotations

from collections.abc import Iterable

from intramural.domain.confinement import Destination, Level
from intramural.domain.dataset import Classification
from intramural.domain.findings import FindingKind
from intramural.domain.policy import Days, Logged
from intramural.domain.value import Digest, Value
from intramural.errors import NeedsApproval, Refused

APPROVAL_RULES = frozenset({"approvals", "start_approvals"})
"""Rules whose no is a wait: other people may still say yes."""
UNSTATED = ""
"""The region of a machine whose operator did not say it."""
NO_KEY = ""
"""Who wraps a key that is not made."""


class Facts(Value):
    """What is known of the work that is asked for; None is not known, which no rule takes for an answer."""

    classification: Classification | None = None
    """Of the job: at least that of its data."""
    called: Classification | None = None
    """What the job itself says it is; that of its data where it says nothing."""
    data_classification: Classification | None = None
    data: str | None = None
    """The data's name, for sentences."""
    data_regions: tuple[str, ...] | None = None
    """Where the data itself is bound to be; empty where it is not."""
    data_age_days: float | None = None
    """By the clock, or by the audit trail where that was written later; below zero where the clock is before it was added."""
    clock_behind_days: float | None = None
    """How far the clock is behind the newest entry of the audit trail."""
    data_retention: Days | None = None
    """What was said when the data was added."""
    scanned: bool | None = None
    """Whether the rows were looked through for findings."""
    left_in: dict[FindingKind, int] | None = None
    """Findings that are still in the stored rows."""
    region: str | None = None
    """Of the machine; `UNSTATED` where its operator did not say."""
    level: Level | None = None
    """How firmly runs are confined here."""
    egress: tuple[Destination, ...] | None = None
    """What the run would be let out to."""
    key_providers: tuple[str, ...] | None = None
    """Who wraps the keys that there are: of the data, and of what the job left."""
    next_key_provider: str | None = None
    """Who would wrap a key that is to be made here; `NO_KEY` where none is."""
    records: tuple[Logged, ...] | None = None
    """What is written down about the run."""
    suites: tuple[str, ...] | None = None
    spot: bool | None = None
    approvals: int | None = None
    """Of the artifact, or of the job that waits: how many persons' yes counts."""
    quarantined: tuple[str, ...] | None = None
    """Those of the objects concerned that are in quarantine."""

    def only(self, names: Iterable[str]) -> Facts:
        """Return these facts and no others, so that no rule decides by one it did not say it needs."""
        return Facts.model_construct(**{name: getattr(self, name) for name in names})


class Denial(Value):
    """One rule's no."""

    rule: str
    reason: str
    change: str
    """The cheapest change that would pass."""


class Verdict(Value):
    """What a policy says to a piece of work."""

    policy: Digest | None
    """None where there was no policy to ask."""
    classification: Classification | None
    denials: tuple[Denial, ...] = ()

    @property
    def allowed(self) -> bool:
        """Tell whether no rule says no."""
        return not self.denials

    @property
    def waits(self) -> bool:
        """Tell whether nothing is missing but approvals."""
        return bool(self.denials) and {each.rule for each in self.denials} <= APPROVAL_RULES

    def refusal(self) -> Refused:
        """Return the error that tells every denial."""
        first, *others = self.denials
        more = "".join(f" Also `{each.rule}`: {each.reason}." for each in others)
        changes = list(dict.fromkeys(each.change for each in self.denials))
        kind = NeedsApproval if self.waits else Refused
        return kind(
            f"The rule `{first.rule}` refuses it: {first.reason}.{more}",
            hint=" ".join(changes),
            rule=first.rule,
            denials=[each.document() for each in self.denials],
            policy=self.policy,
        )


def undecided(rule: str, why: str, change: str = "Mend that; until then nothing passes.") -> Denial:
    """Return the no of a rule that could not look."""
    return Denial(rule=rule, reason=f"it could not be decided: {why}", change=change)


def stricter(first: Verdict, *others: Verdict) -> Verdict:
    """Return the denials of all under the policy of the *first*, each rule once."""
    denials = {denial.rule: denial for each in reversed((first, *others)) for denial in each.denials}
    order = dict.fromkeys(denial.rule for each in (first, *others) for denial in each.denials)
    return first.model_copy(update={"denials": tuple(denials[name] for name in order)})
