"""
The rules of a policy, and how they are asked.

A rule looks at facts and at what holds for the data's class, and says nothing or why
not. It is asked only when every fact it needs is known: a fact that is missing, and a
rule that fails, are a no like any other. So nothing passes because something broke.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from intramural.domain.confinement import Level
from intramural.domain.dataset import Classification
from intramural.domain.findings import Treatment
from intramural.domain.policy import ANY, ANYWHERE, UNLIMITED, Policy, Rules
from intramural.domain.policy_verdict import NO_KEY, Denial, Facts, Verdict, undecided

F = TypeVar("F")


class Moment(StrEnum):
    """When a rule is asked."""

    INTAKE = "intake"
    """Data is added, or redacted into a new version."""
    USE = "use"
    """A job is submitted or a run starts."""
    START = "start"
    """A run starts, and the rules of `USE` allow it."""
    LEAVE = "leave"
    """An artifact is exported or served."""
    SHOW = "show"
    """Rows of data are printed."""


Answer = tuple[str, str] | None
"""Nothing, or the reason and the cheapest change."""


@dataclass(frozen=True)
class Rule:
    """A name, what it must know, and what it says."""

    name: str
    needs: tuple[str, ...]
    says: Callable[[Facts, Rules], Answer]
    moments: tuple[Moment, ...] = (Moment.USE,)


def judge(
    facts: Facts,
    policy: Policy,
    moment: Moment = Moment.USE,
    rules: tuple[Rule, ...] | None = None,
    *,
    why_unknown: Mapping[str, str] | None = None,
) -> Verdict:
    """Ask every rule of the moment; whatever keeps one from deciding is its no, with *why_unknown* by the fact's name."""
    asked = [each for each in (RULES if rules is None else rules) if moment in each.moments]
    denials = tuple(denial for each in asked if (denial := _asked(each, facts, policy, why_unknown or {})) is not None)
    return Verdict(policy=policy.digest, classification=facts.classification, denials=denials)


def _known(fact: F | None) -> F:
    """Return a fact that a rule needs. Raises `LookupError`, which is a no, where it is not known after all."""
    if fact is None:
        raise LookupError
    return fact


def _asked(rule: Rule, facts: Facts, policy: Policy, why_unknown: Mapping[str, str]) -> Denial | None:
    needs = ("classification", *rule.needs)
    missing = [name for name in needs if getattr(facts, name) is None]
    if missing:
        why = [why_unknown[name] for name in missing if name in why_unknown]
        words = f"{', '.join(each.replace('_', ' ') for each in missing)} is not known"
        return undecided(rule.name, "; ".join([words, *why]))
    try:
        answer = rule.says(facts.only(needs), policy.of(_known(facts.classification)))
    except Exception as error:  # whatever it is, a rule that failed has not said yes
        return undecided(rule.name, f"the rule itself failed ({type(error).__name__})")
    return None if answer is None else Denial(rule=rule.name, reason=answer[0], change=answer[1])


def _quarantine(facts: Facts, rules: Rules) -> Answer:
    del rules
    if not facts.quarantined:
        return None
    are = "are" if len(facts.quarantined) > 1 else "is"
    return (
        f"{', '.join(facts.quarantined)} {are} in quarantine",
        f"Use another, or have an owner end it: `intramural quarantine {facts.quarantined[0]} --release`.",
    )


def _label(facts: Facts, rules: Rules) -> Answer:
    del rules
    order = list(Classification)
    wanted, found = _known(facts.data_classification), _known(facts.called)
    if order.index(found) >= order.index(wanted):
        return None
    return f"it is called {found}, and its data is {wanted}", "Leave `classification` out, or give a stricter one."


def _region(facts: Facts, rules: Rules) -> Answer:
    for allowed, whose in ((facts.data_regions, f"{facts.data} is bound to"), (rules.regions, "the policy allows")):
        if not allowed or allowed == ANYWHERE or facts.region in allowed:
            continue
        where = facts.region or "a place nobody stated"
        change = "State this machine's region: `region` in intramural.toml." if not facts.region else "Run it there."
        return f"{whose} {', '.join(allowed)}, and this machine is in {where}", change
    # An empty list of regions allows none.
    return ("the policy allows no region", "Name one in `regions`.") if rules.regions == () else None


def _isolation(facts: Facts, rules: Rules) -> Answer:
    level = _known(facts.level)
    if level >= rules.isolation:
        return None
    return (
        f"{facts.classification} data needs runs confined at the level {rules.isolation}; here it is {level}",
        "Run it where that level is reached, or let `isolation` in the policy require less.",
    )


def _gpus(facts: Facts, rules: Rules) -> Answer:
    if rules.gpus or _known(facts.level) is not Level.NONE:
        return None
    return (
        f"{facts.classification} data is not worked on by GPUs, and at the level {facts.level} a run has those of the machine",
        "Run it where runs are confined, or let `gpus` in the policy be true.",
    )


