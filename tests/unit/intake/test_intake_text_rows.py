"""Plain text is cut into pieces where it has gaps, in order and without loss."""

from hypothesis import given
from hypothesis import strategies as st

from intramural.domain.dataset import Fault
from intramural.intake.text_rows import PIECE_CHARACTERS, text_rows


def pieces(text):
    return list(text_rows(enumerate(text.encode().split(b"\n"), 1)))


def test_paragraphs_share_a_piece_as_long_as_they_fit():
    text = f"# Title\n\nfirst\nsecond\n\n\n{'x' * (PIECE_CHARACTERS - 10)}\n\nlast"

    found = pieces(text)

    assert [line for line, _ in found] == [1, 7]
    assert found[0][1] == {"text": "# Title\n\nfirst\nsecond"}
    assert found[1][1]["text"].endswith("x\n\nlast")


def test_a_long_paragraph_is_cut_at_its_lines_and_a_long_line_at_a_space():
    lines = "\n".join(["word " * 300] * 20)

    found = [row["text"] for _, row in pieces(lines + "\n" + "a" * 3 * PIECE_CHARACTERS)]

    assert max(map(len, found)) <= PIECE_CHARACTERS
    assert "".join(found).replace("\n", "").count("word ") == 6000


def test_a_line_that_is_no_text_is_a_fault_of_its_own():
    found = list(text_rows(iter([(1, b"good"), (2, b"\xff"), (3, None), (4, b"good\r")])))

    assert [(line, isinstance(row, Fault)) for line, row in found] == [(2, True), (3, True), (1, False)]
    assert found[-1][1] == {"text": "good\ngood"}


@given(st.text(alphabet="ab \n", max_size=300))
def test_no_character_but_white_space_is_lost(text):
    found = "".join(row["text"] for _, row in pieces(text))

    assert "".join(found.split()) == "".join(text.split())
