"""
What only people can tell, a line for each thing a reader looks for.

A line joins the answers that belong together ("no internet: proxy only") and says what of it is
unknown or was not asked.
"""

from __future__ import annotations

from collections.abc import Callable

from intramural.domain.one_page import Fact, Figure, Standing
from intramural.domain.profile import Profile
from intramural.interview.figures import Recorder

Line = tuple[str, Callable[[dict[str, Figure]], str], tuple[str, ...]]
"""Its label, how its words are put together, and the questions they come from."""


def persona(profile: Profile, recorder: Recorder) -> tuple[Fact, ...]:
    """Return who they are and what success means."""
    return _facts(
        profile,
        recorder,
        ("Organisation", _joined, ("context.organisation", "context.people")),
        ("Who runs jobs", _joined, ("context.runs_jobs",)),
        ("Success is", _joined, ("context.success",)),
    )


def constraints(profile: Profile, recorder: Recorder) -> tuple[Fact, ...]:
    """Return the must-haves: region, isolation, egress, retention, and what else holds for the data."""
    return _facts(
        profile,
        recorder,
        ("Region", _region, ("governance.region_lock", "governance.regions")),
        ("Isolation", _joined, ("governance.isolation",)),
        ("Egress", _internet, ("stack.internet", "stack.domains", "stack.egress_rules")),
        (
            "Retention",
            _retention,
            ("governance.audit_logs", "governance.audit_retention", "governance.data_retention"),
        ),
        ("Encryption", _encryption, ("governance.encryption", "governance.customer_keys")),
        ("Prompts, outputs", _storing, ("governance.store_prompts",)),
        ("Data holds", _joined, ("governance.contents",)),
    )


def integrations(profile: Profile, recorder: Recorder) -> tuple[Fact, ...]:
    """Return the systems that the team works with."""
    return _facts(
        profile,
        recorder,
        ("Tracking", _joined, ("workflow.tracking",)),
        ("Registry", _joined, ("workflow.registry",)),
        ("Data in", _joined, ("governance.ingress",)),
        ("Artifacts out", _joined, ("governance.egress",)),
    )


def also(profile: Profile, recorder: Recorder) -> tuple[Fact, ...]:
    """Return the rest of the interview."""
    return _facts(
        profile,
        recorder,
        ("Models", _joined, ("anatomy.model_sizes",)),
        ("Artifacts", _joined, ("anatomy.artifacts",)),
        ("Frameworks", _joined, ("stack.frameworks",)),
        ("Precision", _precision, ("stack.precision", "stack.qlora")),
        ("CUDA, driver", _joined, ("stack.cuda",)),
        ("Packing", _bracketed, ("stack.container", "stack.vm_reason")),
        ("Start within", _start, ("operations.start_dev", "operations.start_training")),
        ("Spot", _bracketed, ("operations.spot", "operations.spot_conditions")),
        ("Priorities", _joined, ("operations.slo",)),
        ("Support", _support, ("operations.support", "operations.response_time", "operations.onboarding")),
        ("Launch", _joined, ("workflow.launch",)),
        ("Access", _access, ("workflow.auth", "workflow.sso_later")),
    )


def _facts(profile: Profile, recorder: Recorder, *lines: Line) -> tuple[Fact, ...]:
    return tuple(_fact(label, words, {path: recorder.best(path) for path in paths}) for label, words, paths in lines)


def _fact(label: str, words: Callable[[dict[str, Figure]], str], answers: dict[str, Figure]) -> Fact:
    given = list(answers.values())
    first = given[0]
    if not any(each.known for each in given):
        unknown = any(each.standing is Standing.UNKNOWN for each in given)
        standing = Standing.UNKNOWN if unknown else first.standing
        return Fact(
            label=label, text=next(each.text for each in given if each.standing is standing), standing=standing, answers=answers
        )
    return Fact(label=label, text=words(answers), standing=Standing.KNOWN, answers=answers)


def _joined(answers: dict[str, Figure]) -> str:
    if "context.people" in answers and answers["context.people"].known:
        people = answers["context.people"].text
        return ", ".join([*_known(answers, "context.organisation"), f"{people} people"])
    return ", ".join(each.text for each in answers.values() if each.known)


def _bracketed(answers: dict[str, Figure]) -> str:
    first, *rest = answers.values()
    inside = ", ".join(each.text for each in rest if each.known)
    return f"{first.text} ({inside})" if inside else first.text


def _region(answers: dict[str, Figure]) -> str:
    lock, regions = answers["governance.region_lock"], answers["governance.regions"]
    if regions.known:
        return f"locked to {regions.text}"
    if lock.text == "yes":
        return f"locked; regions {regions.text}"
    return "no lock"


def _internet(answers: dict[str, Figure]) -> str:
    internet, domains, rules = (answers[f"stack.{name}"] for name in ("internet", "domains", "egress_rules"))
    if internet.text == "yes":
        return f"internet to {domains.text}" if domains.known else f"internet; domains {domains.text}"
    if internet.text == "no":
        return f"no internet: {rules.text}" if rules.known else f"no internet; rules {rules.text}"
    return domains.text if domains.known else rules.text


def _retention(answers: dict[str, Figure]) -> str:
    logs, audit, kept = (answers[f"governance.{name}"] for name in ("audit_logs", "audit_retention", "data_retention"))
    log = "no audit log" if logs.text == "no" else f"audit log {audit.text}"
    return f"data {kept.text}; {log}"


def _encryption(answers: dict[str, Figure]) -> str:
    at_rest, keys = answers["governance.encryption"], answers["governance.customer_keys"]
    if at_rest.text == "no":
        return "not required"
    held = {"yes": "keys held by the customer", "no": "keys of the platform"}.get(keys.text, f"own keys {keys.text}")
    return f"at rest, {held}"


def _storing(answers: dict[str, Figure]) -> str:
    (storing,) = answers.values()
    return {"Never": "never stored", "Yes": "may be stored"}.get(
        storing.text, f"stored {storing.text[:1].lower()}{storing.text[1:]}"
    )


def _precision(answers: dict[str, Figure]) -> str:
    precision, qlora = answers["stack.precision"], answers["stack.qlora"]
    words = {"yes": "QLoRA (4-bit)", "no": "no QLoRA"}.get(qlora.text, f"QLoRA {qlora.text}")
    return ", ".join([*_known(answers, "stack.precision"), words] if precision.known else [words])


def _start(answers: dict[str, Figure]) -> str:
    return ", ".join(f"{path.removeprefix('operations.start_')} {figure.text}" for path, figure in answers.items())


def _support(answers: dict[str, Figure]) -> str:
    channel, response, onboarding = (answers[f"operations.{name}"] for name in ("support", "response_time", "onboarding"))
    words = [channel.text if channel.known else f"channel {channel.text}"]
    if response.known:
        words.append(f"answer within {response.text}")
    if onboarding.known:
        words.append("onboarding" if onboarding.text == "yes" else "no onboarding")
    return ", ".join(words)


def _access(answers: dict[str, Figure]) -> str:
    words = {"yes": "SSO later", "no": "no SSO later"}.get(answers["workflow.sso_later"].text)
    return ", ".join([*_known(answers, "workflow.auth"), *([words] if words else [])])


def _known(answers: dict[str, Figure], path: str) -> list[str]:
    return [answers[path].text] if answers[path].known else []
