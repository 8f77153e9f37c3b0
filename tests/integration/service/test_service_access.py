"""The one door to acts: who may pass, and what every act and refusal leaves behind."""

import pytest

from factories import a_model, a_spec
from intramural.domain.access import Action, Role
from intramural.errors import Conflict, Refused
from intramural.service.audit import list_audit
from intramural.service.datasets import add_dataset
from intramural.service.jobs import cancel_job, submit_job
from intramural.service.models import add_model, remove_model


def test_an_act_and_its_entry_are_one(owner, decisions):
    with owner.act(Action.MODEL_ADD, target="tiny") as tx:
        tx.models.add("default", a_model())

    assert decisions() == [("model:add", "allowed", None)]


def break_in(ctx, error):
    with ctx.act(Action.MODEL_ADD, target="tiny") as tx:
        tx.models.add("default", a_model())
        raise error


def test_an_act_that_breaks_leaves_nothing(owner, decisions):
    with pytest.raises(Conflict):
        break_in(owner, Conflict("no"))

    assert decisions() == []


def test_a_refusal_is_recorded_though_its_act_is_rolled_back(owner, decisions):
    with pytest.raises(Refused):
        break_in(owner, Refused("no", rule="region:lock"))

    assert decisions() == [("model:add", "refused", "region:lock")]
    with owner.read() as tx:
        assert tx.models.all("default") == []


@pytest.mark.parametrize(
    "verb",
    [
        lambda ctx: submit_job(ctx, a_spec()),
        lambda ctx: cancel_job(ctx, "router"),
        lambda ctx: add_model(ctx, "tiny", None, None),
        lambda ctx: add_dataset(ctx, None, "tickets", None, None),
        lambda ctx: remove_model(ctx, "tiny"),
        list_audit,
    ],
)
def test_a_viewer_acts_on_nothing_and_each_try_is_recorded(make_context, decisions, verb):
    with pytest.raises(Refused) as caught:
        verb(make_context(Role.VIEWER))

    assert caught.value.hint
    ((_, decision, rule),) = decisions()
    assert decision == "refused"
    assert rule in ("role:viewer", "refused")


def test_a_member_removes_no_model(make_context, decisions):
    with pytest.raises(Refused):
        remove_model(make_context(Role.MEMBER), "tiny")

    assert decisions() == [("model:remove", "refused", "role:member")]


def test_the_scheduler_submits_nothing(system, decisions):
    with pytest.raises(Refused):
        submit_job(system, a_spec())

    assert decisions() == [("job:submit", "refused", "role:system")]


def test_the_trail_is_read_newest_last(owner):
    for target in ("one", "two", "three"):
        with owner.act(Action.MODEL_ADD, target=target):
            pass

    assert [each.target for each in list_audit(owner, limit=2)] == ["two", "three"]
