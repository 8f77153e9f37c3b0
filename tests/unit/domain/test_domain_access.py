"""Who may do what: default is nothing, and the platform's own acts belong to the platform."""

import pytest

from intramural.domain.access import ALLOWED, Action, Actor, Role

SYSTEM = {Action.RUN_START, Action.RUN_END}


def test_every_role_is_decided_and_a_viewer_acts_on_nothing():
    assert set(ALLOWED) == set(Role)
    assert not any(Actor(subject="user:eve", role=Role.VIEWER).may(each) for each in Action)


@pytest.mark.parametrize("role", [Role.OWNER, Role.MEMBER])
def test_no_person_does_what_the_system_does(role):
    assert not any(Actor(subject="user:alice", role=role).may(each) for each in SYSTEM)


def test_the_system_does_nothing_else_but_sweep_and_record_the_policy():
    may = {each for each in Action if Actor(subject="system:scheduler", role=Role.SYSTEM).may(each)}

    assert may == SYSTEM | {Action.HOME_SWEEP, Action.POLICY_ADOPT}


def test_an_owner_may_all_a_member_may():
    assert ALLOWED[Role.MEMBER] < ALLOWED[Role.OWNER] == set(Action) - SYSTEM


def test_actions_are_written_resource_verb():
    assert all(len(each.value.split(":")) == 2 and each.value.islower() for each in Action)
