"""What a rule judges by is so, whatever a setting or the clock says: who wraps the keys, how old the data is."""

import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import keyring
import pytest
from keyrings.alt.file import PlaintextKeyring

from factories import a_spec
from intramural.domain.job import JobState
from intramural.errors import Refused
from intramural.service.jobs import resolve_job, show_job, submit_job
from intramural.service.keys import rotate_keys
from intramural.service.policies import set_policy
from intramural.service.runs import claim_run, prepare_run
from intramural.vault.providers import KeyChoice

DAY = 86_400
ONLY_KEYRING = "every_class: {key_providers: [keyring]}"


@pytest.fixture
def other(owner, tmp_path):
    """The home with another provider in the settings."""
    before, ours = keyring.get_keyring(), PlaintextKeyring()
    ours.file_path = str(tmp_path / "keyring.cfg")
    keyring.set_keyring(ours)
    yield replace(owner, keys=KeyChoice(folder=owner.home / "keys", provider="keyring"))
    keyring.set_keyring(before)


def rules_against(ctx):
    """What the plan says no by."""
    return [each.rule for each in resolve_job(ctx, a_spec()).verdict.denials]


def refused(ctx):
    """The rule, the reason and the change of the submission's refusal."""
    with pytest.raises(Refused) as caught:
        submit_job(ctx, a_spec())
    return caught.value.about["rule"], caught.value.message, caught.value.hint


def test_data_is_judged_by_who_wraps_its_keys_and_not_by_the_setting(owner, other, a_stored_job):
    a_stored_job()
    set_policy(owner, ONLY_KEYRING)

    rule, message, hint = refused(other)

    assert (rule, message) == (
        "keys",
        "The rule `keys` refuses it: its keys are wrapped by local, and the policy wants keyring.",
    )
    assert "intramural keys rotate" in hint
    assert rules_against(other) == ["keys"]
    rotate_keys(other)
    assert rules_against(other) == []
    assert submit_job(other, a_spec()).state is JobState.QUEUED


def test_a_key_that_was_moved_away_from_what_the_policy_wants_is_refused_under_the_old_setting(owner, other, a_stored_job):
    a_stored_job()
    set_policy(owner, "every_class: {key_providers: [local]}")
    assert rules_against(owner) == []

    rotate_keys(other)

    assert refused(owner)[0] == "keys"
    assert rules_against(owner) == ["keys"]


def test_the_start_judges_what_the_plan_judged(owner, other, system, a_stored_job):
    """A job is accepted before the policy asks for another provider; setting that is not enough, rotating is."""
    job = a_stored_job(name="before")
    set_policy(owner, ONLY_KEYRING)
    scheduler = replace(system, keys=other.keys)

    assert rules_against(other) == ["keys"]
    assert claim_run(scheduler, "one", 15) is None
    assert "its keys are wrapped by local" in show_job(owner, job.id).evidence
    rotate_keys(other)
    job = submit_job(other, a_spec(name="after"))
    assert claim_run(scheduler, "one", 15).job.id == job.id


def test_a_scheduler_with_its_old_setting_would_wrap_the_key_of_what_a_job_leaves(owner, other, system, a_stored_job):
    a_stored_job(name="before", **{"class": "batch"})
    set_policy(owner, ONLY_KEYRING)
    rotate_keys(other)
    job = submit_job(other, a_spec(name="after"))

    assert claim_run(system, "one", 15) is None
    told = show_job(owner, job.id).evidence
    assert "a key for it would be wrapped by local here" in told
    assert "a scheduler that runs keeps the setting it was started with" in told


def test_the_key_of_what_a_job_left_is_judged_too(owner, other, system, a_stored_job):
    """The data's key was moved, the job's own was not: its next attempt would add to what the other provider opens."""
    a_stored_job()
    claim = claim_run(system, "one", 15)
    prepare_run(system, claim, system.runs / claim.run.id)
    with owner.read() as tx:
        before = {each.scope: each for each in tx.scope_keys.all("default")}
    rotate_keys(other)
    with owner.store.writing() as tx:
        tx.scope_keys.save(before[f"job:{claim.job.id}"])
        tx.jobs.save(claim.job.model_copy(update={"state": JobState.QUEUED}))
        for run in tx.runs.open():
            tx.runs.save(run.model_copy(update={"ended_at": owner.now()}))
    set_policy(owner, ONLY_KEYRING)

    assert claim_run(replace(system, keys=other.keys), "two", 15) is None
    assert "its keys are wrapped by local" in show_job(owner, claim.job.id).evidence
    shutil.rmtree(system.runs, ignore_errors=True)


def test_a_clock_set_back_makes_data_no_younger(owner, a_stored_job, clock):
    a_stored_job()
    set_policy(owner, "every_class: {retention_days: 30}")
    clock.wait(90 * DAY)
    assert refused(owner)[0] == "retention"

    clock.wait(-80 * DAY)  # ten days after the data was added

    for _ in range(3):  # the refusals, which are written under the wrong clock, do not make it right
        rule, message, _ = refused(owner)
        assert rule == "retention"
        assert "is 90 days old by the audit trail, which the clock is 80 days behind" in message
    assert rules_against(owner) == ["retention"]


def test_a_clock_before_the_data_was_added_decides_nothing(owner, a_stored_job, system, clock):
    job = a_stored_job()
    set_policy(owner, "every_class: {retention_days: 1}")

    clock.wait(-400 * DAY)

    for _ in range(2):
        rule, message, hint = refused(owner)
        assert (rule, hint.startswith("Set the clock right")) == ("retention", True)
        assert message == ("The rule `retention` refuses it: it could not be decided: the clock is before tickets@1 was added.")
    assert claim_run(system, "one", 15) is None
    assert "the clock is before tickets@1 was added" in show_job(owner, job.id).evidence


def test_what_was_said_when_the_data_was_added_is_not_shed_by_the_clock_either(owner, a_stored_job, clock):
    a_stored_job()
    with owner.store.writing() as tx:
        found = tx.datasets.find("default", "tickets")
        tx.datasets.replace("default", found.model_copy(update={"retain_days": 1}))

    clock.wait(-400 * DAY)

    assert refused(owner)[0] == "retention"


def test_data_added_under_a_clock_that_ran_ahead_gains_no_time(owner, a_stored_job, clock):
    """The age would be zero until the clock is there: so it is not told."""
    a_stored_job()
    set_policy(owner, "every_class: {retention_days: 30}")
    clock.wait(3650 * DAY)
    with owner.store.writing() as tx:
        found = tx.datasets.find("default", "tickets")
        tx.datasets.replace("default", found.model_copy(update={"added_at": clock.now}))
    with suppress(Refused):
        submit_job(owner, a_spec())
    clock.wait(-3650 * DAY)

    assert "the clock is before tickets@1 was added" in refused(owner)[1]


def test_where_nothing_is_retained_the_clock_does_not_matter(owner, a_stored_job, clock):
    a_stored_job()
    clock.now -= timedelta(days=400)

    assert submit_job(owner, a_spec()).state is JobState.QUEUED
