"""
Rows of plain text: pieces of it, cut where the text itself has a gap.

Paragraphs are what blank lines part. As many as fit go into one piece; a paragraph that is
longer than a piece is cut at the ends of its lines, and a line that is longer at a space.
"""

from __future__ import annotations

from collections.abc import Iterator

from intramural.domain.dataset import Fault
from intramural.intake.bounds import MAX_LINE_BYTES, Row

PIECE_CHARACTERS = 8_000
"""Of a piece; about 2,000 tokens."""
_NAMES = (".txt", ".md")


def is_text_name(name: str) -> bool:
    """Tell whether a file of that name, in lower case and without its packing, is plain text."""
    return name.endswith(_NAMES)


def text_rows(lines: Iterator[tuple[int, bytes | None]]) -> Iterator[Row]:
    """Yield each piece as a row `text`, with the line it begins on; a line that is no text comes as a fault."""
    begins, held, size = 0, list[str](), 0
    for number, paragraph in _paragraphs(lines):
        if isinstance(paragraph, Fault):
            yield number, paragraph
            continue
        if held and size + len(paragraph) + 2 > PIECE_CHARACTERS:
            yield begins, {"text": "\n\n".join(held)}
            held, size = [], 0
        begins = begins if held else number
        held.append(paragraph)
        size += len(paragraph) + 2
    if held:
        yield begins, {"text": "\n\n".join(held)}


def _paragraphs(lines: Iterator[tuple[int, bytes | None]]) -> Iterator[tuple[int, str | Fault]]:
    """Yield each paragraph, or what of it fits into one piece, with the line it begins on."""
    begins, held, size = 0, list[str](), 0
    for number, raw in lines:
        line = _decoded(number, raw)
        if isinstance(line, Fault):
            yield number, line
            continue
        for part in _parts(line):
            if held and (not part.strip() or size + len(part) + 1 > PIECE_CHARACTERS):
                yield begins, "\n".join(held)
                held, size = [], 0
            if part.strip():
                begins = begins if held else number
                held.append(part)
                size += len(part) + 1
    if held:
        yield begins, "\n".join(held)


def _decoded(number: int, raw: bytes | None) -> str | Fault:
    if raw is None:
        return Fault(line=number, reason=f"longer than {MAX_LINE_BYTES >> 20} MiB")
    try:
        return raw.decode().rstrip("\r")
    except UnicodeDecodeError as error:
        return Fault(line=number, reason=f"not UTF-8 at byte {error.start + 1} of the line")


def _parts(line: str) -> Iterator[str]:
    """Yield a line in parts that each fit into a piece; a line that fits, as it is."""
    at = 0
    while len(line) - at > PIECE_CHARACTERS:
        cut = line.rfind(" ", at + PIECE_CHARACTERS // 2, at + PIECE_CHARACTERS)
        cut = cut if cut > 0 else at + PIECE_CHARACTERS
        yield line[at:cut]
        at = cut
    yield line[at:]
