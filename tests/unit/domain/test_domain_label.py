"""Labels are a lattice: the strictest of several depends on which there are, not on their order or number."""

from hypothesis import given, settings
from hypothesis import strategies as st

from intramural.domain.dataset import Classification, RegulatedKind
from intramural.domain.label import Label, strictest

LABELS = st.builds(
    Label, classification=st.sampled_from(Classification), kinds=st.lists(st.sampled_from(RegulatedKind), max_size=5).map(tuple)
)


@settings(deadline=None)  # the first example builds the validators
@given(LABELS, LABELS)
def test_joining_does_not_look_at_the_order(one, other):
    assert one.joined(other) == other.joined(one)


@settings(deadline=None)  # the first example builds the validators
@given(LABELS, LABELS, LABELS)
def test_joining_does_not_look_at_the_grouping(one, two, three):
    assert one.joined(two).joined(three) == one.joined(two.joined(three)) == strictest(three, two, one)


@settings(deadline=None)  # the first example builds the validators
@given(LABELS)
def test_joining_with_itself_or_with_nothing_changes_nothing(label):
    assert label.joined(label) == label == label.joined(Label())


@settings(deadline=None)  # the first example builds the validators
@given(LABELS, LABELS)
def test_the_strictest_is_at_least_each(one, other):
    both = strictest(one, other)

    assert both.at_least(one)
    assert both.at_least(other)


@settings(deadline=None)  # the first example builds the validators
@given(LABELS, LABELS, LABELS)
def test_the_strictest_is_the_least_that_is_at_least_each(one, other, above):
    if above.at_least(one) and above.at_least(other):
        assert above.at_least(strictest(one, other))


@settings(deadline=None)  # the first example builds the validators
@given(LABELS, LABELS, LABELS)
def test_a_stricter_part_never_makes_the_whole_laxer(lax, strict, rest):
    stricter = strict.joined(lax)

    assert strictest(stricter, rest).at_least(strictest(lax, rest))


def test_of_nothing_it_is_the_laxest():
    assert strictest() == Label(classification=Classification.PUBLIC)


def test_a_label_reads_back_and_says_its_kinds_once():
    label = Label(classification="restricted", kinds=("phi", "pii", "phi"))

    assert Label.model_validate(label.document()) == label
    assert label.words == "restricted (pii, phi)"
