"""Every kind of file gives the same rows; broken ones are refused; packed ones may not grow without end."""

import gzip
import io
import json
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from intramural.domain.dataset import Fault
from intramural.errors import InvalidInput
from intramural.intake import bounds
from intramural.intake.add import IngestOptions, ingest
from intramural.intake.rows import read_rows, rows_of

ROWS = [{"prompt": f'question {n}, with "quotes"\nand a line é 😀', "completion": "a" * (n % 7 + 1)} for n in range(600)]


def csv_text(delimiter=",", end="\n"):
    def cell(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [delimiter.join(("prompt", "completion"))]
    lines += [delimiter.join(map(cell, row.values())) for row in ROWS]
    return end.join(lines) + end


def packed(content):
    return gzip.compress(content, mtime=0)


def zstd(content):
    return pa.compress(content, codec="zstd", asbytes=True)


LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
ARRAY = json.dumps(ROWS, indent=1, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES),
        ("a.txt", LINES),
        ("a.jsonl", LINES.replace(b"\n", b"\r\n")),
        ("a.jsonl", LINES.rstrip(b"\n")),
        ("a.jsonl.gz", packed(LINES)),
        ("a.jsonl.gz", packed(LINES[:9000]) + packed(LINES[9000:])),
        ("a.jsonl.zst", zstd(LINES)),
        ("a.jsonl.zst", b"\x50\x2a\x4d\x18\3\0\0\0any" + zstd(LINES[:9000]) + zstd(LINES[9000:])),
        ("a.json", ARRAY),
        ("a.json.gz", packed(b"\xef\xbb\xbf \n" + ARRAY)),
        ("a.csv", csv_text().encode()),
        ("a.csv", b"\xef\xbb\xbf" + csv_text(";", "\r\n").encode()),
        ("a.tsv.gz", packed(csv_text("\t").encode())),
        ("a.csv.zst", zstd(csv_text().encode())),
    ],
)
def test_every_text_file_gives_the_same_rows(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)

    assert [row for _, row in read_rows(tmp_path / name)] == ROWS


def test_a_parquet_file_gives_the_same_rows_with_their_numbers(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet", row_group_size=100)

    assert list(read_rows(tmp_path / "a.parquet")) == list(enumerate(ROWS, 1))


class Pipe(io.BytesIO):
    """Bytes that come a few at a time and cannot be read twice."""

    def seekable(self):
        return False

    def read(self, size=-1):
        return super().read(min(size, 1000) if size > 0 else size)


@pytest.mark.parametrize("packing", [bytes, packed, zstd])
def test_what_is_piped_in_gives_the_same_rows(packing):
    assert [row for _, row in rows_of(Pipe(packing(LINES)), "what was piped in")] == ROWS


def test_a_parquet_file_may_be_piped_in_unless_it_is_large():
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file)

    assert [row for _, row in rows_of(Pipe(file.getvalue()), "p")] == ROWS
    with pytest.raises(InvalidInput, match="too large for a pipe"):
        list(rows_of(Pipe(file.getvalue()), "p", most_piped=1000))


def test_nested_parquet_messages_with_null_weights_are_chat(tmp_path):
    turns = [{"role": "user", "content": "q", "weight": None}, {"role": "assistant", "content": "a", "weight": 1}]
    pq.write_table(pa.Table.from_pylist([{"messages": turns}, {"messages": [*turns, *turns]}]), tmp_path / "a.parquet")

    found = ingest(tmp_path / "a.parquet", tmp_path / "work", IngestOptions())

    assert (found.source_format, found.train_examples + found.holdout_examples) == ("chat", 2)


def test_a_csv_column_may_hold_messages_as_json(tmp_path):
    cells = [json.dumps([{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}]) for n in range(5)]
    text = "id;talk\n" + "".join(f'{n};"{cell.replace(chr(34), chr(34) * 2)}"\n' for n, cell in enumerate(cells))
    (tmp_path / "a.csv").write_text(text)

    found = ingest(tmp_path / "a.csv", tmp_path / "work", IngestOptions(mapping={"messages": "talk"}))

    assert (found.train_examples + found.holdout_examples, found.unused_fields) == (5, ("id",))


def test_csv_faults_have_the_line_their_record_begins_on(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'prompt,completion\n"two\nlines",a\nonly one\nq,a,b\n\n\xff,a\nq,a\n"open,a\n')

    rows = list(read_rows(tmp_path / "a.csv"))

    assert [(line, isinstance(row, Fault)) for line, row in rows] == [
        (2, False), (4, True), (5, True), (7, True), (8, False), (9, True),
    ]  # fmt: skip


def test_lines_and_array_elements_are_numbered_by_the_file(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\n{"a": 1}\n\n[]\n{"a": 2}')
    (tmp_path / "a.json").write_bytes(b'[\n{"a":\n 1},\n\n 5, {"a": NaN},\n{"a": 2}]\n')

    assert [(line, isinstance(row, Fault)) for line, row in read_rows(tmp_path / "a.jsonl")] == [
        (2, False),
        (4, True),
        (5, False),
    ]
    assert [(line, isinstance(row, Fault)) for line, row in read_rows(tmp_path / "a.json")] == [
        (2, False), (5, True), (5, True), (6, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", '{"a": 1}'.encode("utf-16"), "UTF-16"),
        ("a.xlsx", b"PK\x03\x04....", "spreadsheet"),
        ("a.parquet", b"PAR1 and then nothing of the kind PAR1", "Parquet"),
        ("a.jsonl.gz", packed(LINES)[:-20], "gzip"),
        ("a.jsonl.gz", packed(LINES)[:200] + b"\0" * 50 + packed(LINES)[250:], "gzip"),
        ("a.jsonl.zst", zstd(LINES)[:-20], "zstd"),
        ("a.jsonl.zst", zstd(LINES) + b"more", "zstd"),
        ("a.json", ARRAY[:-30], "ends before"),
        ("a.json", b'[{"a": 1} {"a": 2}]', "not JSON"),
        ("a.json", b'[{"a": 1}, {"a": \xff}]', "not UTF-8"),
        ("a.json", b'[{"a": oops}' + b" " * 100 + b"]", "not JSON"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.csv", b"\n1,2\n", "no header"),
        ("a.csv", b"a,a\n1,2\n", "the same"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_next_step(name, content, reason, tmp_path):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InvalidInput, match=reason) as caught:
        list(read_rows(tmp_path / name))

    assert caught.value.hint


def test_a_decompression_bomb_is_refused(tmp_path):
    pack = zlib.compressobj(1, zlib.DEFLATED, 31)
    member = pack.compress(b" " * (64 << 20)) + pack.flush()
    (tmp_path / "bomb.jsonl.gz").write_bytes(member * 18)
    (tmp_path / "bomb.jsonl.zst").write_bytes(zstd(b" " * (64 << 20)) * 18)

    for name in ("bomb.jsonl.gz", "bomb.jsonl.zst"):
        with pytest.raises(InvalidInput, match="grows more than 100 times"):
            list(read_rows(tmp_path / name))


def test_growth_is_free_up_to_a_gibibyte_and_a_hundredfold_beyond():
    bounds.check_growth("f", 1, 1 << 30)
    bounds.check_growth("f", 1 << 30, 100 << 30)
    with pytest.raises(InvalidInput):
        bounds.check_growth("f", 1 << 20, (1 << 30) + 1)
