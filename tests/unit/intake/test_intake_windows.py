"""The readers see blocks; what they yield does not depend on where a block ends."""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from intramural.intake.json_array import array_rows
from intramural.intake.rows import json_rows, lines_of

ROWS = st.lists(
    st.dictionaries(
        st.text(max_size=5), st.text(max_size=30) | st.integers(-9, 9) | st.none() | st.lists(st.booleans()), max_size=3
    ),
    max_size=12,
)
CUTS = st.sets(st.integers(1, 400), max_size=60)


def blocks(content, cuts):
    """Cut *content* anywhere, even inside a character."""
    ends = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    return (content[begin:end] for begin, end in pairwise(ends) if end > begin)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, cuts=CUTS)
def test_lines_are_whole_wherever_a_block_ends(rows, cuts):
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()

    assert list(json_rows(lines_of(blocks(content, cuts)))) == list(enumerate(rows, 1))


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, cuts=CUTS, indent=st.sampled_from([None, 0, 2]))
def test_array_elements_are_whole_wherever_a_block_ends(rows, cuts, indent):
    content = json.dumps(rows, ensure_ascii=False, indent=indent).encode()

    found = list(array_rows(blocks(content, cuts), "f"))

    assert [row for _, row in found] == rows
    for (line, row), (following, _) in pairwise(found):
        assert following - line == (0 if indent is None else json.dumps(row, indent=indent).count("\n") + 1)


def test_array_elements_larger_than_a_block_are_whole():
    rows = [{"text": character * 700_000, "place": place} for place, character in enumerate("aé😀bü")]
    content = json.dumps(rows, ensure_ascii=False).encode()

    assert [row for _, row in array_rows((content[at : at + 65_537] for at in range(0, len(content), 65_537)), "f")] == rows
