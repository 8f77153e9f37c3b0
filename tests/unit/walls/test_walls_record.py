"""Receipts, from the lines of a supervisor to the value that others read."""

import pytest

from intramural.domain.confinement import Level
from intramural.domain.receipt import Refusal
from intramural.errors import IntegrityFailure, NotFound
from intramural.walls import record
from intramural.walls.receipts import read_receipt
from intramural.walls.record import Record


def test_a_receipt_tells_what_was_recorded(tmp_path):
    lines = Record(str(tmp_path), "namespaces")
    lines.attempt("a.example", 443, "not_listed")
    number = lines.attempt("b.example", 443, None)
    lines.closed(number, 10, 20, "up_bytes")
    lines.end(0, 3, {"memory": "cgroup"})

    receipt = read_receipt(tmp_path)

    assert (receipt.level, receipt.complete, receipt.exit_code, receipt.around_proxy) == (Level.NAMESPACES, True, 0, 3)
    assert [(each.host, each.allowed, each.refusal, each.up_bytes, each.down_bytes) for each in receipt.attempts] == [
        ("a.example", False, Refusal.NOT_LISTED, 0, 0),
        ("b.example", True, Refusal.UP_BYTES, 10, 20),
    ]
    assert receipt.limits == {"memory": "cgroup"}


def test_a_receipt_that_was_cut_short_says_so(tmp_path):
    lines = Record(str(tmp_path), "namespaces")
    lines.attempt("a.example", 443, None)
    with (tmp_path / record.PARTIAL).open("a") as file:
        file.write('{"attempt": 2, "at')

    receipt = read_receipt(tmp_path)

    assert (receipt.complete, receipt.ended_at, len(receipt.attempts)) == (False, None, 1)


def test_attempts_beyond_the_most_are_counted(tmp_path):
    lines = Record(str(tmp_path), "namespaces", most=3)
    for _ in range(5):
        lines.closed(lines.attempt("a" * 5000, 443, None), 1, 1, None)
    lines.end(0, 0, {})

    receipt = read_receipt(tmp_path)

    assert (len(receipt.attempts), receipt.left_out, len(receipt.attempts[0].host)) == (3, 2, 253)


def test_a_damaged_receipt_is_an_error(tmp_path):
    (tmp_path / record.FINAL).write_text('{"level": "moon", "began_at": 1}\n')
    with pytest.raises(IntegrityFailure):
        read_receipt(tmp_path)


def test_no_receipt_is_not_an_empty_one(tmp_path):
    with pytest.raises(NotFound):
        read_receipt(tmp_path)
