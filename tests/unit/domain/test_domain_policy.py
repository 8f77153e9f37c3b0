"""`policy.yaml`: strict, in order of the classes, and frozen by a digest that does not depend on how it was written."""

from typing import get_args

import pytest

from intramural.domain.dataset import Classification
from intramural.domain.policy import KeyProviderName, Policy, Rules, Terms, default_policy, read_policy
from intramural.errors import InvalidInput
from intramural.vault.providers import ProviderName

WHOLE = """
version: 1
every_class:
  regions: [eu-central-1, eu-west-1]
  key_providers: [openbao]
  egress:
    - host: mirror.example.com
internal:
  retention_days: 365
confidential:
  regions: [eu-central-1]
  isolation: namespaces
  log: [metrics, run_log]
  retention_days: 180
  redaction: {email: pseudonymise, secret: mask}
  suites: [loss, structured]
  approvals: 1
  spot: false
restricted:
  regions: [eu-central-1]
  retention_days: 90
  approvals: 2
"""


def fault(text):
    with pytest.raises(InvalidInput) as caught:
        read_policy(text)
    return caught.value


def test_no_text_is_the_defaults():
    assert read_policy("") == default_policy()


def test_a_class_goes_before_every_class_and_both_before_the_defaults():
    policy = read_policy(WHOLE)

    assert policy.public.regions == ("eu-central-1", "eu-west-1")
    assert policy.restricted.regions == ("eu-central-1",)
    assert policy.restricted.suites == ("loss", "structured")
    assert policy.restricted.key_providers == ("openbao",)
    assert policy.confidential.isolation == "namespaces"
    assert policy.public.retention_days == "unlimited"
    assert policy.restricted.spot is False


def test_what_is_said_of_a_class_holds_for_the_stricter_ones_too():
    policy = read_policy("internal: {isolation: namespaces, suites: [loss], spot: false, redaction: {email: mask}}")

    assert (policy.public.isolation, policy.public.suites, policy.public.spot) == ("none", (), True)
    for rules in (policy.internal, policy.confidential, policy.restricted):
        assert (rules.isolation, rules.suites, rules.spot) == ("namespaces", ("loss",), False)
    assert policy.restricted.redaction == {}


def test_what_every_class_says_is_no_way_around_what_a_lower_class_says():
    policy = read_policy(
        "every_class: {retention_days: 90, egress: [{host: a.example.com}]}\ninternal: {retention_days: 30, egress: []}"
    )

    assert (policy.public.retention_days, policy.restricted.retention_days) == (90, 30)
    assert policy.restricted.egress == ()


def test_the_digest_says_what_holds_not_how_it_was_written():
    assert read_policy("confidential: {spot: true}").digest == default_policy().digest
    assert read_policy("confidential: {spot: false}").digest != default_policy().digest


def test_a_stored_policy_reads_back_with_its_digest():
    policy = read_policy("every_class: {regions: [eu-1], redaction: {email: mask}, retention_days: 9}")

    assert Policy.model_validate(policy.document()).digest == policy.digest


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_key():
    assert "policy.yaml, line 3: unknown key `confidential.isolatoin`; did you mean `isolation`?" in (
        fault("version: 1\nconfidential:\n  isolatoin: none\n").message
    )


@pytest.mark.parametrize(
    "text",
    [
        "version: 2",
        "confidential: {regions: Frankfurt am Main}",
        "confidential: {regions: [EU]}",
        "confidential: {isolation: firm}",
        "confidential: {egress: [{host: 10.0.0.1}]}",
        "confidential: {egress: [{host: '*.example.com'}]}",
        "confidential: {key_providers: [post-it]}",
        "confidential: {log: [everything]}",
        "confidential: {retention_days: 0}",
        "confidential: {retention_days: '90'}",
        "confidential: {redaction: {email: forget}}",
        "confidential: {redaction: {e-mail: mask}}",
        "confidential: {redaction: {over_long: mask}}",
        "confidential: {suites: [vibes]}",
        "confidential: {approvals: -1}",
        "confidential: {spot: maybe}",
        "secret: {}",
        "[]",
        "a: *b",
    ],
)
def test_what_is_not_a_policy_is_refused(text):
    fault(text)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("regions: [eu-1]", "regions: [eu-1, us-1]"),
        ("regions: [eu-1]", "regions: anywhere"),
        ("isolation: namespaces", "isolation: landlock"),
        ("isolation: landlock", "isolation: none"),
        ("egress: []", "egress: [{host: a.example.com}]"),
        ("egress: [{host: a.example.com}]", "egress: [{host: a.example.com, port: 80}]"),
        ("key_providers: [aws]", "key_providers: any"),
        ("log: [metrics, run_log]", "log: [metrics, run_log, content]"),
        ("retention_days: 90", "retention_days: 91"),
        ("retention_days: 90", "retention_days: unlimited"),
        ("suites: [loss]", "suites: []"),
        ("approvals: 2", "approvals: 1"),
        ("spot: false", "spot: true"),
    ],
)
def test_a_stricter_class_cannot_be_ruled_more_laxly(lower, higher):
    text = f"every_class: {{{lower}}}\nconfidential: {{{higher}}}\n"
    name = lower.partition(":")[0]

    assert fault(text).message == f"`{name}` is laxer for confidential data than for internal data."


def test_a_stricter_class_may_be_ruled_more_strictly():
    assert read_policy(WHOLE)


def test_terms_say_what_rules_hold():
    assert Terms.model_fields.keys() == Rules.model_fields.keys()
    assert set(Classification) == set(Policy.model_fields)


def test_a_policy_knows_the_key_providers_there_are():
    assert get_args(KeyProviderName) == get_args(ProviderName)
