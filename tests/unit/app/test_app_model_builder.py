"""What is asked of the builder is judged before anything is fetched or started."""

import pytest

from intramural.app.model_builder import ProcessModelBuilder
from intramural.domain.views import ModelSource
from intramural.errors import InvalidInput, NotFound


def build(**source):
    def started(*_about):
        pytest.fail("something was started")

    ProcessModelBuilder("http://127.0.0.1:9").build(ModelSource(**source), None, started)


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "", "0123456", "g" * 40, "0" * 39, "0" * 41, f"{'0' * 40}\n"])
def test_a_hub_model_is_taken_at_a_commit_only(revision):
    with pytest.raises(InvalidInput, match="40 hex digits") as caught:
        build(hub="org/name", revision=revision)

    assert "git ls-remote HUB/org/name" in caught.value.hint


def test_an_unknown_starter_is_answered_with_all_there_are():
    with pytest.raises(NotFound, match="nope") as caught:
        build(starter="nope")

    assert caught.value.hint == "Starters: smollm2-135m-instruct, tiny-random."
