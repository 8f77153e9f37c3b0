"""Names and addresses are found by whatever recogniser is there; where there is none the refusal says how to get one."""

import pytest

from intramural.domain.findings import FindingKind
from intramural.errors import InvalidInput
from intramural.intake.findings.names import LONGEST, check_model, names_in
from intramural.intake.findings.spans import Span

LABELS = {"Anna": "PERSON", "Karl": "PER", "Utrecht": "GPE", "Acme": "ORG"}


class WordList:
    """A recogniser that knows a few words."""

    def each(self, texts):
        for text in texts:
            yield [(label, text.index(word), text.index(word) + len(word)) for word, label in LABELS.items() if word in text]


def test_labels_become_kinds_and_others_are_left():
    found = names_in(["nothing", "Anna of Acme, Utrecht", "Karl"], WordList())

    assert found == {
        1: [Span(FindingKind.PERSON, "person", 0, 4), Span(FindingKind.ADDRESS, "gpe", 14, 21)],
        2: [Span(FindingKind.PERSON, "per", 0, 4)],
    }


def test_a_long_text_is_looked_at_in_parts_and_places_are_those_of_the_whole():
    (spans,) = names_in([" " * (LONGEST + 7) + "Anna"], WordList()).values()

    assert [(each.start, each.end) for each in spans] == [(LONGEST + 7, LONGEST + 11)]


@pytest.mark.parametrize("model", ["en_core_web_no_such_model", "../model", "/srv/model", "Model", "os.path"])
def test_a_model_is_an_installed_package_and_nothing_else(model):
    with pytest.raises(InvalidInput) as caught:
        check_model(model)

    assert caught.value.hint
