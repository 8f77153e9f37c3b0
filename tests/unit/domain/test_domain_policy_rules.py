"""Every rule says no to what it forbids, yes to what it allows, and no to what it cannot know."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intramural.domain.confinement import Destination, Level
from intramural.domain.dataset import Classification
from intramural.domain.findings import FindingKind, Treatment
from intramural.domain.policy import DEFAULTS, PolicyFile, Terms, default_policy
from intramural.domain.policy_rules import RULES, Moment, Rule, judge
from intramural.domain.policy_verdict import Denial, Facts, Verdict, stricter
from intramural.errors import Refused

HUB = Destination(host="hub.example.com")
GOOD = Facts(
    classification="confidential",
    called="confidential",
    data_classification="confidential",
    data="tickets@1",
    data_regions=(),
    data_age_days=3.0,
    clock_behind_days=0.0,
    data_retention="unlimited",
    scanned=True,
    left_in={},
    region="eu-central-1",
    level=Level.NAMESPACES,
    egress=(),
    key_providers=("local",),
    next_key_provider="",
    records=("metrics", "run_log"),
    suites=("loss", "structured"),
    spot=False,
    approvals=0,
    quarantined=(),
)
NEEDS = sorted({(rule.name, fact) for rule in RULES for fact in ("classification", *rule.needs)})


def a_policy(**terms):
    return PolicyFile(every_class=Terms(**terms)).policy()


def denied(facts=None, moment=Moment.USE, **terms):
    """The rules that say no."""
    facts = Facts.model_validate({**GOOD.document(), **(facts or {})})
    return {each.rule for each in judge(facts, a_policy(**terms), moment).denials}


@pytest.mark.parametrize("moment", Moment)
def test_ordinary_work_passes_with_no_file(moment):
    assert judge(GOOD, default_policy(), moment).allowed


@pytest.mark.parametrize(("rule", "fact"), NEEDS)
def test_a_rule_without_a_fact_it_needs_denies(rule, fact):
    facts = GOOD.model_copy(update={fact: None})
    (asked,) = [each for each in RULES if each.name == rule]

    (denial,) = judge(facts, default_policy(), asked.moments[0], rules=(asked,)).denials

    assert denial.rule == rule
    assert denial.reason == f"it could not be decided: {fact.replace('_', ' ')} is not known"


@pytest.mark.parametrize("moment", Moment)
def test_where_nothing_is_known_every_rule_denies(moment):
    verdict = judge(Facts(), default_policy(), moment)

    assert [each.rule for each in verdict.denials] == [each.name for each in RULES if moment in each.moments]


def test_every_fact_is_needed_by_some_rule():
    assert {fact for _, fact in NEEDS} == set(Facts.model_fields)


def test_a_rule_that_fails_denies_and_does_not_quote_the_failure():
    def fails(facts, rules):
        raise ValueError("4111 1111 1111 1111")

    (denial,) = judge(GOOD, default_policy(), rules=(Rule("odd", (), fails),)).denials

    assert denial == Denial(
        rule="odd",
        reason="it could not be decided: the rule itself failed (ValueError)",
        change="Mend that; until then nothing passes.",
    )


def test_a_rule_cannot_look_at_a_fact_that_it_did_not_name():
    seen = []
    judge(GOOD, default_policy(), rules=(Rule("curious", ("level",), lambda facts, rules: seen.append(facts)),))

    assert {name for name, fact in seen[0] if fact is not None} == {"classification", "level"}


@pytest.mark.parametrize(
    ("rule", "facts", "terms"),
    [
        ("quarantine", {"quarantined": ("data:tickets@1",)}, {}),
        ("label", {"called": "internal"}, {}),
        ("region", {}, {"regions": ("us-east-1",)}),
        ("region", {"region": ""}, {"regions": ("eu-central-1",)}),
        ("region", {"data_regions": ("us-east-1",)}, {}),
        ("region", {}, {"regions": ()}),
        ("isolation", {"level": Level.LANDLOCK}, {"isolation": Level.NAMESPACES}),
        ("isolation", {"level": Level.NONE}, {"isolation": Level.LANDLOCK}),
        ("egress", {"egress": (HUB,)}, {}),
        ("gpus", {"classification": "public", "data_classification": "public", "level": Level.NONE}, {"gpus": False}),
        ("egress", {"egress": (HUB.model_copy(update={"port": 80}),)}, {"egress": (HUB,)}),
        ("egress", {"egress": (HUB.model_copy(update={"up_bytes": 2**40}),)}, {"egress": (HUB,)}),
        ("egress", {"egress": (HUB.model_copy(update={"private": True}),)}, {"egress": (HUB,)}),
        ("keys", {}, {"key_providers": ("openbao", "aws")}),
        ("keys", {}, {"key_providers": ()}),
        ("keys", {"key_providers": ("openbao", "local")}, {"key_providers": ("openbao",)}),
        ("keys", {"key_providers": ("openbao",), "next_key_provider": "local"}, {"key_providers": ("openbao",)}),
        ("keys", {"key_providers": (), "next_key_provider": "local"}, {"key_providers": ("openbao",)}),
        ("log", {}, {"log": ("metrics",)}),
        ("retention", {"data_age_days": 30.5}, {"retention_days": 30}),
        ("retention", {"data_age_days": 31.0, "data_retention": 30}, {"retention_days": 90}),
        ("retention", {"data_age_days": -0.01}, {"retention_days": 30}),
        ("retention", {"data_age_days": -397.0, "data_retention": 30}, {}),
        ("redaction", {"left_in": {FindingKind.EMAIL: 3}}, {"redaction": {FindingKind.EMAIL: Treatment.MASK}}),
        ("redaction", {"scanned": False}, {"redaction": {FindingKind.EMAIL: Treatment.REFUSE}}),
        ("suites", {"suites": ("loss",)}, {"suites": ("structured",)}),
        ("spot", {"spot": True}, {"spot": False}),
    ],
)
def test_a_rule_denies_what_it_forbids_and_nothing_else_does(rule, facts, terms):
    assert denied(facts, **terms) == {rule}


@pytest.mark.parametrize(
    ("facts", "terms"),
    [
        ({"classification": "restricted"}, {}),
        ({"region": ""}, {}),
        ({}, {"regions": ("eu-central-1", "eu-west-1")}),
        ({"data_regions": ("eu-central-1",)}, {"regions": ("eu-central-1",)}),
        ({}, {"isolation": Level.NAMESPACES}),
        ({"egress": (HUB,)}, {"egress": (HUB,)}),
        ({}, {"gpus": False}),
        ({"level": Level.LANDLOCK}, {"gpus": False}),
        ({}, {"key_providers": ("local",)}),
        ({"key_providers": (), "next_key_provider": "local"}, {"key_providers": ("local",)}),
        ({"key_providers": ("aws", "gcp"), "next_key_provider": "pkcs11"}, {}),
        ({"data_age_days": -1.0}, {}),
        ({"data_age_days": 30.0}, {"retention_days": 30}),
        ({"left_in": {FindingKind.EMAIL: 3}}, {"redaction": {FindingKind.EMAIL: Treatment.KEEP}}),
        ({"left_in": {FindingKind.URL: 3}}, {"redaction": {FindingKind.EMAIL: Treatment.MASK}}),
        ({"scanned": False}, {"redaction": {FindingKind.EMAIL: Treatment.KEEP}}),
        ({}, {"suites": ("structured",)}),
        ({"spot": True}, {"spot": True}),
        ({}, {"approvals": 2}),
    ],
)
def test_a_rule_allows_what_it_does_not_forbid(facts, terms):
    assert denied(facts, **terms) == ({"spot"} if facts.get("classification") == "restricted" and facts.get("spot") else set())


def test_an_artifact_leaves_with_enough_approvals_only():
    assert denied({"approvals": 1}, Moment.LEAVE, approvals=2) == {"approvals"}
    assert denied({"approvals": 2}, Moment.LEAVE, approvals=2) == set()
    assert denied({"quarantined": ("artifact:art-1",)}, Moment.LEAVE) == {"quarantine"}


def test_new_data_is_asked_where_it_would_be_kept_and_who_would_hold_its_key():
    new = {"key_providers": (), "next_key_provider": "local", "data_regions": ("us-east-1",)}

    assert denied(new, Moment.INTAKE, key_providers=("openbao",)) == {"region", "keys"}
    assert denied({**new, "data_regions": ()}, Moment.INTAKE, suites=("memorisation",), isolation=Level.NAMESPACES) == set()


def test_rows_of_data_in_quarantine_are_not_shown():
    assert denied({"quarantined": ("data:tickets@1",)}, Moment.SHOW) == {"quarantine"}
    assert denied({}, Moment.SHOW, approvals=2) == set()


def test_a_denial_by_the_trail_says_that_the_clock_is_behind_it():
    facts = GOOD.model_copy(update={"data_age_days": 400.0, "clock_behind_days": 399.0})

    (denial,) = judge(facts, a_policy(retention_days=30)).denials

    assert denial.reason == (
        "tickets@1 was to be used for 30 days, and is 400 days old by the audit trail, which the clock is 399 days behind"
    )


def test_an_age_below_zero_could_not_be_decided():
    (denial,) = judge(GOOD.model_copy(update={"data_age_days": -397.0}), a_policy(retention_days=30)).denials

    assert denial.reason == "it could not be decided: the clock is before tickets@1 was added"
    assert denial.change.startswith("Set the clock right")


@settings(deadline=None)  # the first example builds the validators
@given(st.sampled_from(Classification), st.sampled_from(Classification), st.booleans(), st.sampled_from(Level))
def test_calling_data_more_private_never_sheds_a_denial(low, high, spot, level):
    """Whatever the facts, the rules of a stricter class deny at least what those of a lower one deny."""
    if list(Classification).index(low) <= list(Classification).index(high):
        policy = PolicyFile(confidential=Terms(isolation=Level.LANDLOCK), restricted=Terms(isolation=Level.NAMESPACES)).policy()
        public = {"called": Classification.PUBLIC, "data_classification": Classification.PUBLIC}
        facts = GOOD.model_copy(update={"spot": spot, "level": level, **public})
        lower, higher = (judge(facts.model_copy(update={"classification": each}), policy) for each in (low, high))

        assert {each.rule for each in lower.denials} <= {each.rule for each in higher.denials}


def test_the_stricter_verdict_wins():
    first = judge(GOOD, a_policy(suites=("loss",), regions=("us-east-1",)))
    other = judge(GOOD, a_policy(key_providers=("aws",), regions=("us-west-1",)))

    both = stricter(first, other)

    assert [each.rule for each in both.denials] == ["region", "keys"]
    assert both.denials[0] == first.denials[0]
    assert both.policy == first.policy
    assert stricter(judge(GOOD, default_policy()), first).denials == first.denials
    assert stricter(judge(GOOD, default_policy())).allowed


def test_a_refusal_names_the_rule_the_reason_and_the_cheapest_change():
    error = judge(GOOD, a_policy(key_providers=("aws",), regions=("us-east-1",))).refusal()

    assert isinstance(error, Refused)
    assert error.message == (
        "The rule `region` refuses it: the policy allows us-east-1, and this machine is in eu-central-1."
        " Also `keys`: its keys are wrapped by local, and the policy wants aws."
    )
    assert error.hint == "Run it there. Set `keys_provider` to what the policy wants, then `intramural keys rotate`."
    assert error.about["rule"] == "region"
    assert [each["rule"] for each in error.about["denials"]] == ["region", "keys"]


def test_a_verdict_reads_back():
    verdict = judge(GOOD, a_policy(regions=("us-east-1",)))

    assert Verdict.model_validate(verdict.document()) == verdict


def test_the_defaults_are_those_of_every_class():
    assert {each: default_policy().of(each) for each in Classification} == DEFAULTS