def _egress(facts: Facts, rules: Rules) -> Answer:
    allowed = {(each.host, each.port): each for each in rules.egress}
    for each in _known(facts.egress):
        listed = allowed.get((each.host, each.port))
        if listed is None:
            return f"it would reach {each.host}:{each.port}, which is not listed", "Do without it, or list it under `egress`."
        if each.up_bytes > listed.up_bytes or each.down_bytes > listed.down_bytes or each.private > listed.private:
            return f"it would be given more of {each.host}:{each.port} than the policy gives", "Ask for no more than is listed."
    return None


def _keys(facts: Facts, rules: Rules) -> Answer:
    if rules.key_providers == ANY:
        return None
    wanted = f"the policy wants {' or '.join(rules.key_providers) or 'none'}"
    others = [each for each in _known(facts.key_providers) if each not in rules.key_providers]
    if others:
        return (
            f"its keys are wrapped by {' and '.join(others)}, and {wanted}",
            "Set `keys_provider` to what the policy wants, then `intramural keys rotate`.",
        )
    following = _known(facts.next_key_provider)
    if following == NO_KEY or following in rules.key_providers:
        return None
    return (
        f"a key for it would be wrapped by {following} here, and {wanted}",
        "Set `keys_provider` to what the policy wants; a scheduler that runs keeps the setting it was started with.",
    )


def _log(facts: Facts, rules: Rules) -> Answer:
    more = [each for each in _known(facts.records) if each not in rules.log]
    return (f"a run leaves its {', '.join(more)} written down", f"Add {', '.join(more)} to `log`.") if more else None


def _retention(facts: Facts, rules: Rules) -> Answer:
    limits = [each for each in (facts.data_retention, rules.retention_days) if each is not None and each != UNLIMITED]
    age, behind = _known(facts.data_age_days), _known(facts.clock_behind_days)
    if not limits:
        return None
    if age < 0:
        return (
            f"it could not be decided: the clock is before {facts.data} was added",
            "Set the clock right; data that was added while it was wrong is added again, under another name.",
        )
    if age <= (days := min(limits)):
        return None
    by_trail = f" by the audit trail, which the clock is {behind:.0f} days behind" if behind >= 1 else ""
    return (
        f"{facts.data} was to be used for {days} days, and is {age:.0f} days old{by_trail}",
        "Use newer data; `intramural data shred` ends what must not be kept.",
    )


def _redaction(facts: Facts, rules: Rules) -> Answer:
    """Where something must be done about a kind, nothing of it may be left in the rows."""
    left = _known(facts.left_in)
    if not facts.scanned and any(each is not Treatment.KEEP for each in rules.redaction.values()):
        return (
            f"{facts.data} was never scanned, and the policy says what must be redacted",
            "Add the data again; it is scanned then.",
        )
    still = {kind: left[kind] for kind, each in rules.redaction.items() if each is not Treatment.KEEP and left.get(kind)}
    if not still:
        return None
    words = ", ".join(f"{number} of {kind}" for kind, number in still.items())
    return (
        f"findings are left in {facts.data} that the policy does not keep: {words}",
        "Add the data again; it is redacted then.",
    )


def _suites(facts: Facts, rules: Rules) -> Answer:
    missing = [each for each in rules.suites if each not in _known(facts.suites)]
    words = ", ".join(missing)
    return (f"it does not evaluate {words}", f"Add {words} to `evaluate.suites`.") if missing else None


def _spot(facts: Facts, rules: Rules) -> Answer:
    if rules.spot or not facts.spot:
        return None
    return f"{facts.classification} data is not worked on by machines that can be taken away", "Run it on a machine that stays."


def _approvals(facts: Facts, rules: Rules) -> Answer:
    return _enough(_known(facts.approvals), rules.approvals)


def _start_approvals(facts: Facts, rules: Rules) -> Answer:
    return _enough(_known(facts.approvals), rules.start_approvals)


def _enough(given: int, wanted: int) -> Answer:
    if given >= wanted:
        return None
    others = "another person" if wanted - given == 1 else f"{wanted - given} other persons"
    return (
        f"it needs {wanted} approval{'s' if wanted > 1 else ''} and has {given or 'none'}",
        f"Have {others} approve it: `intramural approvals request`, then `intramural approve`.",
    )


RULES: tuple[Rule, ...] = (
    Rule("quarantine", ("quarantined",), _quarantine, (Moment.USE, Moment.LEAVE, Moment.SHOW)),
    Rule("label", ("data_classification", "called"), _label),
    Rule("region", ("region", "data_regions", "data"), _region, (Moment.USE, Moment.INTAKE)),
    Rule("isolation", ("level",), _isolation),
    Rule("egress", ("egress",), _egress),
    Rule("gpus", ("level",), _gpus),
    Rule("keys", ("key_providers", "next_key_provider"), _keys, (Moment.USE, Moment.INTAKE)),
    Rule("log", ("records",), _log),
    Rule("retention", ("data_age_days", "clock_behind_days", "data_retention", "data"), _retention),
    Rule("redaction", ("scanned", "left_in", "data"), _redaction),
    Rule("suites", ("suites",), _suites),
    Rule("spot", ("spot",), _spot),
    Rule("approvals", ("approvals",), _approvals, (Moment.LEAVE,)),
    Rule("start_approvals", ("approvals",), _start_approvals, (Moment.START,)),
)
