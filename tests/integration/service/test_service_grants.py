"""How firmly a run must be confined: what the frozen and the present policy ask, and the firmer of the two."""

import dataclasses

import pytest

from factories import a_spec
from intramural.domain.confinement import Level
from intramural.service.jobs import resolve_job, submit_job
from intramural.service.policies import grant_of, set_policy


@pytest.mark.parametrize(("accepted", "present"), [("landlock", "none"), ("none", "landlock")])
def test_a_run_needs_the_firmer_level_of_the_two_policies(owner, a_stored_job, accepted, present):
    confined = dataclasses.replace(owner, level=lambda: Level.NAMESPACES)
    a_stored_job()
    set_policy(confined, f"every_class: {{isolation: {accepted}}}")
    job = submit_job(confined, a_spec())

    set_policy(confined, f"every_class: {{isolation: {present}}}")

    assert grant_of(confined, job).level is Level.LANDLOCK


def test_without_a_frozen_policy_the_present_one_says_the_level(owner, a_stored_job):
    job = a_stored_job().model_copy(update={"policy_digest": None})
    set_policy(owner, "every_class: {isolation: namespaces}")

    assert grant_of(owner, job).level is Level.NAMESPACES


@pytest.mark.parametrize(
    ("kept", "words"), [("machine", None), ("cgroup", "runs are kept out of it"), ("nothing", "nothing keeps runs out of it")]
)
def test_a_plan_says_whether_what_runs_hold_may_be_swapped(owner, a_stored_job, kept, words):
    a_stored_job()

    checks = resolve_job(dataclasses.replace(owner, swap=lambda: kept), a_spec()).checks

    assert [each for each in checks if "Swap" in each] == [each for each in checks if words is not None and words in each]
    assert sum("Swap" in each for each in checks) == (words is not None)
