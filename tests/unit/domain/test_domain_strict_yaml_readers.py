"""libyaml and PyYAML's own reader give the same document, the same lines and the same refusals."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_merged_profile
from intramural.domain import strict_yaml
from intramural.domain.profile import Profile
from intramural.interview import profile_file

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.sampled_from(["no", "1:30", "~", "0x1f", ""])
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=12
)


def flattened(node):
    """A node as plain tuples: kind, line, style, value."""
    if node is None:
        return None
    start = node.start_mark.line
    if isinstance(node, yaml.ScalarNode):
        return "scalar", start, node.style, node.value
    if isinstance(node, yaml.SequenceNode):
        return "list", start, [flattened(each) for each in node.value]
    return "mapping", start, [(flattened(key), flattened(value)) for key, value in node.value]


def both(text):
    fast = strict_yaml._compose_events(yaml.CSafeLoader(text).get_event)
    return flattened(fast), flattened(yaml.compose(text, Loader=strict_yaml._Loader))


needs_libyaml = pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML is without libyaml here")


@needs_libyaml
@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.booleans(), st.booleans())
def test_both_readers_see_the_same_nodes(document, flow, is_unicode):
    fast, slow = both(yaml.safe_dump(document, default_flow_style=flow, allow_unicode=is_unicode))

    assert fast == slow


@needs_libyaml
@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "---\na: 1\n",
        "a:\nb: |\n  x\n  y\nc: >-\n  z\n",
        "a: 'it''s'\nb: \"\\u00e9\"\n",
        "{a: [1, 2], b: {}}",
    ],
)
def test_both_readers_see_the_same_nodes_in_what_people_write(text):
    fast, slow = both(text)

    assert fast == slow


@needs_libyaml
@pytest.mark.parametrize(
    "text", ["a: &x 1\n", "a: !!str 1\n", "%YAML 1.1\n---\na: 1\n", "a: 1\n---\nb: 2\n", "a: &x 1\nb: *x\n"]
)
def test_what_is_not_plain_goes_to_the_reader_whose_words_name_it(text):
    with pytest.raises((strict_yaml._NotPlainError, yaml.YAMLError)):
        both(text)


def test_a_profile_is_read_the_same_without_libyaml(monkeypatch):
    text = profile_file.write(a_merged_profile())
    fast = strict_yaml.read(text, Profile)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)

    assert strict_yaml.read(text, Profile) == fast
